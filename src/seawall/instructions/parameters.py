"""Market parameters that only Velocity has."""
