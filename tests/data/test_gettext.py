"""Catalogues of gettext become pairs of texts; damaged and hostile ones are told in two lines."""

import gettext
import gzip
import io
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hanlin.core.errors import DataError
from hanlin.data.batch import Marked
from hanlin.data.encode import encoded
from hanlin.data.example import Completion, Row
from hanlin.data.opened import File
from hanlin.data.read import rows
from hanlin.data.settings import DataSettings, SourceSettings
from hanlin.data.sources.gettext import notes

HEAD = "Content-Type: text/plain; charset={}\nPlural-Forms: nplurals=2; plural=n != 1;\n"
PAIRS = {
    "Open": "打开",
    "menu\4Open": "开启",
    "_Save as…": "另存为(_S)…",
    "%d file\0%d files": "%d 个文件\0%d 个文件们",
    'Two\nlines "quoted" \\ \t': "两\n行“引”\\ \t",
    "Word": "Word",
    "Nothing": " ",
}
WANTED = [
    ("Open", "打开", ""),
    ("Open", "开启", "menu"),
    ("_Save as…", "另存为(_S)…", ""),
    ("%d file", "%d 个文件", ""),
    ('Two\nlines "quoted" \\ \t', "两\n行“引”\\ \t", ""),
]
PO = r"""
# of somebody
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#: a.c:1
msgid "Open"
msgstr "打开"
msgctxt "menu"
msgid "Open"
msgstr "开启"

msgid "_Save as…"
msgstr ""
"另存为"
"(_S)…"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d 个文件"
msgstr[1] "%d 个文件们"

msgid "Two\nlines \"quoted\" \\ \t"
msgstr "两\n行“引”\\ \t"

msgid "Word"
msgstr "Word"

#, c-format, fuzzy
#| msgid "Guessing"
msgid "Guess"
msgstr "猜"

#~ msgid "Gone"
#~ msgstr "去"

msgid "Nothing"
msgstr ""
"""


def compiled(pairs: dict[str, str], order: str = "<", charset: str = "utf-8") -> bytes:
    """What msgfmt would write."""
    texts = sorted((key.encode(charset), value.encode(charset)) for key, value in pairs.items())
    begin = 28 + 16 * len(texts)
    tables, body = [b"", b""], b""
    for side in (0, 1):
        for pair in texts:
            tables[side] += struct.pack(f"{order}2I", len(pair[side]), begin + len(body))
            body += pair[side] + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 28)
    return head + b"".join(tables) + body


def catalogue(order: str = "<", charset: str = "utf-8") -> bytes:
    return compiled({"": HEAD.format(charset), **PAIRS}, order, charset)


def read(path: Path) -> list[Row | DataError]:
    return list(rows(SourceSettings(path=str(path))))


def pairs(path: Path) -> list[tuple[str, str, str]]:
    found = [row for row in read(path) if isinstance(row, Row)]
    return [(row.value["source"], row.value["translation"], row.value["context"]) for row in found]


@pytest.mark.parametrize(("order", "charset"), [("<", "utf-8"), (">", "utf-8"), ("<", "gb18030")])
def test_a_compiled_catalogue_gives_its_pairs(tmp_path: Path, order: str, charset: str) -> None:
    content = catalogue(order, charset)
    (tmp_path / "a.mo").write_bytes(content)
    (tmp_path / "b.mo.gz").write_bytes(gzip.compress(content))
    assert sorted(pairs(tmp_path / "a.mo")) == sorted(pairs(tmp_path / "b.mo.gz")) == sorted(WANTED)
    theirs = gettext.GNUTranslations(io.BytesIO(content))
    for source, translation, context in pairs(tmp_path / "a.mo"):
        if "%d" in source:
            assert theirs.ngettext(source, "", 1) == translation
        else:
            assert (theirs.pgettext(context, source) if context else theirs.gettext(source)) == translation


