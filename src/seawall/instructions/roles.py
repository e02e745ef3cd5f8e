"""Role keys, recipients and switches of the exchange (Velocity)."""
