"""Forms of a row: one file each, which says what rows it can be and reads one as an `Example`.

A form defines `KINDS` (the examples it gives), `RANK` (lower is tried first), `COLUMNS` (what it looks for, in words),
`matches(value, settings) -> bool`, `read(row, settings) -> Example` and `EXAMPLES`: pairs of a value and its example.
"""
