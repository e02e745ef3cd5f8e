"""Rules that both rulebooks share."""
