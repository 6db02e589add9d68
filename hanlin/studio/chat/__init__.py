"""Conversations: kept as trees of messages, asked of models, shown with what was likely."""
