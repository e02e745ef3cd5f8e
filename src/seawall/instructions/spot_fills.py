"""Spot fills and the spot fee pool."""
