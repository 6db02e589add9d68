"""One file for each group of paths; each defines `router`, and `hanlin.serve.app` takes them all."""
