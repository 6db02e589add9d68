"""The tour: the whole life of a model on real text, on this machine. A stage is a file in `stages/`.

Each stage yields notes; the terminal prints them as they come and the report keeps them.
"""
