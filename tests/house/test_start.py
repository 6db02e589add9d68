"""Our own kernels need no torch: importing it takes longer than a small model takes to load and to answer."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import pre_tokenizers

from hanlin import kernels
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.config import small
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.save import save_folder, save_gguf
from infer import tiny

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
HEAVY = ("torch", "pyarrow", "matplotlib", "llguidance", "rich", "psutil", "huggingface_hub")
CHECK = """
import runpy, sys
sys.argv = ["hanlin", *sys.argv[1:]]
try:
    from hanlin.cli.main import main
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder and a GGUF file of one tiny model."""
    tokenizer, path = tiny.tokenizer(), tmp_path_factory.mktemp("models")
    tokenizer.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # which GGUF has a name for
    config = llama.Config(**small(vocabulary=tokenizer.vocab_size))
    torch.manual_seed(0)
    network = Decoder(llama.parts(config)).eval()
    checkpoint = Checkpoint(network, config, "llama", tokenizer)
    save_folder(checkpoint, path / "folder")
    save_gguf(checkpoint, path / "model.gguf", "Q8_0")
    return path


@pytest.mark.parametrize(
    ("model", "verb", "options"),
    [
        ("model.gguf", "generate", ["--dtype", "stored", "-p", "he"]),
        ("model.gguf", "generate", ["--dtype", "int8", "-p", "he", "--chat", "--temperature", "1", "--top-p", "0.9"]),
        ("folder", "generate", ["--dtype", "int4", "-p", "he", "--repetition-penalty", "1.2", "--logprobs", "2"]),
        ("model.gguf", "chat", ["--dtype", "stored"]),
    ],
    ids=["stored", "drawn", "folder", "chat"],
)
def test_a_model_in_whole_numbers_answers_without_importing_torch(
    models: Path, model: str, verb: str, options: list[str]
) -> None:
    run = [sys.executable, "-c", CHECK.format(heavy=HEAVY), verb, "-m", str(models / model), *options]
    done = subprocess.run(
        [*run, "--max-tokens", "4"], input="你好 hello\n", capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip()
    assert done.stderr.splitlines()[-1] == ("['rich']" if verb == "chat" else "[]")  # it draws on the terminal


@pytest.mark.parametrize("kind", ["folder", "model.gguf"])
def test_an_answer_without_torch_is_the_answer_beside_it(models: Path, kind: str) -> None:
    def said(before: str) -> str:
        run = [sys.executable, "-c", f"{before}\n{SAY}", str(models / kind)]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    assert said("") == said("import torch") != ""


SAY = """
import sys, hanlin
events = hanlin.load(sys.argv[1], "int8").generate("he", max_tokens=6, temperature=1.0, seed=3, logprobs=2)
print([(event.token, event.logprob, event.top) for event in events])
"""
