"""Creating markets."""
