"""The fee sweep, and withdrawals of the protocol's own pools (Velocity)."""
