"""Every kind of document on real files of it, made here; hostile ones end as a refusal with the reason."""

import bz2
import email.message
import gzip
import io
import lzma
import mailbox
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from hanlin.core.errors import DataError
from hanlin.core.plugins import find
from hanlin.data.apart import Apart
from hanlin.data.corpus.kinds import kinds
from hanlin.data.corpus.settings import OriginSettings
from hanlin.data.document import Document, Refused
from hanlin.data.documents.code import licence_of
from hanlin.data.files import files
from hanlin.data.opened import File, suffix

SENTENCE = "The river of that valley was quiet in winter, and the people who lived there walked to the market on foot."
CHINESE = "山里的河很安静，人们带着面包走路去集市，孩子们在学校里读书，老人在大树下面慢慢地喝茶。"
PAGE = f"""<html lang="en"><head><title>A valley</title><meta name="date" content="2024-05-06"></head><body>
<nav><a href="/">Home</a><a href="/login">Log in</a></nav><article><h1>A valley</h1><p>{SENTENCE}</p><p>{SENTENCE[::1]}
Again.</p><p>{CHINESE}</p></article><footer>Cookie policy. All rights reserved.</footer></body></html>"""


def read(path: Path, **more: object) -> list[Document | Refused]:
    origin = OriginSettings.model_validate({"path": str(path), **more})
    kind = find("hanlin.data.documents", kinds()[suffix(path.name)])
    return list(kind.documents(File(path, path.name), origin))


def only(path: Path) -> Document:
    (found,) = read(path)
    assert isinstance(found, Document), found
    return found


def reason(path: Path) -> str:
    (found,) = read(path)
    assert isinstance(found, Refused), found
    return found.what


def packed(path: Path, parts: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for name, content in parts.items():
            box.writestr(name, content)
    return path


def docx(path: Path, text: str) -> Path:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    return packed(
        path,
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{relation}" Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>'
            "</w:body></w:document>",
        },
    )


def epub(path: Path) -> Path:
    return packed(
        path,
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<metadata><dc:title>A valley</dc:title></metadata><manifest>"
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/></spine></package>',
            "a.xhtml": f"<html><body><p>{SENTENCE}</p></body></html>",
        },
    )


def pdf(path: Path, text: str, password: str = "") -> Path:
    import matplotlib.pyplot as plt
    from pypdf import PdfReader, PdfWriter

    page = plt.figure()
    if text:
        page.text(0.1, 0.5, text)
    page.savefig(path, format="pdf")
    plt.close(page)
    if password:
        writer = PdfWriter(clone_from=PdfReader(path))
        writer.encrypt(password)
        writer.write(path)
    return path


def test_a_page_gives_its_text_and_not_its_menu(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE, "utf-8")
    found = only(tmp_path / "a.html")
    assert SENTENCE in found.text
    assert CHINESE in found.text
    assert "Log in" not in found.text
    assert "Cookie" not in found.text
    assert (found.title, found.time) == ("A valley", "2024-05-06")


def test_a_page_without_text_and_one_nested_beyond_reason_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body><script>draw()</script></body></html>")
    assert "no text" in reason(tmp_path / "a.html")
    (tmp_path / "b.html").write_text("<div>" * 100_000 + "deep" + "</div>" * 100_000)
    assert "100,000 deep" in reason(tmp_path / "b.html")


def test_office_files_give_their_text(tmp_path: Path) -> None:
    import openpyxl
    import pptx

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["place", "people"])
    book.active.append(["valley", 1234])
    book.save(tmp_path / "a.xlsx")
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    assert slide.shapes.title is not None
    slide.shapes.title.text = SENTENCE
    show.save(str(tmp_path / "a.pptx"))
    assert "| valley | 1234 |" in only(tmp_path / "a.xlsx").text
    assert SENTENCE in only(tmp_path / "a.pptx").text
    assert only(docx(tmp_path / "a.docx", CHINESE)).text.strip() == CHINESE
    book_ = only(epub(tmp_path / "a.epub"))
    assert SENTENCE in book_.text
    assert "The river was quiet" in only(pdf(tmp_path / "a.pdf", "The river was quiet")).text


