"""The rulebook drift: Drift Protocol v2.84.0, to the last unit."""
