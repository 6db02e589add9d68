"""Data: files in, `Row`s, then `Example`s, then `Marked` tokens, then `Batch`es out. Nothing here knows a model."""
