"""What is due in the markets: found from the state alone, with the time at which it will be due where that is known."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.queries.insurance import insurance_fund
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.instructions.amm import UpdateAmms, UpdateFundingRate
from seawall.instructions.base import Instruction, encode, user_key
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.pnl import SettleExpiredMarket, SettleExpiredMarketPoolsToRevenuePool
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.solvency import ResolvePerpPnlDeficit
from seawall.keeper.rows import copy_markets
from seawall.rules.common.expiry import pools_release_ts
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.statistics import on_the_hour_update
from seawall.state.enums import (
    EXCHANGE_FUNDING_PAUSED,
    PERP_SETTLE_REV_POOL,
    PERP_UPDATE_FUNDING,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    MarketStatus,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket

INTEREST_EVERY: Final = 300
"""Seconds after which a spot market's interest is accrued although nobody touched it."""

SWEEP_EVERY: Final = 3_600
"""Velocity: pending fees are swept once in each of these periods, before revenue settles."""

NO_MARK: Final = -1

ORDER: Final = (
    "amm_refresh", "funding", "fee_sweep", "revenue", "interest", "deficit", "expiry", "pools_release",
)  # fmt: skip


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """One crank of one market: the instruction (canonical JSON) where it is due, otherwise why it is not.

    ``blocked``: it would be due, but is refused. ``next_at``: when it is due, as far as time alone decides; ``then``:
    when it will be due next, if it is done now.
    ``mark``: what it is due for, a price or an hour: what was cranked for a mark is not cranked for it again.
    ``refresh``: the instruction that refreshes the AMM where this one is refused because nobody has.
    """

    name: str
    subject: str
    instruction: str = ""
    because: str = ""
    blocked: bool = False
    next_at: int | None = None
    then: int | None = None
    mark: int = NO_MARK
    refresh: str = ""


class Prospects(msgspec.Struct, frozen=True, kw_only=True):
    """All market cranks in the order in which they are done. ``has_liquidator``: whether the account exists."""

    rulebook: str
    accounts: int
    has_liquidator: bool
    items: list[Prospect] = []


class AskMarkets(msgspec.Struct, frozen=True, kw_only=True, tag="markets"):
    """What is due in all markets now; whether the account ``liquidator`` exists."""

    liquidator: str
    interest_every: int = INTEREST_EVERY

    def take(self, store: Store, clock: Clock) -> tuple[Store, int, bool]:
        """The markets."""
        return copy_markets(store), store.users.count, user_key(self.liquidator) in store.users.index

    def answer(self, taken: tuple[Store, int, bool], clock: Clock) -> Prospects:
        """Every crank of every market."""
        store, accounts, has_liquidator = taken
        if not store.config.objects:
            return Prospects(rulebook="", accounts=0, has_liquidator=False)
        finder = _Finder(store, clock, self.interest_every)
        items = sorted(finder.all(), key=lambda prospect: ORDER.index(prospect.name))
        rulebook = store.config.objects[0].rulebook
        return Prospects(rulebook=rulebook, accounts=accounts, has_liquidator=has_liquidator, items=items)


def perp(index: int) -> str:
    """A perp market as a subject."""
    return f"perp market {index}"


def spot(index: int) -> str:
    """A spot market as a subject."""
    return f"spot market {index}"


