"""How good a model is: tasks, metrics, reports, comparisons."""
