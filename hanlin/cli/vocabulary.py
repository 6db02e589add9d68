"""A model's tokenizer alone: a name in, the tokenizer out, without torch and without touching a weight."""

from pathlib import Path

from hanlin.text.tokenizer import Tokenizer


def open_tokenizer(name: str | None) -> tuple[str, Tokenizer]:
    """The name of the model and its tokenizer; the model is fetched first if it is not here.

    Raises:
        StoreError: no such model, or it cannot be fetched.
        TokenizerError: it has no tokenizer, or a damaged one.
        WeightsError: the .gguf file is damaged.
    """
    from hanlin.cli.models import fetched
    from hanlin.model.store import DEFAULT

    path = fetched(name)
    return DEFAULT if name is None else name, tokenizer_of(path)


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer of a .gguf file, a Hugging Face folder, or a folder holding one .gguf.

    Raises:
        TokenizerError: there is none, or it is damaged.
        WeightsError: the .gguf file is damaged.
    """
    if (gguf := gguf_in(path)) is not None:
        from hanlin.model.gguf.read import GGUFFile
        from hanlin.text.gguf import from_metadata

        return from_metadata(GGUFFile.open(gguf).metadata)
    from hanlin.text.folder import load_folder

    return load_folder(path)


def gguf_in(path: Path) -> Path | None:
    """The .gguf file that a model's place means, if it means one: itself, or the one in a folder without config."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    return files[0] if files and not (path / "config.json").is_file() else None
