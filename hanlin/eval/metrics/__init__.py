"""One file for each metric: `use = "name"` picks the file of that name, whose `Metric` is a frozen settings class.

What it must answer to is `hanlin.eval.metric.Metric`; tests/contracts/test_metrics.py meets a new one at once.
"""