def test_a_catalogue_as_text_gives_the_same_with_lines(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text(PO, "utf-8")
    assert pairs(tmp_path / "a.po") == WANTED
    lines = PO.split("\n")
    found = [row for row in read(tmp_path / "a.po") if isinstance(row, Row)]
    assert [lines[row.line - 1] for row in found[:3]] == ['msgid "Open"', 'msgctxt "menu"', 'msgid "_Save as…"']


def test_what_is_left_out_is_counted_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text(PO, "utf-8")
    (tmp_path / "b.mo").write_bytes(catalogue())
    (note,) = notes([File(tmp_path / "a.po", "a.po"), File(tmp_path / "b.mo", "b.mo")])
    assert note.startswith("a.po and 1 more: 5 of 15 entries left out")  # Word and Nothing twice, and Guess
    source = SourceSettings(path=str(tmp_path), columns={"prompt": "{source}:", "completion": "{translation}"})
    mark = Marked(np.arange(3, dtype=np.int32))
    settings = DataSettings(train=(source,), cache=str(tmp_path / "tokens"))
    made = encoded(source, lambda some: [mark] * len(some), (Completion,), "key", settings)
    assert len(made) == 2 * len(WANTED)
    assert [note.endswith("the source itself") for note in made.notes] == [True]
    assert not notes([File(tmp_path / "none.po", "none.po")])


LOOP = struct.pack("<7I", 0x950412DE, 0, 50_000, 28, 28, 0, 28) + struct.pack("<2I", 300_000, 28) * 50_000
HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.mo", b"", "line 1: the file is no compiled catalogue of gettext, or is damaged: it is empty"),
    "an image": ("a.mo", b"\x89PNG\r\n\x1a\n" + bytes(50), "line 1: the file is no compiled catalogue"),
    "cut in its head": ("a.mo", catalogue()[:15], "line 1: the file is no compiled catalogue"),
    "cut in its tables": ("a.mo", catalogue()[:60], "line 1: the file is no compiled catalogue"),
    "cut in its texts": ("a.mo", catalogue()[:-20], "line 1: the file is no compiled catalogue"),
    "no such charset": ("a.mo", compiled({"": HEAD.format("klingon"), "a": "b"}), "klingon"),
    "another charset": (
        "a.mo",
        catalogue(charset="gb18030").replace(b"=gb18030", b"=utf-8  "),
        "line 1: the file is no",
    ),
    "one text many times": ("a.mo", LOOP, "its texts are longer than its 400,028 bytes"),
    "a bomb": ("a.mo.gz", gzip.compress(bytes(1 << 27)), "line 1: the file has more than 67,108,864 bytes"),
    "cut gzip": ("a.mo.gz", gzip.compress(random.Random(0).randbytes(999))[:500], "line 1: the file is no compiled"),
    "no keyword": ("a.po", b'msgid "a"\nmsgstr "b"\n\n"c"\n', "line 4: '\"c\"' is no line of a catalogue"),
    "no end": ("a.po", b'msgid "a"\nmsgstr "b\n', "line 2: "),
    "not UTF-8": ("a.po", b'msgid "a"\nmsgstr "caf\xe9 noir"\n', "line 2: byte 0xe9"),
    "prose": ("a.po", b"Dear friend,\n", "line 1: 'Dear friend,' is no line of a catalogue"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_catalogues_are_told_in_two_lines(tmp_path: Path, case: str) -> None:
    name, content, message = HOSTILE[case]
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        *before, error = read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, DataError)
    assert not [row for row in before if isinstance(row, DataError)]
    assert f"{name}, line " in error.what
    assert message in error.what
    assert len(str(error).splitlines()) == 2
    assert peak < 100_000_000


def test_any_damage_gives_rows_or_an_error(tmp_path: Path) -> None:
    path, draw = tmp_path / "a.mo", random.Random(0)
    for name, whole in (("a.mo", catalogue()), ("a.po", PO.encode())):
        path = tmp_path / name
        for _ in range(400):
            content = bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                content[draw.randrange(len(content))] = draw.randrange(256)
            path.write_bytes(content)
            for row in read(path):
                assert isinstance(row, Row | DataError)
