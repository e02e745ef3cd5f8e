"""Checks that need no trust: conservation, replay, parity."""
