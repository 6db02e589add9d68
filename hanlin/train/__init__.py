"""Training: a run file in, a generator of `Step`s, a run folder out.

objectives/   what is learnt: one file each, one loop for all
optimisers/   how weights move; schedules/ how fast over time
loop.py       the loop
"""
