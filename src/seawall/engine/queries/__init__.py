"""Questions about a venue: answered from the present state, on a transaction that is never committed."""
