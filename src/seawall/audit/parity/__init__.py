"""Parity: replay what the real program did and compare every field that the engine models."""
