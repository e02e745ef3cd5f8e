"""Funding: the rate of a perp market, the AMM's part in it, and the payments of positions.

Rates are 1e9 quote per base, payments quote 1e6. Source: amm-and-funding.md §7; ``controller/funding.rs``,
``math/funding.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    BID_ASK_SPREAD_PRECISION,
    ONE_HOUR,
    TWENTY_FOUR_HOUR,
    clamp,
    div_trunc,
    sub_saturating,
    to_i64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import calculate_fee_pool, get_total_fee_lower_bound
from seawall.rules.common.amm_curve import NO_DIRECTION, ask_price, bid_price
from seawall.rules.common.amm_k import formulaic_update_k
from seawall.rules.common.amm_twaps import (
    perp_sanitize_clamp_denominator,
    update_mark_twap_from_estimates,
    update_oracle_price_twap,
)
from seawall.rules.common.oracles import (
    ACTION_UPDATE_FUNDING,
    is_oracle_valid_for_action,
    oracle_validity,
    perp_confidence_multiplier,
)
from seawall.rules.common.perp_positions import update_quote_asset_and_break_even_amount
from seawall.rules.common.statistics import calculate_new_twap, on_the_hour_update
from seawall.state.enums import (
    CONTRACT_TIER_A,
    CONTRACT_TIER_B,
    CONTRACT_TIER_C,
    LONG,
    PERP_UPDATE_FUNDING,
    SHORT,
)
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import FundingPaymentFacts, FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User

FUNDING_OFFSET_DENOMINATOR: Final = 5_000
"""The oracle TWAP over this is added to the premium: holding a long costs something even without one."""
_LEAST_DIVERGENCE_LIMIT: Final = 100_000


# --- payments --------------------------------------------------------------------------------------------------


@rule
def calculate_funding_payment(rate_delta: int, base: int) -> int:
    """What a change of the cumulative rate (1e9) pays (> 0) or costs a position of ``base`` (1e9), in quote (1e6).

    The magnitude is floored three times, so payer and receiver are both rounded toward zero; deliberate.
    Source: amm-and-funding.md §7.2; ``math/funding.rs::calculate_funding_payment``.
    """
    magnitude = abs(rate_delta) * abs(base) // 1_000_000 // 1_000 // 1_000
    if (base > 0) == (rate_delta > 0):
        return -magnitude
    return magnitude


@rule
def settle_funding_payment(user: User, position: PerpPosition, market: PerpMarket, facts: FundingPaymentFacts) -> None:
    """Pay a position the funding since it last settled; nothing without base or while its side's rate has not moved.

    ``CastingFailure`` for a payment beyond i64.
    Source: amm-and-funding.md §7.3; ``controller/funding.rs::settle_funding_payment``.
    """
    base = position.base_asset_amount
    if base == 0:
        return
    amm: AMM = market.amm
    if base > 0:
        cumulative = amm.cumulative_funding_rate_long
    else:
        cumulative = amm.cumulative_funding_rate_short
    last = position.last_cumulative_funding_rate
    if cumulative == last:
        return
    payment = to_i64(calculate_funding_payment(cumulative - last, base))
    user.cumulative_perp_funding += payment
    facts.settled = True
    facts.market_index = market.market_index
    facts.funding_payment = payment
    facts.base_asset_amount = base
    facts.user_last_cumulative_funding = last
    facts.amm_cumulative_funding_long = amm.cumulative_funding_rate_long
    facts.amm_cumulative_funding_short = amm.cumulative_funding_rate_short
    position.last_cumulative_funding_rate = to_i64(cumulative)
    update_quote_asset_and_break_even_amount(position, market, payment)
    amm.net_unsettled_funding_pnl -= payment


# --- rates -----------------------------------------------------------------------------------------------------


@rule
def get_max_price_divergence_for_funding_rate(contract_tier: int, oracle_price_twap: int) -> int:
    """Cap (1e6) on the premium that funding counts. Source: amm-and-funding.md §7.1 step 3."""
    if contract_tier == CONTRACT_TIER_A or contract_tier == CONTRACT_TIER_B:
        return div_trunc(oracle_price_twap, 33)
    if contract_tier == CONTRACT_TIER_C:
        return div_trunc(oracle_price_twap, 20)
    return div_trunc(oracle_price_twap, 10)


@rule
def calculate_funding_rate(
    mark_price_twap: int, oracle_price_twap: int, funding_period: int, contract_tier: int
) -> int:
    """Rate (1e9) of one period from the two TWAPs (1e6): premium and offset, capped, spread over a day's periods.

    ``MathError`` for a period above a day. Source: amm-and-funding.md §7.1 step 3.
    """
    periods = TWENTY_FOUR_HOUR // max(ONE_HOUR, funding_period)
    spread = mark_price_twap - oracle_price_twap + div_trunc(abs(oracle_price_twap), FUNDING_OFFSET_DENOMINATOR)
    cap = get_max_price_divergence_for_funding_rate(contract_tier, oracle_price_twap)
    return to_i64(div_trunc(clamp(spread, -cap, cap) * 1_000, periods))


@rule
def calculate_capped_funding_rate(amm: AMM, uncapped_pnl: int, funding_rate: int) -> tuple[int, int]:
    """What the AMM pays (< 0, quote 1e6) when it may not pay all of its side, and the receivers' rate (1e9).

    It pays at most a third of its available fees; the payers' funding goes to the receivers on top.
    Source: amm-and-funding.md §7.2; ``math/funding.rs::calculate_capped_funding_rate``.
    """
    limit = -(calculate_fee_pool(amm) // 3)
    if uncapped_pnl >= limit:
        return uncapped_pnl, funding_rate
    paying = amm.base_asset_amount_short
    receiving = amm.base_asset_amount_long
    if funding_rate > 0:
        paying = amm.base_asset_amount_long
        receiving = amm.base_asset_amount_short
    if receiving == 0:
        return limit, 0
    to_receivers = limit - abs(calculate_funding_payment(funding_rate, paying))
    if to_receivers < 0:
        to_receivers += 1
    return limit, div_trunc(to_receivers * 1_000_000_000_000, receiving)


@rule
def calculate_funding_rate_long_short(amm: AMM, funding_rate: int) -> tuple[int, int, int]:
    """Rates of the longs and the shorts (1e9), and the AMM's uncapped part (quote 1e6); books what the AMM got or paid.

    The uncapped part is returned even where less was paid; deliberate. ``InvalidFundingProfitability`` where paying
    would eat the reserved fees. Source: amm-and-funding.md §7.2;
    ``math/funding.rs::calculate_funding_rate_long_short``.
    """
    uncapped_pnl = -calculate_funding_payment(funding_rate, amm.base_asset_amount_with_amm)
    if uncapped_pnl >= 0:
        amm.total_fee_minus_distributions += uncapped_pnl
        amm.net_revenue_since_last_funding += to_i64(uncapped_pnl)
        return funding_rate, funding_rate, uncapped_pnl
    capped_pnl, capped_rate = calculate_capped_funding_rate(amm, uncapped_pnl, funding_rate)
    after = amm.total_fee_minus_distributions + capped_pnl
    if capped_pnl != 0 and after < get_total_fee_lower_bound(amm):
        raise SettlementError(ErrorCode.InvalidFundingProfitability)
    amm.total_fee_minus_distributions = after
    amm.net_revenue_since_last_funding -= to_i64(abs(capped_pnl))
    if funding_rate < 0:
        return capped_rate, funding_rate, uncapped_pnl
    if funding_rate > 0:
        return funding_rate, capped_rate, uncapped_pnl
    return funding_rate, funding_rate, uncapped_pnl


@rule
def largest_mark_oracle_divergence(guard_rails: OracleGuardRails) -> int:
    """How far (1e6) the reserve price may be from the oracle's 5-minute TWAP: the guard rail, at least 10 %."""
    return max(guard_rails.price_divergence.mark_oracle_percent_divergence, _LEAST_DIVERGENCE_LIMIT)


