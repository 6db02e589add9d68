"""The forms models write calls in, one file each.

A file defines `recognise(one, two)`: the `Form` in which a template wrote a probe, or None; `OPENINGS`: texts that open
a call; `IS_BARE`: whether its own form is also to begin an answer without one; `read(reading)`: how the text after an
opening is read; `call_id(rng)` and `fitting_id(id)`: how calls are numbered.
"""
