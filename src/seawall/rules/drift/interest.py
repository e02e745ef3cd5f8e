"""Drift's borrow interest: the rate with one kink, and the accrual with the stakers' part for the revenue pool.

Source: balances.md §4; ``controller/spot_balance.rs``, ``math/spot_balance.rs``.
"""

from seawall.arithmetic import IF_FACTOR_PRECISION, SPOT_UTILIZATION_PRECISION, pow10, sub_checked
from seawall.errors import ErrorCode, SettlementError
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
from seawall.state.spot_market import SpotMarket


@rule
def calculate_borrow_rate(spot_market: SpotMarket, utilization: int) -> int:
    """Annual borrow rate (1e6) on the one-kink curve; it goes on rising above full utilization.

    ``MathError`` for a curve that falls or has its kink at 100 %. Source: balances.md §4.1.
    """
    optimal = spot_market.optimal_utilization
    if utilization > optimal:
        spread = sub_checked(spot_market.max_borrow_rate, spot_market.optimal_borrow_rate)
        room = sub_checked(SPOT_UTILIZATION_PRECISION, optimal)
        if room == 0:
            raise SettlementError(ErrorCode.MathError)
        slope = spread * SPOT_UTILIZATION_PRECISION // room
        rate = spot_market.optimal_borrow_rate + (utilization - optimal) * slope // SPOT_UTILIZATION_PRECISION
    else:
        rate = rate_below_optimum(spot_market, utilization)
    return at_least_the_minimum(spot_market, rate)


@rule
def calculate_accumulated_interest(spot_market: SpotMarket, now: int) -> tuple[int, int]:
    """Increments of the borrow and the deposit index (1e10) since ``last_interest_ts``.

    The borrow increment carries a systematic +1: deliberate, it is the program's.
    ``MathError`` when the clock is before the last interest. Source: balances.md §4.2.
    """
    utilization = calculate_spot_market_utilization(spot_market)
    if utilization == 0:
        return 0, 0
    rate = calculate_borrow_rate(spot_market, utilization)
    if now < 0:
        raise SettlementError(ErrorCode.UnableToCastUnixTime)
    elapsed = sub_checked(now, spot_market.last_interest_ts)
    return interest_increments(spot_market, rate, utilization, elapsed)


@rule
def accrue_interest(spot_market: SpotMarket, now: int, facts: InterestFacts) -> None:
    """Apply the interest since the last accrual; the stakers' part becomes revenue at the new deposit index.

    Nothing is applied, and no time is lost, while the increments are too small or all would go to the stakers.
    Source: balances.md §4.3.
    """
    borrow_interest, deposit_interest = calculate_accumulated_interest(spot_market, now)
    if deposit_interest <= 0 or borrow_interest <= 1:
        return
    for_stakers = deposit_interest * spot_market.insurance_fund.total_factor // IF_FACTOR_PRECISION
    for_lenders = sub_checked(deposit_interest, for_stakers)
    if for_lenders <= 0:
        return
    spot_market.cumulative_deposit_interest += for_lenders
    spot_market.cumulative_borrow_interest += borrow_interest
    spot_market.last_interest_ts = now
    revenue = spot_market.deposit_balance * for_stakers // pow10(19 - spot_market.decimals)
    deposit_into_pool(revenue, spot_market, spot_market.revenue_pool)
    note_accrual(spot_market, facts)


@rule
def update_spot_market_cumulative_interest(
    spot_market: SpotMarket, oracle: OraclePriceData, now: int, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics with the oracle price.

    A paused accrual (UpdateCumulativeInterest) only skips the first. Source: balances.md §4.3.
    """
    if spot_market.paused_operations & SPOT_UPDATE_CUMULATIVE_INTEREST == 0:
        accrue_interest(spot_market, now, facts)
    update_spot_market_twap_stats(spot_market, oracle, now)


@rule
def update_spot_market_cumulative_interest_without_oracle(
    spot_market: SpotMarket, now: int, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics without an oracle price. Source: balances.md §4.3."""
    if spot_market.paused_operations & SPOT_UPDATE_CUMULATIVE_INTEREST == 0:
        accrue_interest(spot_market, now, facts)
    update_spot_market_twap_stats_without_oracle(spot_market, now)
