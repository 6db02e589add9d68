"""Steps of a corpus run: one file each, which defines a class `Step`. See `hanlin/data/step.py`."""
