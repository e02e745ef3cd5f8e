"""Funding rates of Velocity: a ramped premium, and an AMM that pays out of its own equity and settles its own part.

Rates are 1e9 quote per base, payments quote 1e6. Source: velocity/amm-and-funding.md §6, §7; ``controller/funding.rs``,
``math/funding.rs``, ``vlp/amm/quoter.rs``.
"""

from typing import Final

from seawall.arithmetic import clamp, div_trunc, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_k import formulaic_update_k
from seawall.rules.common.amm_spread import VELOCITY_FUNDING_OFFSET_DENOMINATOR
from seawall.rules.common.funding import (
    calculate_funding_payment,
    cap_and_spread_premium,
    get_capped_rate_of_receivers,
    note_funding_rate,
    rates_of_both_sides,
    store_funding_rates,
    update_twaps_for_funding,
)
from seawall.rules.velocity.amm_books import record_amm_pnl, record_credit
from seawall.rules.velocity.pools import draw_on_revenue_pool
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import CurveFacts, FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket

_BASIS_POINTS: Final = 10_000
_SLOPE_PRECISION: Final = 1_000_000


# --- the rate --------------------------------------------------------------------------------------------------


@rule
def calculate_premium_with_offset(price_spread: int, threshold: int, slope: int, offset: int) -> int:
    """Premium (1e6) that funding counts: none within the threshold, beyond it the excess by the slope (1e6).

    Source: velocity/amm-and-funding.md §6.2; ``math/funding.rs``.
    """
    excess = price_spread - clamp(price_spread, -threshold, threshold)
    return div_trunc(excess * slope, _SLOPE_PRECISION) + offset


@rule
def calculate_funding_rate(market: PerpMarket, mark_price_twap: int, oracle_price_twap: int) -> int:
    """Rate (1e9) of one period from the two TWAPs (1e6). ``MathError`` for a period above a day.

    Source: velocity/amm-and-funding.md §6.2.
    """
    magnitude = abs(oracle_price_twap)
    threshold = magnitude * market.funding_clamp_threshold // _BASIS_POINTS
    premium = calculate_premium_with_offset(
        mark_price_twap - oracle_price_twap,
        threshold,
        market.funding_ramp_slope,
        magnitude // VELOCITY_FUNDING_OFFSET_DENOMINATOR,
    )
    return cap_and_spread_premium(premium, oracle_price_twap, market.amm.funding_period, market.contract_tier)


