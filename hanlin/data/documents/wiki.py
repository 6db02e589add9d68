"""Dumps of MediaWiki (`pages-articles.xml.bz2`): each article's latest text, without its markup."""

from collections.abc import Iterator
from typing import Any

from hanlin.data.document import Document, Refused
from hanlin.data.opened import File, damaged, unpacked
from hanlin.data.settings import SourceSettings

SUFFIXES = (".xml",)
LICENCE = "CC-BY-SA-4.0"
"""Of Wikipedia and its sisters, where the source names none."""
LONGEST_ARTICLE = 8 << 20


def documents(file: File, settings: SourceSettings) -> Iterator[Document | Refused]:
    """The articles of a dump; talk, users, files and redirects are no documents."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    number = 0
    licence = "" if getattr(settings, "licence", "") else LICENCE
    try:
        with unpacked(file.path) as source:
            pages = etree.iterparse(source, tag="{*}page", resolve_entities=False, no_network=True, huge_tree=False)
            for _, entry in pages:
                told = _told(entry)
                entry.clear()
                while entry.getprevious() is not None:
                    del entry.getparent()[0]
                if told["ns"] != "0" or told["is_redirect"]:
                    continue
                number += 1
                yield _document(told, file.name, number, licence)
    except (etree.XMLSyntaxError, OSError, *damaged()) as error:
        yield Refused(file.name, number + 1, f"the file is no XML, or is damaged: {error}"[:300])
        return
    if not number:
        yield Refused(file.name, 1, "no article of a MediaWiki dump is in it")


def _told(entry: Any) -> dict[str, Any]:
    found = {name: str(entry.findtext(f"{{*}}{name}") or "") for name in ("title", "ns", "id")}
    revision = entry.find("{*}revision")
    text, time = ("", "") if revision is None else (revision.findtext("{*}text"), revision.findtext("{*}timestamp"))
    return {**found, "text": text or "", "time": time or "", "is_redirect": entry.find("{*}redirect") is not None}


def _document(told: dict[str, Any], path: str, number: int, licence: str) -> Document | Refused:
    import mwparserfromhell

    if len(told["text"]) > LONGEST_ARTICLE:
        return Refused(path, number, f"the article {told['title']} has {len(told['text']):,} characters")
    parsed = mwparserfromhell.parse(told["text"])
    for tag in parsed.filter_tags(recursive=True, matches=lambda node: str(node.tag).lower() in ("ref", "table")):
        try:
            parsed.remove(tag)
        except ValueError:  # it lay in one that was removed
            continue
    text = parsed.strip_code(normalize=True, collapse=True)
    lines = [line for line in text.splitlines() if not line.startswith(("File:", "Category:", "文件:", "分类:"))]
    text = "\n".join(lines).strip()
    if not text:
        return Refused(path, number, f"the article {told['title']} has no text")
    return Document(
        text,
        path=path,
        number=number,
        title=told["title"],
        time=told["time"],
        licence=licence,
        facts={"id": told["id"]},
    )