class _Finder:
    """Looks for what is due in a copy of the markets."""

    def __init__(self, store: Store, clock: Clock, interest_every: int) -> None:
        self.store = store
        self.clock = clock
        self.now = clock.unix_timestamp
        self.interest_every = interest_every
        self.state = store.state.objects[0]
        self.is_velocity = self.state.rulebook == RULEBOOK_VELOCITY

    def all(self) -> Iterator[Prospect]:
        """Everything, market by market."""
        for index, market in enumerate(self.store.perp_markets.objects):
            if market.status == STATUS_DELISTED:
                continue
            if market.status != STATUS_SETTLEMENT:
                yield self._amm_refresh(index, market)
                yield self._funding(index, market)
                yield self._deficit(index, market)
                if market.expiry_ts:
                    yield self._expiry(index, market)
            else:
                yield self._pools_release(index, market)
            if self.is_velocity:
                yield self._sweep(index, market)
        for index, spot_market in enumerate(self.store.spot_markets.objects):
            if spot_market.status != STATUS_DELISTED:
                yield self._interest(index, spot_market)
            if spot_market.insurance_fund.revenue_settle_period > 0:
                yield self._revenue(index)

    def _amm_refresh(self, index: int, market: PerpMarket) -> Prospect:
        posted = self.store.oracles.objects[market.amm.oracle_index].valid_slot
        about = partial(Prospect, name="amm_refresh", subject=perp(index))
        if posted <= market.amm.last_update_slot:
            return about(because="no price was posted since the last refresh")
        return about(instruction=_text(UpdateAmms(market_indexes=[index])), mark=posted)

    def _funding(self, index: int, market: PerpMarket) -> Prospect:
        about = partial(Prospect, name="funding", subject=perp(index))
        amm = market.amm
        at = self.now + on_the_hour_update(self.now, amm.last_funding_rate_ts, amm.funding_period)
        if at > self.now:
            return about(because="not due", next_at=at)
        paused = ""
        if market.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY):
            paused = f"the market is {MarketStatus(market.status).name}"
        elif market.paused_operations & PERP_UPDATE_FUNDING:
            paused = "funding is paused in the market"
        elif self.state.exchange_status & EXCHANGE_FUNDING_PAUSED:
            paused = "funding is paused on the exchange"
        if paused:
            return about(because=paused, blocked=True)
        then = self.now + on_the_hour_update(self.now, self.now, amm.funding_period)
        return about(instruction=_text(UpdateFundingRate(market_index=index)), next_at=at, then=then)

    def _sweep(self, index: int, market: PerpMarket) -> Prospect:
        about = partial(Prospect, name="fee_sweep", subject=perp(index))
        ledger = market.fee_ledger
        pending = ledger.pending_protocol_fee + ledger.pending_if_fee + ledger.pending_amm_provision
        if self.store.config.objects[0].tokenize_spread_surplus:
            pending += ledger.pending_amm_surplus
        if pending == 0:
            return about(because="no fees are pending")
        if market.paused_operations & PERP_SETTLE_REV_POOL:
            return about(because="sweeps are paused in the market", blocked=True)
        sweep = SweepPerpMarketFees(market_index=index)
        hour = self.now // SWEEP_EVERY
        return about(
            instruction=_text(sweep), mark=hour, then=(hour + 1) * SWEEP_EVERY, refresh=_refresh(index)
        )  # fmt: skip

    def _revenue(self, index: int) -> Prospect:
        about = partial(Prospect, name="revenue", subject=spot(index))
        try:
            upcoming = insurance_fund(self.store, self.clock, index).next_settlement
        except SettlementError as error:
            return about(because=str(error), blocked=True)
        assert upcoming is not None
        if upcoming.at > self.now:
            return about(because="not due", next_at=upcoming.at)
        settle = SettleRevenueToInsuranceFund(spot_market_index=index)
        period = self.store.spot_markets.objects[index].insurance_fund.revenue_settle_period
        then = self.now + on_the_hour_update(self.now, self.now, period)
        return about(instruction=_text(settle), next_at=upcoming.at, then=then)

    def _interest(self, index: int, market: SpotMarket) -> Prospect:
        about = partial(Prospect, name="interest", subject=spot(index))
        at = market.last_twap_ts + self.interest_every
        if at > self.now:
            return about(because="not due", next_at=at)
        accrue = UpdateSpotMarketCumulativeInterest(market_index=index)
        return about(instruction=_text(accrue), next_at=at, then=self.now + self.interest_every)

    def _deficit(self, index: int, market: PerpMarket) -> Prospect:
        about = partial(Prospect, name="deficit", subject=perp(index))
        if market.amm.total_fee_minus_distributions >= 0:
            return about(because="the AMM is not in the red")
        quote = self.store.spot_markets.objects[QUOTE_SPOT_MARKET_INDEX]
        if not self.is_velocity and get_pool_token_amount(market.pnl_pool, quote) > 0:
            return about(because="the P&L pool is not empty")
        resolve = ResolvePerpPnlDeficit(spot_market_index=QUOTE_SPOT_MARKET_INDEX, perp_market_index=index)
        return about(instruction=_text(resolve), refresh=_refresh(index) if self.is_velocity else "")

    def _expiry(self, index: int, market: PerpMarket) -> Prospect:
        about = partial(Prospect, name="expiry", subject=perp(index))
        if market.expiry_ts > self.now:
            return about(because="not due", next_at=market.expiry_ts)
        return about(instruction=_text(SettleExpiredMarket(market_index=index)), next_at=market.expiry_ts)

    def _pools_release(self, index: int, market: PerpMarket) -> Prospect:
        about = partial(Prospect, name="pools_release", subject=perp(index))
        if self.state.settlement_duration == 0:
            return about(because="settlement_duration is 0: pools are never released", blocked=True)
        at = pools_release_ts(market.expiry_ts, self.state.settlement_duration) + 1
        if at > self.now:
            return about(because="not due", next_at=at)
        if market.number_of_users_with_base:
            waiting = f"{market.number_of_users_with_base} positions are not closed yet"
            return about(because=waiting, blocked=True)
        return about(instruction=_text(SettleExpiredMarketPoolsToRevenuePool(market_index=index)))


def _refresh(index: int) -> str:
    return _text(UpdateAmms(market_indexes=[index]))


def _text(instruction: Instruction) -> str:
    return encode(instruction).decode()
