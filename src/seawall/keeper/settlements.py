"""The settlement scan: whose P&L is worth settling, and whose positions in an expired market are to be closed.

What the markets alone refuse is found once for all accounts: a paused market, a pool without an excess, which winners
must settle for themselves.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from seawall.arithmetic import AMM_RESERVE_PRECISION, QUOTE_SPOT_MARKET_INDEX, div_trunc
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.keeper.rows import Glance, Position, copy_markets, copy_rows, glances
from seawall.keys import key_from_text
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.pnl import excess_over_net_user_pnl
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.drift.pnl import calculate_pnl_pool_excess
from seawall.state.enums import (
    EXCHANGE_SETTLE_PNL_PAUSED,
    PERP_SETTLE_PNL,
    PERP_SETTLE_PNL_WITH_POSITION,
    POSITION_BANKRUPT,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    MarketStatus,
)
from seawall.state.perp_market import PerpMarket

SLICE: Final = 4_096
"""Accounts that one question looks at."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """An account whose P&L in a market can probably be settled; ``pnl`` (quote 1e6) without the funding that is due."""

    user: str
    row: int
    market_index: int
    pnl: int
    expired: bool = False


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A market in which nobody's P&L, or no winner's, can be settled by a keeper now, and how many that held back."""

    market_index: int
    because: str
    accounts: int
    expired: bool
    next_at: int | None = None


class SettlementsFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice held: losers before winners. ``expiring``: some market is in Settlement and has users yet."""

    accounts: int
    looked_at: int
    settlements: list[Settlement] = []
    closed: list[Closed] = []
    expiring: bool = False


class AskSettlements(msgspec.Struct, frozen=True, kw_only=True, tag="settlements"):
    """Whose P&L of ``count`` accounts from row ``first`` on a keeper (``signer``) could settle, from ``least`` on."""

    signer: str
    first: int = 0
    count: int = SLICE
    least: int = 1_000_000

    def take(self, store: Store, clock: Clock) -> tuple[Store, bytearray, int]:
        """The markets and the rows."""
        return copy_markets(store), copy_rows(store, self.first, min(self.count, SLICE)), store.users.count

    def answer(self, taken: tuple[Store, bytearray, int], clock: Clock) -> SettlementsFound:
        """A quick look at every row."""
        store, rows, accounts = taken
        if not store.state.objects:
            return SettlementsFound(accounts=0, looked_at=0)
        doors = [_Door(store, clock, market) for market in store.perp_markets.objects]
        signer = key_from_text(self.signer)
        found: list[Settlement] = []
        number = -1
        for number, seen in enumerate(glances(rows)):
            if seen.positions and not seen.is_closed and not seen.status & USER_BANKRUPT:
                found += self._of_account(doors, self.first + number, seen, seen.authority == signer)
        found.sort(key=lambda settlement: settlement.pnl)
        return SettlementsFound(
            accounts=accounts,
            looked_at=number + 1,
            settlements=found,
            closed=[closed for door in doors for closed in door.told()],
            expiring=any(door.expired and door.market.number_of_users for door in doors),
        )

    def _of_account(self, doors: "list[_Door]", row: int, seen: Glance, is_owner: bool) -> Iterator[Settlement]:
        if any(p.flag & POSITION_BANKRUPT for p in seen.positions):
            return
        for position in seen.positions:
            if position.market_index >= len(doors) or (position.base == 0 and position.quote == 0):
                continue
            door = doors[position.market_index]
            pnl = door.pnl(position)
            if (door.expired or abs(pnl) >= self.least) and door.lets(position, pnl, is_owner or seen.is_latched):
                yield Settlement(
                    user=seen.ref, row=row, market_index=position.market_index, pnl=pnl, expired=door.expired
                )


class _Door:
    """A perp market as settlements find it: open or closed, for everybody or for winners."""

    def __init__(self, store: Store, clock: Clock, market: PerpMarket) -> None:
        self.market = market
        self.expired = market.status == STATUS_SETTLEMENT
        self.price = market.expiry_price if self.expired else store.oracles.objects[market.amm.oracle_index].price
        self.next_at: int | None = None
        state = store.state.objects[0]
        self.closed = self._closed(state.exchange_status, state.settlement_duration, clock.unix_timestamp)
        self.winners = "" if self.closed or self.expired else self._why_no_winners(store)
        self._held_back = 0
        self._winners_held_back = 0

    def _closed(self, exchange_status: int, settlement_duration: int, now: int) -> str:
        market = self.market
        if exchange_status & EXCHANGE_SETTLE_PNL_PAUSED:
            return "settlements are paused on the exchange"
        if market.paused_operations & PERP_SETTLE_PNL:
            return "settlements are paused in the market"
        if market.status == STATUS_DELISTED:
            return "the market is delisted"
        if self.expired:
            first = market.expiry_ts + settlement_duration + 1
            if now < first:
                self.next_at = first
                return "positions may be closed only a settlement_duration after the expiry"
            return ""
        if market.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY):
            return f"the market is {MarketStatus(market.status).name}"
        return ""

    def _why_no_winners(self, store: Store) -> str:
        """Why a keeper can settle no winner, or empty. Whoever owns the account can do more."""
        quote = store.spot_markets.objects[QUOTE_SPOT_MARKET_INDEX]
        try:
            net = calculate_net_user_pnl(self.market.amm, self.price)
            if store.state.objects[0].rulebook == RULEBOOK_VELOCITY:
                excess = excess_over_net_user_pnl(get_pool_token_amount(self.market.pnl_pool, quote), net)
            else:
                excess = calculate_pnl_pool_excess(self.market, quote, net)
        except SettlementError as error:
            return f"{error.code.name}: the P&L of all users is not known at this price"
        return "" if excess > 0 else "the P&L pool has no excess: winners settle for themselves"

    def pnl(self, position: Position) -> int:
        """P&L (quote 1e6) of a position at the market's price, without the funding that is due."""
        value = div_trunc(position.base * max(self.price, 0), AMM_RESERVE_PRECISION) if position.base else 0
        return value + position.quote

    def lets(self, position: Position, pnl: int, is_privileged: bool) -> bool:
        """Whether a settlement may pass; those held back are counted."""
        if self.closed or (position.base and self._needs_no_base()):
            self._held_back += 1
            return False
        if pnl > 0 and self.winners and not is_privileged:
            self._winners_held_back += 1
            return False
        return True

    def _needs_no_base(self) -> bool:
        """Whether only closed positions may be settled."""
        if self.market.paused_operations & PERP_SETTLE_PNL_WITH_POSITION:
            return True
        return not self.expired and self.market.status != STATUS_ACTIVE

    def told(self) -> Iterator[Closed]:
        """What held accounts back, if anything did."""
        index = self.market.market_index
        if self._held_back:
            because = self.closed or "positions with base cannot be settled now"
            yield Closed(
                market_index=index, because=because, accounts=self._held_back, expired=self.expired,
                next_at=self.next_at,
            )  # fmt: skip
        if self._winners_held_back:
            held_back = self._winners_held_back
            yield Closed(market_index=index, because=self.winners, accounts=held_back, expired=False)
