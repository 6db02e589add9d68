"""What a model is trained to do: one file each, named by `objective.use`; the loop is the same for all.

A file defines `Objective`, a frozen settings class (see `hanlin.train.objective.Objective`).
"""
