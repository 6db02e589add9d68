"""What clients send, as typed settings: each field is honoured, or refused by name."""
