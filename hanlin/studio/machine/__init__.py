"""Parts of the machine page."""
