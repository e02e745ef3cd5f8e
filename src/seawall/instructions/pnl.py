"""P&L settlement and market expiry."""
