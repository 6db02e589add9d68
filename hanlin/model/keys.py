"""A checkpoint's own configuration in, values of known types out; a key nobody read is refused by name.

`Keys` reads Hugging Face's config.json and GGUF's metadata alike. A family asks for each key it handles; what is left
over must be known to be without effect on what the model computes, or the checkpoint is refused.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hanlin.core.errors import RefusedError, WeightsError, did_you_mean, shown

T = TypeVar("T")
D = TypeVar("D")

LARGEST = 1 << 31
ANY = object()
HARMLESS: dict[str, Any] = {
    **dict.fromkeys(
        # Who made it and how it is to be run, not what it computes.
        "architectures model_type transformers_version dtype torch_dtype _name_or_path use_cache initializer_range "
        "bos_token_id eos_token_id pad_token_id cls_token_id sep_token_id decoder_start_token_id "
        "attention_dropout attn_pdrop embd_pdrop resid_pdrop classifier_dropout hidden_dropout "
        "id2label label2id problem_type task_specific_params finetuning_task tokenizer_class prefix "
        "output_attentions output_hidden_states return_dict return_dict_in_generate cache_implementation "
        "_attn_implementation _attn_implementation_autoset attn_implementation _flash_attn_2_enabled "
        "unsloth_fixed unsloth_version transformers.js_config is_llama_config pretraining_tp chunk_size_feed_forward "
        # GPT-2's second head, and a setting that only changes how sums are rounded.
        "summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout n_ctx "
        "reorder_and_upcast_attn router_aux_loss_coef output_router_logits "
        # How older Transformers would have sampled.
        "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k "
        "top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size "
        "bad_words_ids num_return_sequences output_scores forced_bos_token_id forced_eos_token_id suppress_tokens "
        "begin_suppress_tokens remove_invalid_values exponential_decay_length_penalty".split(),
        ANY,
    ),
    "is_decoder": (True, False),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({}, None),
    "torchscript": (False,),
    "use_bfloat16": (False,),
    "tf_legacy_loss": (False,),
    "rope_interleaved": (False,),
    "use_mrope": (False,),
    "quantization_config": (None,),
}
"""Keys of config.json without effect on the logits, and the values of which that is true."""


class Keys:
    """The keys of one configuration, and which of them have been read."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where
        """What to call the file in an error."""
        self.read: set[str] = set()

    def get(self, key: str, kind: type[T], default: D) -> T | D:
        """A key's value, or the default if it is not there or null.

        Raises:
            WeightsError: the value is of another type; or a number not above 0, or beyond all reason.
        """
        self.read.add(key)
        value: Any = self.values.get(key)
        if value is None:
            return default
        if kind is float and type(value) is int:
            value = float(value) if abs(value) < LARGEST else math.inf
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, f"which is not {_KIND.get(kind, kind.__name__)}")
        if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < LARGEST:
            raise self.wrong(key, "which cannot be")
        return value

    def need(self, key: str, kind: type[T]) -> T:
        """A key's value; it must be there.

        Raises:
            WeightsError: it is not, or is of another type or range.
        """
        value = self.get(key, kind, None)
        if value is None:
            raise WeightsError(f"{self.where} does not say {key}", "the file is incomplete: fetch it again")
        return value

    def has(self, key: str) -> bool:
        """The key is there and not null."""
        return self.values.get(key) is not None

    def wrong(self, key: str, why: str) -> WeightsError:
        """The error for a value we cannot take."""
        return WeightsError(f"{self.where}: {key} = {shown(self.values.get(key))}, {why}", "fetch the model again")

    def close(self, harmless: Mapping[str, Any] = HARMLESS, prefix: str = "") -> None:
        """Refuse what nobody read, of the keys that begin with `prefix`.

        Raises:
            RefusedError: the checkpoint brings code.
            WeightsError: a key we do not handle has a value that may change what the model computes.
        """
        if self.values.get("auto_map"):
            raise RefusedError(
                f"{self.where}: auto_map = {shown(self.values['auto_map'])} asks to run code from the checkpoint",
                "use a checkpoint of a family we carry; nothing in a checkpoint ever runs here",
            )
        for key, value in self.values.items():
            if key in self.read or not key.startswith(prefix):
                continue
            allowed = harmless.get(key, (None,))
            if allowed is not ANY and not any(value == one and type(value) is type(one) for one in allowed):
                raise WeightsError(f"{self.where}: {key} = {shown(value)} is not handled", self._fix(key, allowed))

    def _fix(self, key: str, allowed: Iterable[Any]) -> str:
        known = [value for value in allowed if value is not None]
        if known:
            return f"we carry models with {key} = {known[0]!r} only"
        fix = did_you_mean(key, self.read)
        return fix if fix.startswith("did") else "we carry models without it; a mere note may be deleted from the file"


_KIND = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "a table",
}
