"""One file per stage of the tour: TITLE and WHY in each language, and `run(guide)`, which yields notes.

A stage that makes something the next ones need yields the guide that has it.
"""
