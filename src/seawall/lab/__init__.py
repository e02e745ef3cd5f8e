"""Scenarios: a venue, its people, a price path, and what came of it."""
