"""Questions about insurance: what a share and a stake are worth, what the next settlement brings, what it has earned.

Amounts are in tokens, rates and prices 1e6, times in unix seconds.
"""

import msgspec

from seawall.arithmetic import ONE_YEAR, PERCENTAGE_PRECISION, div_trunc
from seawall.engine.gates import is_paused, require_not_paused
from seawall.engine.handlers.revenue import revenue_limits
from seawall.engine.handlers.velocity.revenue import require_market_withdraw, snapshot_limits
from seawall.engine.receipts import Clock, Limit
from seawall.engine.store import Store
from seawall.engine.transaction import Transaction
from seawall.errors import SettlementError
from seawall.keys import DEFAULT_KEY, key_from_text
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    calculate_share_price,
    if_shares_to_vault_amount,
    seconds_until_unstaking,
)
from seawall.rules.common.insurance_stakes import is_healthy_utilization
from seawall.rules.common.revenue import seconds_until_revenue_settle
from seawall.rules.drift.insurance import calculate_if_shares_lost as shares_lost_drift
from seawall.rules.drift.revenue import settle_revenue_to_insurance_fund as settle_drift
from seawall.rules.velocity.insurance import calculate_if_shares_lost as shares_lost_velocity
from seawall.rules.velocity.receivable import get_insurance_fund_nav
from seawall.rules.velocity.revenue import settle_revenue_to_insurance_fund as settle_velocity
from seawall.state.enums import EXCHANGE_FUNDING_PAUSED, EXCHANGE_WITHDRAW_PAUSED, RULEBOOK_DRIFT
from seawall.state.facts import InterestFacts, RevenueSettleFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, SpotMarket


class SharePoint(msgspec.Struct, frozen=True):
    """A fund's vault (with what it is owed) and shares at one time: two of them give what a share earned between."""

    at: int
    insurance_fund_vault: int
    total_shares: int
    shares_base: int


class NextSettlement(msgspec.Struct, frozen=True):
    """The next revenue settlement if nothing but time passes until then.

    ``at`` is when it is due (the present time if it is due now). ``amount`` counts the interest accrued by then;
    ``minted_shares`` become the protocol's (Velocity: ballast). ``apr`` is what a share gains by it, taken for a year.
    ``limits`` are the caps that will bind; ``refusal`` is the error that will stop it, or empty.
    """

    at: int
    amount: int
    minted_shares: int
    apr: int
    limits: list[Limit] = []
    refusal: str = ""


class FundView(msgspec.Struct, frozen=True):
    """One insurance fund. ``share_price`` is tokens a share (floor); ``next_settlement`` None: settlement is off.

    ``fund_value`` is what all shares are worth together. Velocity alone: ``protocol_shares`` are ballast, which nobody
    can withdraw; ``revenue_receivable`` is what the fund is owed by the spot vault; ``last_settle_value`` is the fund's
    lowest value since the last settlement, which the next one's APR cap looks at.
    """

    market_index: int
    now: int
    insurance_fund_vault: int
    total_shares: int
    user_shares: int
    protocol_shares: int
    shares_base: int
    share_price: int
    user_value: int
    protocol_value: int
    unstaking_period: int
    unstaking_open: bool
    last_revenue_settle_ts: int
    next_settlement: NextSettlement | None
    fund_value: int
    revenue_receivable: int = 0
    last_settle_value: int = 0

    @property
    def point(self) -> SharePoint:
        """What to keep of this view in order to ask for the realised APR later."""
        return SharePoint(self.now, self.fund_value, self.total_shares, self.shares_base)


class RequestView(msgspec.Struct, frozen=True):
    """A pending request: its frozen value, what its shares are worth now, and what removing or cancelling costs.

    ``payout`` is the smaller of both; ``forfeited_by_removal`` is left to the other holders. Cancelling burns
    ``shares_lost_by_cancelling``. It may be removed from ``removable_at`` on, while the market's utilization allows.
    """

    shares: int
    frozen_value: int
    value: int
    payout: int
    forfeited_by_removal: int
    shares_lost_by_cancelling: int
    removable_at: int
    seconds_to_wait: int


class StakeView(msgspec.Struct, frozen=True):
    """One stake. Shares are in the fund's present base; ``stored_base`` differs where the stake was not rebased yet."""

    authority: str
    market_index: int
    if_shares: int
    stored_base: int
    shares_base: int
    value: int
    cost_basis: int
    gain: int
    request: RequestView | None


def insurance_fund(store: Store, clock: Clock, market_index: int) -> FundView:
    """A fund as a share holder finds it now, rebased; ``SpotMarketNotFound``."""
    tx = Transaction(store, clock, DEFAULT_KEY)
    market = tx.spot_market(market_index).copy()
    fund = market.insurance_fund
    vault = tx.vaults(market_index).insurance_fund_vault
    value = get_insurance_fund_nav(market, vault)
    upcoming = _next_settlement(tx, market.copy())
    apply_rebase_to_insurance_fund(value, fund)
    protocol_shares = fund.total_shares - fund.user_shares
    return FundView(
        market_index=market_index,
        now=tx.now,
        insurance_fund_vault=vault,
        total_shares=fund.total_shares,
        user_shares=fund.user_shares,
        protocol_shares=protocol_shares,
        shares_base=fund.shares_base,
        share_price=calculate_share_price(fund.total_shares, value),
        user_value=if_shares_to_vault_amount(fund.user_shares, fund.total_shares, value),
        protocol_value=if_shares_to_vault_amount(protocol_shares, fund.total_shares, value),
        unstaking_period=fund.unstaking_period,
        unstaking_open=is_healthy_utilization(market),
        last_revenue_settle_ts=fund.last_revenue_settle_ts,
        next_settlement=upcoming,
        fund_value=value,
        revenue_receivable=value - vault,
        last_settle_value=market.if_last_settle_vault_amount,
    )


