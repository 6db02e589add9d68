"""The gate before step 1: what a run will be graded on, and whether that can be what its user meant.

`check.inspect` takes `inputs.Inputs` and gives a `report.Report`; each file of checks is one thought.
"""
