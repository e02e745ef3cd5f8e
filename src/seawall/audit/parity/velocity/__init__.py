"""Facts and random cases of Velocity: how each function's inputs become records, and which are left out."""
