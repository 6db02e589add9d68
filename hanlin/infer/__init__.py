"""Running a model: sampling, events, scores. Each long thing is an iterator; to cancel is to stop iterating."""
