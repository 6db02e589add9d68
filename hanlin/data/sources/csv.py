"""Tables as text: the first line names the columns; fields stand between commas, semicolons or tabs."""

import csv
from collections.abc import Iterator

from hanlin.core.errors import DataError
from hanlin.data.example import Row
from hanlin.data.opened import LONGEST_LINE, File, lines, suffix, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".csv", ".tsv")


def rows(file: File, _: SourceSettings) -> Iterator[Row | DataError]:
    """The rows below the head. A row's line is where it begins."""
    csv.field_size_limit(LONGEST_LINE)
    begin = 1
    try:
        source = lines(file)
        head = next((line for line in source if line.text.strip()), None)
        if head is None:
            raise wrong(file, 1, "the file is empty", "leave it out")
        mark = "\t" if suffix(file.name) == ".tsv" else max(",;\t", key=head.text.count)
        names = next(csv.reader([head.text], delimiter=mark, strict=True))
        if len(set(names)) < len(names):
            raise wrong(file, head.number, f"two columns have one name: {', '.join(names)}", "rename one of them")
        reader = csv.reader((line.text for line in source), delimiter=mark, strict=True)
        begin = head.number + 1
        for fields in reader:
            if len(fields) == len(names):
                yield Row(dict(zip(names, fields, strict=True)), file.name, begin)
            elif fields:
                what = f"the row has {len(fields)} fields, the head {len(names)} ({', '.join(names)})"
                yield wrong(file, begin, what, 'put a field that holds a comma or a line break between "…"')
            begin = head.number + reader.line_num + 1
    except csv.Error as error:
        yield wrong(file, begin, f"the table is broken: {error}", 'write a quotation mark inside a field as ""')
    except DataError as error:
        yield error
