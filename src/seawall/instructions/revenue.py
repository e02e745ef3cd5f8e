"""Revenue settlement into the insurance fund."""
