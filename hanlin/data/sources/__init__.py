"""Kinds of files: one file each, which says what names it reads and yields `Row`s, or what is wrong with one.

A kind defines `SUFFIXES` and `rows(file, settings) -> Iterator[Row | DataError]`. It reads as a stream: memory does
not grow with the file. After an error the next row follows, where there can be one. A kind that leaves some rows out
says so in `notes(files) -> list[str]`.
"""
