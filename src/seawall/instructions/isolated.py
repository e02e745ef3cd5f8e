"""Collateral of isolated positions (Velocity)."""
