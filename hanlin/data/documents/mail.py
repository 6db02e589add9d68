"""E-mail: messages by themselves and boxes of them; the plain text of a message, else that of its page."""

import email
import email.policy
import mailbox
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.documents._pages import page
from hanlin.data.opened import File, suffix, unpacked
from hanlin.data.settings import SourceSettings

SUFFIXES = (".eml", ".mbox")
LONGEST_MESSAGE = 64 << 20
"""Bytes, attachments included; these are left out."""


def documents(file: File, _: SourceSettings) -> Iterator[Document | Refused]:
    """The messages of a file."""
    for number, raw in enumerate(_messages(file), 1):
        if len(raw) > LONGEST_MESSAGE:
            yield Refused(file.name, number, f"a message of {len(raw):,} bytes; {LONGEST_MESSAGE:,} are the most")
            continue
        try:
            yield _document(email.message_from_bytes(raw, policy=email.policy.default), file.name, number)
        except (DataError, LookupError, ValueError) as error:
            yield Refused(file.name, number, getattr(error, "what", f"the message cannot be read: {error}"))


def _messages(file: File) -> Iterator[bytes]:
    if suffix(file.name) == ".eml":
        with unpacked(file.path) as source:
            yield source.read(LONGEST_MESSAGE + 1)
        return
    with closing(mailbox.mbox(file.path, create=False)) as box:
        for key in box.iterkeys():
            with box.get_file(key) as source:
                yield source.read(LONGEST_MESSAGE + 1)


def _document(message: EmailMessage, path: str, number: int) -> Document:
    body = message.get_body(("plain", "html"))
    if body is None:
        raise DataError("the message has no text", "leave it out")
    text = body.get_content()
    if body.get_content_type() == "text/html":
        text = page(text).text
    if not text.strip():
        raise DataError("the message has no text", "leave it out")
    attached = sum(1 for _ in message.iter_attachments())
    facts = {"from": str(message.get("from", ""))} | ({"attachments_left_out": attached} if attached else {})
    return Document(
        text, path=path, number=number, title=str(message.get("subject", "")), time=_time(message), facts=facts
    )


def _time(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(str(message["date"])).isoformat() if message["date"] else ""
    except ValueError:
        return ""