@rule
def calculate_funding_limit(amm: AMM) -> int:
    """The most (≤ 0, quote 1e6) that the AMM pays with one update: a third of its equity.

    Source: velocity/amm-and-funding.md §6.3.
    """
    return -(max(0, amm.total_fee_minus_distributions) // 3)


@rule
def calculate_funding_rate_long_short(amm: AMM, funding_rate: int, drawn: int) -> tuple[int, int, int]:
    """Rates of the longs and the shorts (1e9), and what the AMM gets or pays (quote 1e6, capped); books nothing.

    ``drawn``: what the revenue pool adds to what the AMM may pay (0 where the venue does not draw), not yet booked.
    ``InvalidFundingProfitability`` where the AMM's own part would leave it without equity.
    Source: velocity/amm-and-funding.md §6.3; ``math/funding.rs::calculate_funding_rate_long_short``.
    """
    uncapped_pnl = -calculate_funding_payment(funding_rate, amm.base_asset_amount_with_amm)
    if uncapped_pnl >= 0:
        return funding_rate, funding_rate, uncapped_pnl
    limit = calculate_funding_limit(amm) - drawn
    pnl = uncapped_pnl
    receivers_rate = funding_rate
    if uncapped_pnl < limit:
        pnl = limit
        receivers_rate = get_capped_rate_of_receivers(amm, limit, funding_rate)
    own_part = pnl + drawn
    if own_part < 0 and amm.total_fee_minus_distributions + own_part < 0:
        raise SettlementError(ErrorCode.InvalidFundingProfitability)
    rate_long, rate_short = rates_of_both_sides(funding_rate, receivers_rate)
    return rate_long, rate_short, pnl


# --- the AMM's own part ----------------------------------------------------------------------------------------


@rule
def calculate_unscaled_payment(rate_delta: int, base: int) -> int:
    """A payment as ``calculate_funding_payment``, in 1e9 of quote. Source: ``math/funding.rs``."""
    magnitude = abs(rate_delta) * abs(base) // 1_000_000 // 1_000
    if (base > 0) == (rate_delta > 0):
        return -magnitude
    return magnitude


@rule
def calculate_amm_funding_payment(delta_long: int, delta_short: int, base_long: int, base_short: int) -> int:
    """What the AMM, the other side of all users, gets (> 0) or pays (quote 1e6) for both sides' rate changes (1e9).

    Rounded for both sides together, so it may differ from the market's funding P&L by units; deliberate.
    Source: velocity/amm-and-funding.md §7; ``math/funding.rs::calculate_amm_funding_payment``.
    """
    both = calculate_unscaled_payment(delta_long, -base_long) + calculate_unscaled_payment(delta_short, -base_short)
    return div_trunc(both, 1_000)


@rule
def stamp_amm_funding(amm: AMM) -> None:
    """The AMM owes and is owed no funding up to the present rates. ``CastingFailure`` beyond i64."""
    amm.last_cumulative_funding_rate_long = to_i64(amm.cumulative_funding_rate_long)
    amm.last_cumulative_funding_rate_short = to_i64(amm.cumulative_funding_rate_short)


@rule
def pay_amm_funding(amm: AMM) -> int:
    """Book the AMM's funding (quote 1e6, signed) since it last settled; the payment.

    Source: velocity/amm-and-funding.md §7; velocity/solvency.md §5.2 L.
    """
    payment = calculate_amm_funding_payment(
        amm.cumulative_funding_rate_long - amm.last_cumulative_funding_rate_long,
        amm.cumulative_funding_rate_short - amm.last_cumulative_funding_rate_short,
        amm.base_asset_amount_long,
        amm.base_asset_amount_short,
    )
    record_amm_pnl(amm, payment)
    stamp_amm_funding(amm)
    return payment


@rule
def settle_amm_funding(market: PerpMarket, facts: CurveFacts) -> None:
    """Pay the AMM its funding since it last settled, change k with it, and start its income count afresh.

    Source: velocity/amm-and-funding.md §7; ``vlp/amm/quoter.rs``.
    """
    amm: AMM = market.amm
    payment = pay_amm_funding(amm)
    if amm.curve_update_intensity > 0:
        formulaic_update_k(market, -payment, facts)
    amm.net_revenue_since_last_funding = 0


# --- the update ------------------------------------------------------------------------------------------------


@rule
def update_funding_rate(
    market: PerpMarket,
    spot_market: SpotMarket,
    oracle: OraclePriceData,
    guard_rails: OracleGuardRails,
    price: int,
    draw_for_funding: bool,
    now: int,
    slot: int,
    facts: FundingRateFacts,
) -> None:
    """Update a funding rate that is due (``is_funding_due``) at reserve price ``price``.

    ``spot_market``: the quote market, changed only where ``draw_for_funding`` lets the market draw on its revenue pool
    for what the AMM may not pay; its interest is accrued by the caller. ``InvalidFundingProfitability``, ``MathError``,
    ``BlockchainClockInconsistency``. Source: velocity/amm-and-funding.md §6; spec/README.md;
    ``controller/funding.rs::update_funding_rate``.
    """
    amm: AMM = market.amm
    oracle_price_twap, mark_price_twap = update_twaps_for_funding(
        market, oracle, guard_rails.validity, price, now, slot
    )
    rate = calculate_funding_rate(market, mark_price_twap, oracle_price_twap)
    uncapped_pnl = -calculate_funding_payment(rate, amm.base_asset_amount_with_amm)
    facts.funding_owed = max(0, -uncapped_pnl)
    facts.funding_shortfall = max(0, calculate_funding_limit(amm) - uncapped_pnl)
    if draw_for_funding:
        facts.revenue_pool_draw = draw_on_revenue_pool(market, spot_market, amm.fee_pool, facts.funding_shortfall, now)
    rate_long, rate_short, pnl = calculate_funding_rate_long_short(amm, rate, facts.revenue_pool_draw)
    record_credit(amm, facts.revenue_pool_draw)
    amm.cumulative_funding_rate_long += rate_long
    amm.cumulative_funding_rate_short += rate_short
    settle_amm_funding(market, facts.curve)
    amm.last_funding_oracle_twap = oracle_price_twap
    # the capped part: users hold no claim to what was not paid
    amm.net_unsettled_funding_pnl -= to_i64(pnl)
    store_funding_rates(amm, rate, rate_long, rate_short, now)
    note_funding_rate(market, mark_price_twap, oracle_price_twap, facts)
