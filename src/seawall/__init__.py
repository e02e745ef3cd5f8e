"""Seawall: exact, durable accounting, settlement, revenue and insurance for perpetual and borrow/lend venues."""

from seawall.engine.receipts import Clock, Receipt
from seawall.engine.venue import Request, Venue
from seawall.errors import ErrorCode, SettlementError

__all__ = ["Clock", "ErrorCode", "Receipt", "Request", "SettlementError", "Venue"]
__version__ = "0.1.0"
