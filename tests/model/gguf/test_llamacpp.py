"""What we write, llama.cpp opens and computes with: a tiny random Llama against Transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import quantise
from hanlin.model.gguf.write import write
from model.gguf.llamacpp import greedy

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, MLP = 192, 64, 2, 4, 2, 96
TOKENS = [5, 80, 3, 3, 187, 77, 31]
STEPS = 5
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers": "blk",
}


LETTERS = [chr(number) for number in range(33, 127)]
WORDS = LETTERS + ["a" + letter for letter in LETTERS] + ["<s>", "</s>", "<pad>", "<x>"]
"""All of them whole characters, so that llama.cpp has a text to show for every token."""

METADATA = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "llama.vocab_size": VOCAB,
    "llama.context_length": 128,
    "llama.embedding_length": WIDTH,
    "llama.block_count": LAYERS,
    "llama.feed_forward_length": MLP,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": KV_HEADS,
    "llama.rope.dimension_count": WIDTH // HEADS,
    "llama.rope.freq_base": 10000.0,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": WORDS,
    "tokenizer.ggml.token_type": [1] * 188 + [3] * 4,
    "tokenizer.ggml.merges": [f"a {letter}" for letter in LETTERS],
    "tokenizer.ggml.bos_token_id": 188,
    "tokenizer.ggml.eos_token_id": 189,
}


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        intermediate_size=MLP,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        initializer_range=0.1,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).eval()


def ggml_name(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


def rotary_order(weights: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring rows of a Llama's heads, Transformers the two halves."""
    return weights.reshape(heads, 2, -1, weights.shape[-1]).swapaxes(1, 2).reshape(weights.shape)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        (TensorType.F32, 2e-5),
        (TensorType.F16, 5e-3),
        (TensorType.BF16, 3e-2),
        (TensorType.Q8_0, 1e-1),
        (TensorType.Q4_0, 1e-1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_llama_cpp_computes_what_transformers_does_with_the_same_weights(tmp_path: Path, kind, tolerance):
    """In nats, of a spread of four. llama.cpp rounds activations to fit the weights: only F32 is computed exactly."""
    model = tiny()
    tensors = []
    for name, weights in model.state_dict().items():
        array, stored = weights.numpy(), TensorType.F32 if weights.ndim == 1 else kind
        if stored is not TensorType.F32:
            array[:] = dequantise(stored, quantise(stored, array))  # Transformers shall compute with what is stored
        heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.split(".")[-2])
        tensors.append((ggml_name(name), stored, rotary_order(array, heads) if heads else array))
    write(tmp_path / "tiny.gguf", METADATA, tensors)

    answers = greedy(tmp_path / "tiny.gguf", tmp_path, TOKENS, STEPS, VOCAB)
    tokens = [*TOKENS, *(token for token, _ in answers)]
    with torch.no_grad():
        wanted = model(torch.tensor([tokens])).logits[0, len(TOKENS) - 1 : -1].log_softmax(-1).numpy()
    assert len(answers) == STEPS
    for (token, scores), row in zip(answers, wanted, strict=True):
        found = np.array([scores[number] for number in range(VOCAB)])
        assert np.abs(found - row).max() < tolerance
        assert row[token] > row.max() - tolerance
