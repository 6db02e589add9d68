"""A compiled plan says what torch says, for every family, and the same bits whatever is computed beside."""

import numpy as np
import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import ConfigError, RefusedError
from hanlin.core.plugins import find, names
from hanlin.kernels.kv import STORES
from hanlin.kernels.library import PATHS, library
from hanlin.kernels.plan import Plan, survey
from hanlin.model.adapters import lora
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.opened import FAMILIES
from hanlin.model.plan import compiled
from hanlin.model.rope import Waves, speeds, waves

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
CASES = [(family, case) for family in names(FAMILIES) for case in find(FAMILIES, family).TINY]
NEAR = 2e-4
"""Of logits of about 6, between float32 sums in another order."""
LENGTH = 50


def random(family: str, case: str) -> Decoder:
    module = find(FAMILIES, family)
    torch.manual_seed(0)
    network = Decoder(module.parts(module.TINY[case])).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.add_(torch.randn_like(weight) * (0.3 if weight.ndim > 1 else 0.1))
    return network


def text(count: int = LENGTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 97, count)


def whole(plan: Plan, tokens: np.ndarray, store: str = "float32") -> np.ndarray:
    """Logits of all positions, read in one pass from blocks that do not lie in order."""
    kv = plan.blocks(5, store)
    here = np.arange(len(tokens))
    said = plan.walk(kv, tokens, here, np.zeros_like(here), np.array([[3, 0, 4, 1]]), here)
    assert said.logits is not None
    return said.logits


@pytest.mark.parametrize("case", CASES, ids=lambda it: "-".join(it).replace(" ", "-"))
def test_every_family_says_what_torch_says_at_once_and_token_by_token(case: tuple[str, str]) -> None:
    network = random(*case)
    plan, tokens = compiled(network, LENGTH, 32), text()
    told = whole(plan, tokens)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(tokens)[None])[0].numpy()
    assert np.abs(told - wanted).max() < NEAR
    kv, table, none = plan.blocks(2), np.array([[1, 0]]), np.zeros(1)
    one_by_one = [plan.walk(kv, tokens[at : at + 1], np.array([at]), none, table, none).logits for at in range(LENGTH)]
    assert np.array_equal(np.concatenate(one_by_one), told)  # pyright: ignore


