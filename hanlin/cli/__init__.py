"""The terminal: each verb of `hanlin` is the file of that name in `commands/`."""
