"""Storage: journal entries, snapshots, and the stores that keep them."""
