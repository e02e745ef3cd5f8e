"""Insurance stakes."""
