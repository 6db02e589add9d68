"""Requests of several adapters in one batch: each says what its merged model says, and company changes no bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import ConfigError, RefusedError, WeightsError
from hanlin.core.plugins import find
from hanlin.infer.engine import Engine, EngineSettings, Request
from hanlin.infer.event import Event
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.model.adapters import peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.model.plan import Bits, compiled
from hanlin.text.tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
PROMPT = tuple(range(3, 75))
SAMPLING = Sampling(max_tokens=12, min_tokens=12, temperature=1.0, seed=5)
KINDS = {"one": AdapterSettings(rank=4, alpha=6), "two": AdapterSettings(rank=3, is_rank_stabilised=True)}
KINDS["two"] = KINDS["two"].model_copy(update={"targets": ("q", "k", "v", "down")})


def tiny(family: str) -> Decoder:
    module = find(FAMILIES, family)
    torch.manual_seed(0)
    network = Decoder(module.parts(next(iter(module.TINY.values())))).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return network


def trained(family: str, settings: AdapterSettings, path: Path) -> Decoder:
    """An adapter's folder, and the network with it in torch."""
    network = tiny(family)
    chance = torch.Generator().manual_seed(settings.rank)
    add(network, settings, chance)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=chance) * 0.2)
    peft.save(network, path, "base", settings)
    return network


def engine_of(network: Decoder, tokenizer: Tokenizer, bits: Bits, settings: EngineSettings | None = None) -> Engine:
    return Engine(compiled(network, 96, bits), tokenizer, 96, settings, network.config)


def together(engine: Engine, asked: list[Request]) -> list[list[Event]]:
    handles = [engine.submit(request) for request in asked]
    told: dict[int, list[Event]] = {handle: [] for handle in handles}
    while not engine.is_idle:
        for one in engine.step():
            assert one.event is not None, one.error
            told[one.handle].append(one.event)
    return [told[handle] for handle in handles]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_each_says_what_torch_says_with_its_adapter_and_to_the_bit_what_it_says_alone(
    family: str, bytewise: Tokenizer, tmp_path: Path
) -> None:
    networks = {name: trained(family, settings, tmp_path / name) for name, settings in KINDS.items()}
    base = tiny(family)
    names = [None, "one", "two", "one", None, "two"]
    prompts = [tuple(token % 97 for token in PROMPT[: 40 + index]) for index in range(len(names))]
    asked = [Request(prompt, SAMPLING, adapter=name) for prompt, name in zip(prompts, names, strict=True)]
    for bits in (32, 8):
        engine = engine_of(base, bytewise, bits)
        for name in KINDS:
            engine.load_adapter(name, tmp_path / name)
        told = together(engine, asked)
        again = together(engine, asked)
        assert engine.counts.found
        bare = engine_of(base, bytewise, bits, EngineSettings(has_prefix_cache=False, speculates=False))
        for request, events, later in zip(asked, told, again, strict=True):
            if request.adapter and request.adapter not in bare.adapters:
                bare.load_adapter(request.adapter, tmp_path / request.adapter)
            assert events == later == list(bare.generate(request))
            if bits == 32:
                network = networks[request.adapter] if request.adapter else base
                wanted = list(generate(network, bytewise, request.prompt, SAMPLING))
                assert [event.token for event in events] == [event.token for event in wanted]
                assert [event.logprob for event in events] == pytest.approx([it.logprob for it in wanted], abs=2e-4)


def test_what_is_kept_of_a_beginning_is_for_the_same_adapter_only(bytewise: Tokenizer, tmp_path: Path) -> None:
    trained("llama", KINDS["one"], tmp_path / "one")
    engine = engine_of(tiny("llama"), bytewise, 8)
    engine.load_adapter("one", tmp_path / "one")
    engine.load_adapter("same", tmp_path / "one")
    prompt = tuple(token % 97 for token in PROMPT)
    found = []
    for name in (None, "one", "same", None):
        list(engine.generate(Request(prompt, SAMPLING, adapter=name)))
        found.append(engine.counts.found)
    assert np.diff([0, *found]).tolist() == [0, 0, 64, 64]


def test_adapters_come_and_go(bytewise: Tokenizer, tmp_path: Path) -> None:
    trained("llama", KINDS["one"], tmp_path / "one")
    engine = engine_of(tiny("llama"), bytewise, 8)
    with pytest.raises(ConfigError, match="no adapter 'one'"):
        engine.submit(Request(PROMPT, SAMPLING, adapter="one"))
    engine.load_adapter("one", tmp_path / "one")
    with pytest.raises(RefusedError, match="already"):
        engine.load_adapter("one", tmp_path / "one")
    handle = engine.submit(Request(PROMPT, SAMPLING, adapter="one"))
    with pytest.raises(RefusedError, match="in use"):
        engine.unload_adapter("one")
    engine.cancel(handle)
    engine.unload_adapter("one")
    assert not engine.adapters


def test_what_cannot_lie_beside_a_model_is_refused(bytewise: Tokenizer, tmp_path: Path) -> None:
    trained("llama", AdapterSettings(use="dora", rank=2), tmp_path / "dora")
    trained("gpt2", AdapterSettings(rank=2), tmp_path / "other")
    engine = engine_of(tiny("llama"), bytewise, 8)
    with pytest.raises(RefusedError, match="DoRA"):
        engine.load_adapter("dora", tmp_path / "dora")
    with pytest.raises(WeightsError, match="does not have"):
        engine.load_adapter("other", tmp_path / "other")