def _next_settlement(tx: Transaction, market: SpotMarket) -> NextSettlement | None:
    fund = market.insurance_fund
    if fund.revenue_settle_period <= 0:
        return None
    at = tx.now + seconds_until_revenue_settle(fund, tx.now)
    value = get_insurance_fund_nav(market, tx.vaults(market.market_index).insurance_fund_vault)
    shares_before = fund.total_shares
    facts = RevenueSettleFacts()
    try:
        _settle(tx, market, at, facts)
    except SettlementError as error:
        return NextSettlement(at, 0, 0, 0, _limits(tx, facts, value), error.code.name)
    return NextSettlement(
        at,
        facts.amount,
        fund.total_shares - shares_before,
        _settlement_apr(value, facts.amount, shares_before, fund),
        _limits(tx, facts, value),
    )


def _settle(tx: Transaction, market: SpotMarket, at: int, facts: RevenueSettleFacts) -> None:
    """What the crank will do with a market (a copy) at a time, pauses as they are."""
    vaults = tx.vaults(market.market_index)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    if tx.state.rulebook == RULEBOOK_DRIFT:
        settle_drift(vaults.spot_vault, vaults.insurance_fund_vault, market, at, True, InterestFacts(), facts)
        return
    require_market_withdraw(tx, market.market_index)
    settle_velocity(
        vaults.spot_vault, vaults.insurance_fund_vault, market, at, True, is_paused(tx, EXCHANGE_FUNDING_PAUSED),
        tx.config.revenue_receivable, InterestFacts(), facts,
    )  # fmt: skip


def _limits(tx: Transaction, facts: RevenueSettleFacts, value: int) -> list[Limit]:
    if tx.state.rulebook == RULEBOOK_DRIFT:
        return revenue_limits(facts)
    return revenue_limits(facts) + snapshot_limits(facts, value)


def _settlement_apr(value: int, amount: int, shares_before: int, fund: InsuranceFund) -> int:
    if value == 0 or shares_before == 0:
        return 0
    after = SharePoint(fund.revenue_settle_period, value + amount, fund.total_shares, fund.shares_base)
    return realised_apr(SharePoint(0, value, shares_before, fund.shares_base), after)


def realised_apr(first: SharePoint, last: SharePoint) -> int:
    """What a share gained between two points, taken for a year without compounding (1e6; negative: it lost).

    Rebases in between do not matter. 0 where a share had no price at the first point, or no time has passed.
    """
    if last.at <= first.at or first.insurance_fund_vault == 0 or first.total_shares == 0 or last.total_shares == 0:
        return 0
    before = first.insurance_fund_vault * last.total_shares * 10**last.shares_base
    after = last.insurance_fund_vault * first.total_shares * 10**first.shares_base
    return div_trunc((after - before) * PERCENTAGE_PRECISION * ONE_YEAR, before * (last.at - first.at))


def insurance_stake(store: Store, clock: Clock, authority: str, market_index: int) -> StakeView:
    """A stake as its owner finds it now, rebased; ``InsuranceFundStakeNotFound``."""
    tx = Transaction(store, clock, DEFAULT_KEY)
    stored = tx.stake(key_from_text(authority), market_index)
    market = tx.spot_market(market_index)
    fund = market.insurance_fund.copy()
    fund_value = get_insurance_fund_nav(market, tx.vaults(market_index).insurance_fund_vault)
    stake = stored.copy()
    apply_rebase_to_insurance_fund(fund_value, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    value = if_shares_to_vault_amount(stake.if_shares, fund.total_shares, fund_value)
    request = None
    # a request that a rebase rounds to 0 can be cancelled under Velocity, so that it is still one
    pending = stake if tx.state.rulebook == RULEBOOK_DRIFT else stored
    if pending.last_withdraw_request_shares != 0:
        request = _request(tx, stake, fund, fund_value)
    return StakeView(
        authority=authority,
        market_index=market_index,
        if_shares=stake.if_shares,
        stored_base=stored.if_base,
        shares_base=fund.shares_base,
        value=value,
        cost_basis=stake.cost_basis,
        gain=value - stake.cost_basis,
        request=request,
    )


def _request(tx: Transaction, stake: InsuranceFundStake, fund: InsuranceFund, fund_value: int) -> RequestView:
    """A pending request, its stake and fund rebased."""
    shares, frozen_value = stake.last_withdraw_request_shares, stake.last_withdraw_request_value
    worth = if_shares_to_vault_amount(shares, fund.total_shares, fund_value)
    payout = min(worth, frozen_value)
    shares_lost = shares_lost_drift if tx.state.rulebook == RULEBOOK_DRIFT else shares_lost_velocity
    return RequestView(
        shares=shares,
        frozen_value=frozen_value,
        value=worth,
        payout=payout,
        forfeited_by_removal=worth - payout,
        shares_lost_by_cancelling=shares_lost(shares, frozen_value, fund.total_shares, fund_value),
        removable_at=stake.last_withdraw_request_ts + fund.unstaking_period,
        seconds_to_wait=seconds_until_unstaking(stake, fund, tx.now),
    )
