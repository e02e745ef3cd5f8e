"""Velocity's borrow interest: the rate with many kinks, and the accrual with two carve-outs and their remainders.

Source: velocity/balances.md §3, §4; ``controller/spot_balance.rs``, ``math/spot_balance.rs``.
"""

from typing import Final

from seawall.arithmetic import SPOT_UTILIZATION_PRECISION, checked_u128, pow10, sub_checked, sub_saturating
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.interest import (
    at_least_the_minimum,
    calculate_spot_market_utilization,
    interest_increments,
    note_accrual,
    rate_below_optimum,
    update_spot_market_twap_stats,
    update_spot_market_twap_stats_without_oracle,
)
from seawall.state.enums import SPOT_UPDATE_CUMULATIVE_INTEREST
from seawall.state.facts import InterestFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.spot_market import PoolBalance, SpotMarket

SEGMENT_ENDS: Final = (850_000, 900_000, 950_000, 990_000, 995_000, 1_000_000)
"""Utilization (1e6) at which each segment of the rate above the optimum ends."""

SEGMENT_WEIGHTS: Final = (50, 100, 150, 200, 250, 250)
"""Share (1e3) of the rise from the optimal to the maximum rate that falls to each segment."""


@rule
def calculate_borrow_rate(spot_market: SpotMarket, utilization: int) -> int:
    """Annual borrow rate (1e6): a line up to the optimum, six segments above it, never below the minimum.

    Beyond full utilization it stays where all segments are added. An optimum above 85 % fails as soon as utilization
    passes it: deliberate, it is the program's. ``MathError``. Source: velocity/balances.md §3.
    """
    if utilization <= spot_market.optimal_utilization:
        return at_least_the_minimum(spot_market, rate_below_optimum(spot_market, utilization))
    rise = sub_checked(spot_market.max_borrow_rate, spot_market.optimal_borrow_rate)
    rate = spot_market.optimal_borrow_rate
    start = spot_market.optimal_utilization
    for i in range(6):
        width = sub_checked(SEGMENT_ENDS[i], start)
        segment = rise * SEGMENT_WEIGHTS[i] // 1_000
        if utilization <= SEGMENT_ENDS[i]:
            rate += segment * (utilization - start) // width
            break
        rate += segment
        start = SEGMENT_ENDS[i]
    return at_least_the_minimum(spot_market, rate)


@rule
def calculate_accumulated_interest(spot_market: SpotMarket, now: int) -> tuple[int, int]:
    """Increments of the borrow and the deposit index (1e10) since ``last_interest_ts``; (0, 0) before or at it.

    Lenders are never credited more whole tokens than borrowers are charged: the deposit increment is cut to that.
    Source: velocity/balances.md §3; ``math/spot_balance.rs::calculate_accumulated_interest``.
    """
    if now <= spot_market.last_interest_ts:
        return 0, 0
    utilization = calculate_spot_market_utilization(spot_market)
    if utilization == 0:
        return 0, 0
    rate = calculate_borrow_rate(spot_market, utilization)
    elapsed = now - spot_market.last_interest_ts
    borrow_interest, deposit_interest = interest_increments(spot_market, rate, utilization, elapsed)
    precision = pow10(19 - spot_market.decimals)
    credited = spot_market.deposit_balance * deposit_interest // precision
    charged = spot_market.borrow_balance * borrow_interest // precision
    if credited > charged:
        deposit_interest = deposit_interest * charged // credited
    return borrow_interest, deposit_interest


@rule
def split_deposit_interest(deposit_interest: int, spot_market: SpotMarket) -> tuple[int, int, int]:
    """Split an increment of the deposit index (1e10): lenders, insurance, protocol. They add up to it exactly.

    What is lost to rounding waits for the next split: the carve-out's remainder against the lenders on the revenue
    pool, that of insurance against the protocol on the protocol fee pool. The latter falls to what a lower carve-out
    admits, less than one unit is forfeited: deliberate, it is the program's.
    Source: velocity/balances.md §4.2; ``math/spot_balance.rs::split_deposit_interest``.
    """
    insurance_factor = spot_market.insurance_fund.if_fee_factor
    factor = insurance_factor + spot_market.protocol_fee_factor
    revenue_pool = spot_market.revenue_pool
    protocol_pool = spot_market.protocol_fee_pool
    total = deposit_interest * factor + revenue_pool.pending_interest_split_dust
    carved_out = total // SPOT_UTILIZATION_PRECISION
    for_lenders = sub_checked(deposit_interest, carved_out)
    carried = min(protocol_pool.pending_interest_split_dust, sub_saturating(factor, 1))
    for_insurance = 0
    revenue_pool.pending_interest_split_dust = total % SPOT_UTILIZATION_PRECISION
    protocol_pool.pending_interest_split_dust = 0
    if factor > 0:
        weighted = carved_out * insurance_factor + carried
        for_insurance = weighted // factor
        protocol_pool.pending_interest_split_dust = weighted % factor
    return for_lenders, for_insurance, carved_out - for_insurance


