"""Tokenizers learnt from text: their settings, how they cut it, the four kinds, their marks."""
