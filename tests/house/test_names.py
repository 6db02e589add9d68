"""Public names: what `import hanlin` offers exists and is explained, and the house speaks its own words."""

import ast
import re
from pathlib import Path

import hanlin
from house.walk import PACKAGE

FOREIGN = re.compile(r"\b(hidden_size|n_embd|n_head|n_layer|num_attention_heads|num_hidden_layers|intermediate_size)\b")
TRANSLATORS = ("model/families/", "model/blocks", "model/config", "model/rope", "model/weights")


def test_everything_the_package_offers_exists_and_has_a_docstring() -> None:
    for name in hanlin.__all__:
        assert name == "__version__" or getattr(hanlin, name).__doc__, name


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    try:
        hanlin.no_such_thing  # noqa: B018
    except AttributeError as error:
        assert "no_such_thing" in str(error)
    else:
        raise AssertionError("hanlin.no_such_thing exists")


def test_every_module_opens_by_saying_what_it_is(all_trees: dict[Path, ast.Module]) -> None:
    silent = [str(path) for path, tree in all_trees.items() if not ast.get_docstring(tree) and tree.body]
    assert not silent, "\n".join(silent)


def test_foreign_names_are_translated_once_in_the_families(trees: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}: {found}"
        for path in trees
        if not path.relative_to(PACKAGE).as_posix().startswith(TRANSLATORS)
        for found in FOREIGN.findall(path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)
