"""The scan over escrows (Velocity): which builders and referrers a market's P&L pool can pay, and what never can be."""

from collections.abc import Iterator

import msgspec

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, sub_saturating
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.instructions.amm import UpdateAmms
from seawall.instructions.base import Instruction, encode
from seawall.instructions.revenue_share import ForfeitRevenueShareOrder, SettleRevenueShare
from seawall.keeper.rows import copy_markets
from seawall.keys import key_to_text
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.revenue_share import is_referral_row
from seawall.rules.velocity.revenue_share_payout import is_row_due, revenue_share_reserve
from seawall.state.enums import (
    FEATURE_BUILDER_CODES,
    PERP_SETTLE_REV_POOL,
    STATUS_DELISTED,
    STATUS_SETTLEMENT,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import RevenueShareEscrow

SLICE = 256
"""Escrows that one question looks at."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done for an escrow in a market, as canonical JSON; ``refresh``: what gives it a fresh AMM first."""

    escrow: str
    market_index: int
    instruction: str
    refresh: str


class SharesFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice of the escrows held; ``waiting``: rows that are due, and that their pool cannot pay."""

    escrows: int
    looked_at: int
    shares: list[Share] = []
    waiting: int = 0


class AskShares(msgspec.Struct, frozen=True, kw_only=True, tag="shares"):
    """Which of the escrows from row ``first`` on can be paid."""

    first: int = 0

    def take(self, store: Store, clock: Clock) -> tuple[Store, list[RevenueShareEscrow], int]:
        """The markets and the escrows; none where no market owes a share."""
        table = store.revenue_share_escrows
        if not any(market.pending_revenue_share for market in store.perp_markets.objects):
            return copy_markets(store), [], 0
        rows = range(self.first, min(self.first + SLICE, table.count))
        return copy_markets(store), [table.read(row) for row in rows], table.count

    def answer(self, taken: tuple[Store, list[RevenueShareEscrow], int], clock: Clock) -> SharesFound:
        """Look at every row of every escrow."""
        store, escrows, count = taken
        found: list[Share] = []
        waiting = 0
        for escrow in escrows:
            for index, market in enumerate(store.perp_markets.objects):
                if market.pending_revenue_share:
                    due = list(_due(store, escrow, market))
                    shares = list(_payable(store, escrow, index, market, due))
                    waiting += len(due) if not shares else 0
                    found += shares
        return SharesFound(escrows=count, looked_at=len(escrows), shares=found, waiting=waiting)


def _due(store: Store, escrow: RevenueShareEscrow, market: PerpMarket) -> Iterator[tuple[int, int]]:
    """The rows of a market that are due, with what they accrued (quote 1e6)."""
    codes_on = store.state.objects[0].feature_bit_flags & FEATURE_BUILDER_CODES != 0
    for number, row in enumerate(escrow.rows):
        if is_row_due(row, market) and (codes_on or is_referral_row(row)):
            yield number, row.fees_accrued


def _payable(
    store: Store, escrow: RevenueShareEscrow, index: int, market: PerpMarket, due: list[tuple[int, int]]
) -> Iterator[Share]:
    authority = key_to_text(escrow.authority)
    if not due or market.paused_operations & PERP_SETTLE_REV_POOL:
        return
    price = store.oracles.objects[market.amm.oracle_index].price
    if market.status == STATUS_SETTLEMENT:
        price = market.expiry_price
    try:
        reserve = revenue_share_reserve(market, price)
    except SettlementError:
        return
    held = get_pool_token_amount(market.pnl_pool, store.spot_markets.objects[QUOTE_SPOT_MARKET_INDEX])
    if market.status != STATUS_DELISTED and min(amount for _, amount in due) <= sub_saturating(held, reserve):
        pay = SettleRevenueShare(escrow=authority, market_index=index)
        yield _share(authority, index, pay)
    if market.status in (STATUS_SETTLEMENT, STATUS_DELISTED):
        for number, _ in due:
            yield _share(authority, index, ForfeitRevenueShareOrder(escrow=authority, row=number, market_index=index))


def _share(authority: str, index: int, instruction: Instruction) -> Share:
    refresh = encode(UpdateAmms(market_indexes=[index])).decode()
    return Share(escrow=authority, market_index=index, instruction=encode(instruction).decode(), refresh=refresh)
