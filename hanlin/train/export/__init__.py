"""A run folder in; a model that runs everywhere out, with the proof that it is the one that was trained.

trained.py      what a run folder holds: the network, its adapter, where it comes from
probe.py        what models are compared on
certificate.py  the comparison
card.py         the page that goes with the weights
export.py       all of it in order
"""
