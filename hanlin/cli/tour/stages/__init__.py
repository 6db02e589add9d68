"""One file per stage of the tour: TITLE and WHY in each language, and `run(guide)`, which yields notes."""
