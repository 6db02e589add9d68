"""Kinds of documents: one file each, which says what names it reads and yields `Document`s, or what it refuses.

A kind defines `SUFFIXES` and `documents(file, settings) -> Iterator[Document | Refused]`. It reads as a stream: memory
does not grow with the file. A document that cannot be read is refused with its reason, and the next one follows.
"""
