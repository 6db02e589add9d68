"""Run folders in; tables, curves, comparisons and a self-contained page out.

read.py     metrics.jsonl and its neighbours
look.py     one run at a glance
compare.py  several runs side by side
curves.py   pictures
page.py     the HTML
"""
