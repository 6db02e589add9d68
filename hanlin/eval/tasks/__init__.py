"""One file for each task: `hanlin eval MODEL name` takes the `TASK` of that file.

What it says is `hanlin.eval.task.Task`; tests/contracts/test_tasks.py meets a new one at once, through its own
examples.
"""
