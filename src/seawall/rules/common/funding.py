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
from seawall.lanes import rule
from seawall.rules.common.amm_curve import NO_DIRECTION, ask_price, bid_price
from seawall.rules.common.amm_twaps import (
    perp_sanitize_clamp_denominator,
    update_mark_twap_from_estimates,
    update_oracle_price_twap,
)
from seawall.rules.common.oracles import (
    ACTION_UPDATE_FUNDING,
    is_oracle_valid_for_action,
    perp_oracle_validity,
)
from seawall.rules.common.perp_positions import update_quote_asset_and_break_even_amount
from seawall.rules.common.safe_price import safe_oracle_price
from seawall.rules.common.statistics import calculate_new_twap, on_the_hour_update
from seawall.state.enums import (
    CONTRACT_TIER_A,
    CONTRACT_TIER_B,
    CONTRACT_TIER_C,
    LONG,
    PERP_UPDATE_FUNDING,
    SHORT,
)
from seawall.state.exchange import OracleGuardRails, ValidityGuardRails
from seawall.state.facts import FundingPaymentFacts, FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User

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
    validity = perp_oracle_validity(market, oracle, guard_rails.validity)
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
def is_funding_due(
    market: PerpMarket,
    oracle: OraclePriceData,
    guard_rails: OracleGuardRails,
    price: int,
    funding_paused: bool,
    now: int,
    slot: int,
) -> bool:
    """Whether the funding rate is to be updated now, at reserve price ``price``.

    ``funding_paused``: the exchange's pause bit. Source: amm-and-funding.md §7.1.
    """
    amm: AMM = market.amm
    blocked = is_funding_blocked(market, oracle, guard_rails, price, slot)
    if funding_paused or blocked:
        return False
    return on_the_hour_update(now, amm.last_funding_rate_ts, amm.funding_period) == 0


@rule
def update_twaps_for_funding(
    market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails, price: int, now: int, slot: int
) -> tuple[int, int]:
    """Take oracle and mark into the TWAPs as funding samples them; the oracle's and the mark's 1-hour TWAP (1e6).

    The mark's sample is the AMM's quote on the side of its wider spread. Source: amm-and-funding.md §7.1 steps 1-2.
    """
    amm: AMM = market.amm
    clamp_denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    safe_price, safe_confidence, _ = safe_oracle_price(market, oracle, rails, slot)
    oracle_price_twap = update_oracle_price_twap(
        market, now, oracle, price, clamp_denominator, safe_price, safe_confidence
    )
    trade_price = price
    direction = NO_DIRECTION
    if amm.long_spread > amm.short_spread:
        trade_price = ask_price(market, price)
        direction = LONG
    elif amm.long_spread < amm.short_spread:
        trade_price = bid_price(market, price)
        direction = SHORT
    mark_price_twap = update_mark_twap_from_estimates(market, now, trade_price, direction, clamp_denominator)
    return oracle_price_twap, mark_price_twap


@rule
def cap_and_spread_premium(premium: int, oracle_price_twap: int, funding_period: int, contract_tier: int) -> int:
    """Rate (1e9) of one period from a day's premium (1e6): capped, and spread over the day's periods.

    ``MathError`` for a period above a day. Source: amm-and-funding.md §7.1 step 3.
    """
    periods = TWENTY_FOUR_HOUR // max(ONE_HOUR, funding_period)
    cap = get_max_price_divergence_for_funding_rate(contract_tier, oracle_price_twap)
    return to_i64(div_trunc(clamp(premium, -cap, cap) * 1_000, periods))


@rule
def get_capped_rate_of_receivers(amm: AMM, limit: int, funding_rate: int) -> int:
    """Rate (1e9) of the side that is owed funding where the AMM pays only ``limit`` (≤ 0, quote 1e6).

    The payers' funding goes to the receivers on top. Source: amm-and-funding.md §7.2;
    ``math/funding.rs::calculate_capped_funding_rate``.
    """
    paying = amm.base_asset_amount_short
    receiving = amm.base_asset_amount_long
    if funding_rate > 0:
        paying = amm.base_asset_amount_long
        receiving = amm.base_asset_amount_short
    if receiving == 0:
        return 0
    to_receivers = limit - abs(calculate_funding_payment(funding_rate, paying))
    if to_receivers < 0:
        to_receivers += 1
    return div_trunc(to_receivers * 1_000_000_000_000, receiving)


@rule
def rates_of_both_sides(funding_rate: int, receivers_rate: int) -> tuple[int, int]:
    """Rates of the longs and of the shorts (1e9): the payers' is the funding rate."""
    if funding_rate < 0:
        return receivers_rate, funding_rate
    if funding_rate > 0:
        return funding_rate, receivers_rate
    return funding_rate, funding_rate


@rule
def store_funding_rates(amm: AMM, rate: int, rate_long: int, rate_short: int, now: int) -> None:
    """Store the rates of an update (1e9), the mean over a day with them, and its time."""
    amm.last_24h_avg_funding_rate = calculate_new_twap(
        rate, now, amm.last_24h_avg_funding_rate, amm.last_funding_rate_ts, TWENTY_FOUR_HOUR
    )
    amm.last_funding_rate = rate
    amm.last_funding_rate_long = to_i64(rate_long)
    amm.last_funding_rate_short = to_i64(rate_short)
    amm.last_funding_rate_ts = now


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
