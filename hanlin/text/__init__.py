"""Text and tokens: tokenizers, chat templates, messages. Needs no torch."""
