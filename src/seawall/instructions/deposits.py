"""Deposits, withdrawals, transfers and swaps."""
