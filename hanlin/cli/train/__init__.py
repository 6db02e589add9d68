"""What `hanlin train` shows: rows as coloured text, what the gate found."""