def test_locked_broken_and_poisonous_office_files_say_so(tmp_path: Path) -> None:
    assert "password" in reason(pdf(tmp_path / "locked.pdf", "secret", "word"))
    assert "no text" in reason(pdf(tmp_path / "picture.pdf", ""))
    cut = tmp_path / "cut.pdf"
    cut.write_bytes(pdf(tmp_path / "whole.pdf", "text").read_bytes()[:300])
    assert reason(cut)
    (tmp_path / "locked.docx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "password" in reason(tmp_path / "locked.docx")
    (tmp_path / "not.xlsx").write_text("a,b")
    assert "no .xlsx" in reason(tmp_path / "not.xlsx")
    bomb = packed(tmp_path / "bomb.docx", {"word/document.xml": bytes(80 << 20)})
    assert bomb.stat().st_size < 100_000
    assert "bomb" in reason(bomb)
    assert SENTENCE in only(docx(tmp_path / "after.docx", SENTENCE)).text, "the reader goes on"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import time; time.sleep(60)", "longer than 2 seconds"),
        ("import os; os._exit(7)", "died (exit status 7)"),
        ("bytearray(3 << 30)", "GiB of memory"),
        ("raise ValueError('odd')", "ValueError: odd"),
        ("def f(): f()\n    f()", "too deep"),
    ],
)
def test_a_reader_apart_is_bounded_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    (tmp_path / "poison.py").write_text(
        f"def bad():\n    {body}\n\ndef good(x):\n    print('noise')\n    return x + 1\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    apart = Apart("poison", seconds=2.0, memory=2 << 30)
    assert apart.call("good", x=1) == 2
    with pytest.raises(DataError) as caught:
        apart.call("bad")
    assert said in caught.value.what
    apart.seconds = 60.0
    assert apart.call("good", x=2) == 3
    apart.close()


def test_messages_give_their_words_and_say_what_is_left_out(tmp_path: Path) -> None:
    plain, rich = email.message.EmailMessage(), email.message.EmailMessage()
    plain["Subject"], plain["From"], plain["Date"] = "河", "a@example.org", "Mon, 06 May 2024 10:00:00 +0000"
    plain.set_content(CHINESE)
    plain.add_attachment(b"123", maintype="image", subtype="png")
    rich.set_content(PAGE, subtype="html")
    (tmp_path / "a.eml").write_bytes(bytes(plain))
    found = only(tmp_path / "a.eml")
    assert found.text.strip() == CHINESE
    assert (found.title, found.time) == ("河", "2024-05-06T10:00:00+00:00")
    assert found.facts == {"from": "a@example.org", "attachments_left_out": 1}
    box = mailbox.mbox(tmp_path / "all.mbox")
    box.add(plain)
    box.add(rich)
    box.add(email.message.EmailMessage())
    box.close()
    one, two, three = read(tmp_path / "all.mbox")
    assert isinstance(one, Document)
    assert isinstance(two, Document)
    assert SENTENCE in two.text
    assert isinstance(three, Refused)
    assert [it.number for it in (one, two, three)] == [1, 2, 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # warcio's writer leaves its digest open
def test_a_crawl_gives_pages_with_address_and_time(tmp_path: Path) -> None:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with (tmp_path / "a.warc.gz").open("wb") as raw:
        sink = WARCWriter(raw, gzip=True)
        for at, (status, kind, body) in enumerate(
            [
                ("200 OK", "text/html; charset=utf-8", PAGE),
                ("404 Not Found", "text/html", "gone"),
                ("200 OK", "image/png", ""),
            ]
        ):
            headers = StatusAndHeaders(status, [("Content-Type", kind)], protocol="HTTP/1.0")
            payload = io.BytesIO(body.encode())
            sink.write_record(
                sink.create_warc_record(f"http://a.org/{at}", "response", payload=payload, http_headers=headers)
            )
    good, gone = read(tmp_path / "a.warc.gz")
    assert isinstance(good, Document)
    assert good.path == "http://a.org/0"
    assert good.time
    assert SENTENCE in good.text
    assert isinstance(gone, Refused)
    assert "404" in gone.what
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes((tmp_path / "a.warc.gz").read_bytes()[:200])
    assert all(isinstance(it, Refused) for it in read(cut))


def test_a_dump_of_a_wiki_gives_articles_without_markup(tmp_path: Path) -> None:
    def entry(title: str, ns: int, text: str, more: str = "") -> str:
        return (
            f"<page><title>{title}</title><ns>{ns}</ns><id>7</id>{more}<revision><timestamp>2024-05-06T00:00:00Z</timestamp>"
            f"<text>{text}</text></revision></page>"
        )

    text = "'''河'''是[[水|流水]]。{{cite|x}}&lt;ref&gt;note&lt;/ref&gt;\n\n[[Category:Rivers]]"
    xml = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">'
        + entry("河", 0, text)
        + entry("Talk:河", 1, "talk")
        + entry("川", 0, "#REDIRECT [[河]]", '<redirect title="河"/>')
        + "</mediawiki>"
    )
    (tmp_path / "a.xml.bz2").write_bytes(bz2.compress(xml.encode()))
    found = only(tmp_path / "a.xml.bz2")
    assert found.text == "河是流水。"
    assert (found.title, found.licence, found.time) == ("河", "CC-BY-SA-4.0", "2024-05-06T00:00:00Z")
    (tmp_path / "b.xml").write_text("<rss><item>news</item></rss>")
    assert "no article" in reason(tmp_path / "b.xml")
    (tmp_path / "c.xml").write_text(xml[:-30])
    assert isinstance(read(tmp_path / "c.xml")[-1], Refused)


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, 12))
    (tmp_path / "a.xml").write_text(
        f'<!DOCTYPE mediawiki [<!ENTITY a0 "ha">{entities}]>'
        "<mediawiki><page><title>&a11;</title><ns>0</ns></page></mediawiki>"
    )
    assert all(isinstance(it, Refused) for it in read(tmp_path / "a.xml"))