@rule
def is_funding_blocked(
    market: PerpMarket, oracle: OraclePriceData, guard_rails: OracleGuardRails, price: int, slot: int
) -> bool:
    """Whether funding may not be updated now: paused in the market, AMM too old, oracle not good enough, mark too far.

    Source: amm-and-funding.md §7.1; ``math/oracle.rs::block_operation``.
    """
    amm: AMM = market.amm
    validity = oracle_validity(
        oracle,
        amm.historical_oracle_data.last_oracle_price_twap,
        guard_rails.validity,
        perp_confidence_multiplier(market.contract_tier),
    )
    difference = price - amm.historical_oracle_data.last_oracle_price_twap_5min
    divergence = abs(div_trunc(difference * BID_ASK_SPREAD_PRECISION, price))
    if market.paused_operations & PERP_UPDATE_FUNDING != 0:
        return True
    # slots are compared with seconds; deliberate, it is the program's
    if sub_saturating(slot, amm.last_update_slot) > amm.funding_period:
        return True
    if not is_oracle_valid_for_action(validity, ACTION_UPDATE_FUNDING):
        return True
    return divergence > largest_mark_oracle_divergence(guard_rails)


@rule
def update_funding_rate(
    market: PerpMarket,
    oracle: OraclePriceData,
    guard_rails: OracleGuardRails,
    price: int,
    funding_paused: bool,
    now: int,
    slot: int,
    facts: FundingRateFacts,
) -> bool:
    """Update the funding rate at reserve price ``price`` if it is due; whether it was.

    ``funding_paused``: the exchange's pause bit. ``InvalidFundingProfitability``, ``MathError``.
    Source: amm-and-funding.md §7.1; ``controller/funding.rs::update_funding_rate``.
    """
    amm: AMM = market.amm
    blocked = is_funding_blocked(market, oracle, guard_rails, price, slot)
    if funding_paused or blocked or on_the_hour_update(now, amm.last_funding_rate_ts, amm.funding_period) != 0:
        return False
    clamp_denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    oracle_price_twap = update_oracle_price_twap(amm, now, oracle, price, clamp_denominator)
    trade_price = price
    direction = NO_DIRECTION
    if amm.long_spread > amm.short_spread:
        trade_price = ask_price(amm, price)
        direction = LONG
    elif amm.long_spread < amm.short_spread:
        trade_price = bid_price(amm, price)
        direction = SHORT
    mark_price_twap = update_mark_twap_from_estimates(amm, now, trade_price, direction, clamp_denominator)
    rate = calculate_funding_rate(mark_price_twap, oracle_price_twap, amm.funding_period, market.contract_tier)
    rate_long, rate_short, uncapped_pnl = calculate_funding_rate_long_short(amm, rate)
    if amm.curve_update_intensity > 0:
        formulaic_update_k(market, -uncapped_pnl, facts.curve)
    amm.cumulative_funding_rate_long += rate_long
    amm.cumulative_funding_rate_short += rate_short
    amm.last_24h_avg_funding_rate = calculate_new_twap(
        rate, now, amm.last_24h_avg_funding_rate, amm.last_funding_rate_ts, TWENTY_FOUR_HOUR
    )
    amm.last_funding_rate = rate
    amm.last_funding_rate_long = to_i64(rate_long)
    amm.last_funding_rate_short = to_i64(rate_short)
    amm.net_unsettled_funding_pnl -= to_i64(uncapped_pnl)
    amm.last_funding_rate_ts = now
    note_funding_rate(market, mark_price_twap, oracle_price_twap, facts)
    amm.net_revenue_since_last_funding = 0
    return True


@rule
def note_funding_rate(
    market: PerpMarket, mark_price_twap: int, oracle_price_twap: int, facts: FundingRateFacts
) -> None:
    """Note what the funding event tells, and take the next funding rate record id."""
    amm: AMM = market.amm
    facts.updated = True
    facts.market_index = market.market_index
    facts.record_id = market.next_funding_rate_record_id
    market.next_funding_rate_record_id += 1
    facts.funding_rate = amm.last_funding_rate
    facts.funding_rate_long = amm.last_funding_rate_long
    facts.funding_rate_short = amm.last_funding_rate_short
    facts.cumulative_funding_rate_long = amm.cumulative_funding_rate_long
    facts.cumulative_funding_rate_short = amm.cumulative_funding_rate_short
    facts.oracle_price_twap = oracle_price_twap
    facts.mark_price_twap = mark_price_twap
    facts.period_revenue = amm.net_revenue_since_last_funding
    facts.base_asset_amount_with_amm = amm.base_asset_amount_with_amm
