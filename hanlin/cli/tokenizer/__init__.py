"""What `hanlin tokenizer` does: corpora in, a learnt or extended tokenizer or a comparison out."""