def test_code_has_its_language_and_licence(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge, to any person")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("print(1)\n")
    (tmp_path / "src/b.rs").write_text("// SPDX-License-Identifier: MPL-2.0 OR MIT\nfn main() {}\n")
    licence_of.cache_clear()
    one, two = only(tmp_path / "src/a.py"), only(tmp_path / "src/b.rs")
    assert (one.licence, one.facts["programming"]) == ("MIT", "python")
    assert (two.licence, two.facts["programming"]) == ("MPL-2.0 OR MIT", "rust")
    (tmp_path / "d.c").write_text("/*\n * Licensed under the\n * Apache License, Version 2.0\n */\nint x;\n")
    assert only(tmp_path / "d.c").licence == "Apache-2.0"
    (tmp_path / "c.js").write_text("x" * (2 << 20))
    assert "made by a program" in reason(tmp_path / "c.js")


def test_rows_of_arrow_and_packed_text_are_read(tmp_path: Path) -> None:
    table = pa.table({"text": [SENTENCE, CHINESE]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as raw, pa.ipc.new_file(raw, table.schema) as sink:
        sink.write_table(table)
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as raw, pa.ipc.new_stream(raw, table.schema) as sink:
        sink.write_table(table)
    for name in ("a.arrow", "b.arrow"):
        found = read(tmp_path / name)
        assert [it.text for it in found if isinstance(it, Document)] == [SENTENCE, CHINESE]
    (tmp_path / "c.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:100])
    assert "damaged" in reason(tmp_path / "c.arrow")
    raw_text = (CHINESE + "\n").encode()
    for ending, pack in (
        ("gz", gzip.compress),
        ("zst", zstandard.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
    ):
        place = tmp_path / f"a.txt.{ending}"
        place.write_bytes(pack(raw_text * 50))
        assert CHINESE in only(place).text
        place.write_bytes(pack(os.urandom(1 << 16))[:3000])
        assert reason(place)


def test_archives_are_read_file_by_file_and_bombs_stop(tmp_path: Path) -> None:
    packed(
        tmp_path / "a.zip",
        {"x/a.html": PAGE, "b.txt": CHINESE, "c.png": b"\x89PNG", "d.zip": b"PK", "../e.txt": SENTENCE},
    )
    found = read(tmp_path / "a.zip")
    paths = {it.path: it for it in found}
    assert SENTENCE in getattr(paths["a.zip!x/a.html"], "text", "")
    assert getattr(paths["a.zip!b.txt"], "text", "").strip() == CHINESE
    assert isinstance(found[-1], Refused)
    assert "2 files" in found[-1].what
    assert not (tmp_path.parent / "e.txt").exists()
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as box:
        box.add(tmp_path / "a.zip", "in.zip")
        (tmp_path / "loop").symlink_to("loop")
        box.add(tmp_path / "loop", "loop.txt")
        (tmp_path / "f.txt").write_text(SENTENCE)
        box.add(tmp_path / "f.txt", "f.txt")
    assert [it.path for it in read(tmp_path / "a.tar.gz")] == ["a.tar.gz!f.txt", "a.tar.gz"]
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "a.tar.gz").read_bytes()[:400])
    assert any(isinstance(it, Refused) for it in read(tmp_path / "cut.tar.gz"))
    bomb = packed(tmp_path / "bomb.zip", {"a.txt": bytes(300 << 20)})
    assert "bomb" in reason(bomb)


def test_text_that_is_none_is_refused_and_loops_are_left(tmp_path: Path) -> None:
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    assert "NUL" in reason(tmp_path / "nul.txt")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    origin = OriginSettings.model_validate({"path": str(tmp_path)})
    assert [Path(it.name).name for it in files(origin, kinds())] == ["nul.txt"]


def test_old_encodings_are_found_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("繁體中文的老文件，裡面有許多故事和詩歌。" * 30).encode("big5"))
    found = only(tmp_path / "a.txt")
    assert "老文件" in found.text
    assert found.facts["encoding"] == "big5"
    (tmp_path / "b.txt").write_bytes(
        ("Déjà vu : l'été où nous étions à la mer, près du château. " * 30).encode("cp1252")
    )
    assert "été" in only(tmp_path / "b.txt").text
    (tmp_path / "c.txt").write_bytes(b"\x89PNG\r\n" + bytes(range(256)))
    assert "PNG" in reason(tmp_path / "c.txt")


def test_hanlin_data_reads_a_folder_of_all_kinds(tmp_path: Path) -> None:
    place = tmp_path / "heap"
    place.mkdir()
    (place / "a.html").write_text(PAGE, "utf-8")
    docx(place / "b.docx", SENTENCE)
    packed(place / "c.zip", {"x.txt": CHINESE})
    (place / "d.png").write_bytes(b"\x89PNG")
    (tmp_path / "run.toml").write_text(
        f'name = "heap"\nout = "{tmp_path / "out"}"\n[[sources]]\npath = "{place}"\n[split]\nvalidation = 0.0\n'
    )
    run = [sys.executable, "-c", "from hanlin.cli.main import main; main()", "data", str(tmp_path / "run.toml")]
    done = subprocess.run([*run, "--workers", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 × .png" in done.stdout + done.stderr
    import pyarrow.parquet as pq

    rows = [
        row for part in sorted((tmp_path / "out/parts").glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]
    assert sorted(Path(row["path"]).name for row in rows) == ["a.html", "b.docx", "c.zip!x.txt"]