@pytest.mark.parametrize("case", [("llama", "mistral window"), ("qwen3_moe", "experts"), ("gemma3", "soft caps")])
@pytest.mark.parametrize("bits", [8, 4, 32])
@pytest.mark.parametrize("store", STORES)
def test_no_row_depends_on_those_beside_it(case: tuple[str, str], bits: int, store: str) -> None:
    network = random(*case)
    plan = compiled(network, 64, bits)  # pyright: ignore[reportArgumentType]
    texts = [text(20), text(50)[::-1].copy(), text(33) // 2]
    alone = [whole(plan, tokens, store) for tokens in texts]
    kv = plan.blocks(6, store)
    tables = np.array([[0, 3], [5, 1], [2, 4]])
    ends = [0, 0, 0]
    for step in (7, 1, 13, 2, 30):  # parts of all three in one pass, of several sizes
        parts = [(index, ends[index], min(ends[index] + step, len(it))) for index, it in enumerate(texts)]
        rows = [(texts[index][at], at, index) for index, begin, end in parts for at in range(begin, end)]
        tokens, positions, sequences = (np.array(column) for column in zip(*rows, strict=True))
        said = plan.walk(kv, tokens, positions, sequences, tables, np.arange(len(rows)))
        assert said.logits is not None
        for got, (_, position, index) in zip(said.logits, rows, strict=True):
            assert np.array_equal(got, alone[index][position]), (index, position)
        ends = [end for _, _, end in parts]
    assert ends == [len(it) for it in texts]


def test_no_row_depends_on_how_much_it_sees_being_shared_out() -> None:
    network = random("llama", "shared heads")
    long = text(900)
    plan = compiled(network, 1024, 8)
    kv, table, here = plan.blocks(32), np.arange(32)[None], np.arange(900)
    at_once = plan.walk(kv, long, here, np.zeros(900), table, np.array([898, 899])).logits
    for threads in (1, 3):  # one row over four chunks of positions: they are shared out among the threads
        library().hanlin_set_threads(threads)
        one = plan.walk(kv, long[899:], np.array([899]), np.zeros(1), table, np.zeros(1)).logits
        assert at_once is not None and one is not None
        assert np.array_equal(one[0], at_once[1])


@pytest.mark.parametrize("bits", [8, 4, 32])
def test_every_set_of_instructions_gives_the_same_bits(bits: int) -> None:
    plan = compiled(random("qwen3_moe", "some dense"), 64, bits)  # pyright: ignore[reportArgumentType]
    best = whole(plan, text(), "int8")
    tried = 0
    for path in PATHS[1:]:
        try:
            kernels.choose(path)
        except Exception:  # not on this processor
            continue
        try:
            found = whole(plan, text(), "int8")
            if path == "portable":  # it has no fused steps: a float may differ in its last bit, and round otherwise
                np.testing.assert_allclose(found, best, atol=1e-4 if bits == 32 else 0.1)
            else:
                assert np.array_equal(found, best), path
            tried += 1
        finally:
            kernels.choose("")
    assert tried


@pytest.mark.parametrize(("store", "most"), [("bfloat16", 0.5), ("int8", 0.5)])
def test_fewer_bits_of_keys_and_values_change_little(store: str, most: float) -> None:
    plan = compiled(random("llama", "shared heads"), 64, 32)
    exact, rounded = whole(plan, text()), whole(plan, text(), store)
    assert 0 < np.abs(exact - rounded).max() < most


def test_a_compiled_network_reads_as_its_decoder_does() -> None:
    network = random("llama", "own head")
    face = Compiled(compiled(network, 64, 32), network.config, "float32")
    tokens = torch.from_numpy(text(40)).view(2, 20)
    with torch.inference_mode():
        assert torch.allclose(face(tokens), network(tokens), atol=NEAR)
        assert torch.allclose(face.trunk(tokens), network.trunk(tokens), atol=NEAR)


def test_numbers_out_of_range_are_refused() -> None:
    plan = compiled(random("llama", "shared heads"), 64, 8)
    kv, none, table = plan.blocks(2), np.zeros(1), np.array([[0, 1]])
    for arguments in (
        (np.array([97]), none, none, table, none),
        (none, np.array([64]), none, table, none),
        (none, none, np.array([1]), table, none),
        (none, none, none, np.array([[0, 2]]), none),
        (none, none, none, table, np.array([1])),
        (none[:0], none[:0], none[:0], table, none[:0]),
    ):
        with pytest.raises(ValueError, match=r"where there are|no rows"):
            plan.walk(kv, *arguments)


def test_an_adapter_is_refused_until_it_is_merged() -> None:
    network = random("llama", "shared heads")
    lora.add(network, AdapterSettings(), torch.Generator().manual_seed(0))
    with pytest.raises(RefusedError, match="merge"):
        compiled(network, 64)


@pytest.mark.parametrize("path", PATHS)
def test_what_is_always_wanted_of_logits_is_what_torch_finds(path: str) -> None:
    try:
        kernels.choose(path)
    except ConfigError as error:
        pytest.skip(str(error.what))
    draw = np.random.default_rng(0)
    for count, drawable in ((1, 1), (97, 97), (1024, 1000), (49_152, 49_000)):
        logits = (draw.standard_normal((5, count)) * 9).astype(np.float32)
        logits[1] = 3.25  # the first of equals
        logits[2, 0] = 80
        logits[3] -= 1000
        totals, likeliest = survey(logits, drawable)
        want = torch.from_numpy(logits).double().logsumexp(1).numpy()
        np.testing.assert_allclose(totals, want, rtol=1e-6, atol=2e-6)
        assert likeliest.tolist() == torch.from_numpy(logits)[:, :drawable].argmax(1).tolist()
        for bad in (np.nan, np.inf):
            logits[4, -1] = bad
            assert np.isnan(survey(logits, drawable).totals).tolist() == [False] * 4 + [True]
    kernels.choose("")


@pytest.mark.parametrize("case", ["linear", "dynamic", "yarn", "longrope"])
def test_cosines_are_made_as_far_as_positions_reach_and_are_torchs(case: str) -> None:
    rope = llama.TINY[case].rope
    made = Waves(rope, 8, 64, 5000)
    made.reach(10)
    assert made.made < 2000
    made.reach(3000)
    angle = torch.arange(5000)[:, None] * torch.from_numpy(speeds(rope, 8, 64, 5000))
    wanted = torch.cat((angle.cos(), angle.sin()), 1) * rope.scale
    assert np.abs(made.table[:3000] - wanted[:3000].numpy()).max() < 2e-7
    assert np.array_equal(made.table[:3000], waves(rope, 8, 64, 5000)[:3000])
