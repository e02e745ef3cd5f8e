"""What the owner of an account may set."""