@rule
def get_interest_token_amount_with_dust(
    deposit_balance: int, interest: int, spot_market: SpotMarket, pool: PoolBalance
) -> int:
    """Whole tokens of a cut (1e10) on all deposits (scaled 1e9); the rest of a token waits on the pool.

    Source: velocity/balances.md §4.3; ``math/spot_balance.rs::get_interest_token_amount_with_dust``.
    """
    precision = pow10(19 - spot_market.decimals)
    total = deposit_balance * interest + pool.pending_interest_dust
    pool.pending_interest_dust = total % precision
    return total // precision


@rule
def commit_interest(spot_market: SpotMarket, borrow_interest: int, deposit_interest: int, now: int) -> None:
    """Raise both indices and credit the two pools. Both cuts are valued before either pool is credited.

    Source: velocity/balances.md §4.1 step 3.
    """
    for_lenders, for_insurance, for_protocol = split_deposit_interest(deposit_interest, spot_market)
    balance = spot_market.deposit_balance
    revenue = get_interest_token_amount_with_dust(balance, for_insurance, spot_market, spot_market.revenue_pool)
    fees = get_interest_token_amount_with_dust(balance, for_protocol, spot_market, spot_market.protocol_fee_pool)
    spot_market.cumulative_deposit_interest += for_lenders
    spot_market.cumulative_borrow_interest += borrow_interest
    spot_market.last_interest_ts = now
    deposit_into_pool(revenue, spot_market, spot_market.revenue_pool)
    deposit_into_pool(fees, spot_market, spot_market.protocol_fee_pool)


@rule
def accrue_interest(spot_market: SpotMarket, now: int, funding_paused: bool, facts: InterestFacts) -> None:
    """Apply the interest since the last accrual, drop the span where nothing is lent, or leave it for later.

    A paused span is dropped for good, a span whose interest is too small to show is retried: both deliberate.
    Source: velocity/balances.md §4.1; ``controller/spot_balance.rs::update_spot_market_cumulative_interest``.
    """
    if funding_paused or spot_market.paused_operations & SPOT_UPDATE_CUMULATIVE_INTEREST != 0:
        skip_span(spot_market, now)
        return
    borrow_interest, deposit_interest = calculate_accumulated_interest(spot_market, now)
    if deposit_interest > 0 and borrow_interest > 1:
        commit_interest(spot_market, borrow_interest, deposit_interest, now)
        note_accrual(spot_market, facts)
    elif calculate_spot_market_utilization(spot_market) == 0:
        # nothing is lent out, or too little to count
        skip_span(spot_market, now)


@rule
def skip_span(spot_market: SpotMarket, now: int) -> None:
    """The clock of interest moves on, never back: what lies behind it is not charged to anybody."""
    if now > spot_market.last_interest_ts:
        spot_market.last_interest_ts = checked_u128(now)


@rule
def update_spot_market_cumulative_interest(
    spot_market: SpotMarket, oracle: OraclePriceData, now: int, funding_paused: bool, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics with the oracle price. ``funding_paused``: the exchange's Funding bit.

    Source: velocity/balances.md §4.1.
    """
    accrue_interest(spot_market, now, funding_paused, facts)
    update_spot_market_twap_stats(spot_market, oracle, now)


@rule
def update_spot_market_cumulative_interest_without_oracle(
    spot_market: SpotMarket, now: int, funding_paused: bool, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics without an oracle price. Source: velocity/balances.md §4.1."""
    accrue_interest(spot_market, now, funding_paused, facts)
    update_spot_market_twap_stats_without_oracle(spot_market, now)
