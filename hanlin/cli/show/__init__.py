"""What `hanlin show` tells of a model, a part a file: the tensors in its files, config and tokenizer, the page."""
