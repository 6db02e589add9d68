"""One file per verb; each defines `command`, a click command. Its docstring's first line is the verb's line in `hanlin --help`."""
