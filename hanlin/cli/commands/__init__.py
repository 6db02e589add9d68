"""One file per verb; each defines `command`, a click command.

The first line of its docstring is the verb's line in `hanlin --help`.
"""
