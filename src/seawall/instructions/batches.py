"""Settlements of many accounts in one instruction.

The accounts are rows of the account table (``first``, ``count``; without a count all that follow), or a list of
``users``. Each is settled as by an instruction of its own with the same signer and time, in order: what is refused
stays as it was, the others go on. At most ``MAX_ACCOUNTS`` accounts; ``Venue.results`` tells what became of each.
"""

from typing import Final

from seawall.instructions.base import Instruction, UserRef
from seawall.records import u16, u32

MAX_ACCOUNTS: Final = 100_000
"""Most accounts of one batch."""


class SettlePnlBatch(Instruction, frozen=True, kw_only=True):
    """Settle the P&L of many users in a perp market, each as ``SettlePnl`` does. Signer: anyone.

    For a market in Settlement there is ``SettleExpiredBatch``. Source: pools-and-pnl.md §4, §5.
    """

    market_index: u16
    first: u32 = 0
    count: u32 | None = None
    users: list[UserRef] | None = None


class SettleExpiredBatch(Instruction, frozen=True, kw_only=True):
    """Close the positions of many users in a perp market in Settlement, each as ``SettlePnl`` does. Signer: anyone.

    Source: pools-and-pnl.md §7.2.
    """

    market_index: u16
    first: u32 = 0
    count: u32 | None = None
    users: list[UserRef] | None = None


class SettleFundingBatch(Instruction, frozen=True, kw_only=True):
    """Settle the funding of all perp positions of many users, each as ``SettleFundingPayment`` does. Signer: anyone.

    Source: instructions.md §2.2.
    """

    first: u32 = 0
    count: u32 | None = None
    users: list[UserRef] | None = None
