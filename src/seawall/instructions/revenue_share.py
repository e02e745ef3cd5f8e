"""Revenue shares of builders and referrers (Velocity)."""
