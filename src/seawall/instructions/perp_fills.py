"""Perp fills and open-order reservations."""
