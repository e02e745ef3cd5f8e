"""The depth of the AMM's curve: changing k and the concentration, what it costs, and the budgeted change with funding.

Source: amm-and-funding.md §2, §5; ``math/cp_curve.rs``, ``controller/amm.rs``.
"""

from typing import Final

from seawall.arithmetic import AMM_RESERVE_PRECISION, PEG_PRECISION, div_trunc, isqrt, pow10, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import apply_cost_to_market, get_total_fee_lower_bound
from seawall.rules.common.amm_curve import (
    calculate_base_asset_value,
    calculate_bid_ask_bounds,
    calculate_curve_cost,
    calculate_market_liquidity,
    calculate_market_open_bids_asks,
    calculate_terminal_reserves,
    reserve_price,
)
from seawall.rules.common.amm_spread import NO_SLOT, update_spreads
from seawall.state.enums import RULEBOOK_VELOCITY, STATUS_REDUCE_ONLY
from seawall.state.facts import CurveFacts
from seawall.state.perp_market import AMM, PerpMarket

K_BPS_UPDATE_SCALE: Final = 1_000_000
"""Precision of a change of k."""
K_BPS_STEP: Final = 1_000
"""Largest raise of k with one funding update at intensity 100: 0.1 %."""
K_BPS_DECREASE_BOUND: Final = 22_000
"""Largest admissible cut of k: 2.2 %."""
CONCENTRATION_PRECISION: Final = 1_000_000
_CONCENTRATION_RANGE: Final = 414_200
_MAX_SQRT_K_EXPONENT: Final = 21
SAVED_OFFSET: Final = 8
"""Where ``save_curve`` puts the reference price offset."""


# --- changing the curve ----------------------------------------------------------------------------------------


@rule
def get_update_k_result(market: PerpMarket, new_sqrt_k: int, bound_update: bool) -> tuple[int, int]:
    """New base and quote reserve for a new √k; the price stays, up to rounding.

    ``InvalidUpdateK`` for a bound cut below half, a raise above 1e21, or a cut below the users' net position.
    Source: amm-and-funding.md §5; ``math/cp_curve.rs::get_update_k_result``.
    """
    amm: AMM = market.amm
    sqrt_k = amm.sqrt_k
    if sqrt_k == 0:
        raise SettlementError(ErrorCode.MathError)
    ratio = new_sqrt_k * AMM_RESERVE_PRECISION // sqrt_k
    if bound_update and ratio < AMM_RESERVE_PRECISION // 2:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if ratio < AMM_RESERVE_PRECISION:
        # a cut is rounded up by one; deliberate
        ratio += 1
    if ratio >= AMM_RESERVE_PRECISION and new_sqrt_k > pow10(_MAX_SQRT_K_EXPONENT):
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if market.status != STATUS_REDUCE_ONLY and new_sqrt_k < sqrt_k and abs(amm.base_asset_amount_with_amm) > new_sqrt_k:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    base = amm.base_asset_reserve * ratio // AMM_RESERVE_PRECISION
    if base == 0:
        raise SettlementError(ErrorCode.MathError)
    return base, new_sqrt_k * new_sqrt_k // base


@rule
def update_bounds(amm: AMM) -> None:
    """Terminal quote reserve and liquidity bounds from the present reserves. Source: amm-and-funding.md §2."""
    terminal_quote, terminal_base = calculate_terminal_reserves(amm)
    amm.terminal_quote_asset_reserve = terminal_quote
    least, greatest = calculate_bid_ask_bounds(amm.concentration_coef, terminal_base)
    amm.min_base_asset_reserve = least
    amm.max_base_asset_reserve = greatest


@rule
def update_k(market: PerpMarket, base_asset_reserve: int, quote_asset_reserve: int, sqrt_k: int) -> None:
    """Put a new curve in place: reserves, bounds, spreads at the new reserve price and the present peg.

    Source: amm-and-funding.md §5; ``math/cp_curve.rs::update_k``.
    """
    amm: AMM = market.amm
    amm.base_asset_reserve = base_asset_reserve
    amm.quote_asset_reserve = quote_asset_reserve
    amm.sqrt_k = sqrt_k
    update_bounds(amm)
    update_spreads(market, reserve_price(amm), NO_SLOT)


@rule
def adjust_k_cost_and_update(market: PerpMarket, base_asset_reserve: int, quote_asset_reserve: int, sqrt_k: int) -> int:
    """Put a new curve in place; what it costs the protocol (quote 1e6). Source: ``math/cp_curve.rs::adjust_k_cost``."""
    amm: AMM = market.amm
    before = calculate_base_asset_value(amm)
    update_k(market, base_asset_reserve, quote_asset_reserve, sqrt_k)
    return calculate_curve_cost(amm.base_asset_amount_with_amm, before, calculate_base_asset_value(amm))


@rule
def save_curve(amm: AMM) -> tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]:
    """What ``update_k`` overwrites, for ``restore_curve``."""
    return (
        amm.base_asset_reserve, amm.quote_asset_reserve, amm.sqrt_k, amm.terminal_quote_asset_reserve,
        amm.min_base_asset_reserve, amm.max_base_asset_reserve, amm.long_spread, amm.short_spread,
        amm.reference_price_offset, amm.ask_base_asset_reserve, amm.ask_quote_asset_reserve,
        amm.bid_base_asset_reserve, amm.bid_quote_asset_reserve,
    )  # fmt: skip


@rule
def restore_curve(amm: AMM, saved: tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]) -> None:
    """Undo ``update_k``: a curve that was tried and not paid."""
    amm.base_asset_reserve = saved[0]
    amm.quote_asset_reserve = saved[1]
    amm.sqrt_k = saved[2]
    amm.terminal_quote_asset_reserve = saved[3]
    amm.min_base_asset_reserve = saved[4]
    amm.max_base_asset_reserve = saved[5]
    amm.long_spread = saved[6]
    amm.short_spread = saved[7]
    amm.reference_price_offset = saved[8]
    amm.ask_base_asset_reserve = saved[9]
    amm.ask_quote_asset_reserve = saved[10]
    amm.bid_base_asset_reserve = saved[11]
    amm.bid_quote_asset_reserve = saved[12]


@rule
def update_concentration_coef(market: PerpMarket, scale: int) -> None:
    """Set the concentration 1e6 + 414200/scale with its bounds and spreads.

    ``InvalidConcentrationCoef`` for a scale without effect, or bounds that the net position exceeds;
    ``InvalidAmmDetected`` if the terminal quote reserve is not the stored one.
    Source: amm-and-funding.md §2; ``controller/amm.rs::update_concentration_coef``.
    """
    amm: AMM = market.amm
    if scale <= 0:
        raise SettlementError(ErrorCode.InvalidConcentrationCoef)
    coef = CONCENTRATION_PRECISION + _CONCENTRATION_RANGE // scale
    if coef <= CONCENTRATION_PRECISION:
        raise SettlementError(ErrorCode.InvalidConcentrationCoef)
    amm.concentration_coef = coef
    terminal_quote, terminal_base = calculate_terminal_reserves(amm)
    if terminal_quote != amm.terminal_quote_asset_reserve:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    least, greatest = calculate_bid_ask_bounds(coef, terminal_base)
    amm.min_base_asset_reserve = least
    amm.max_base_asset_reserve = greatest
    update_spreads(market, reserve_price(amm), NO_SLOT)
    bids, asks = calculate_market_open_bids_asks(amm.base_asset_reserve, least, greatest)
    net = amm.base_asset_amount_with_amm
    if bids <= net or asks >= net:
        raise SettlementError(ErrorCode.InvalidConcentrationCoef)


# --- the budgeted change with funding --------------------------------------------------------------------------


@rule
def can_lower_k(market: PerpMarket) -> bool:
    """Whether the net position leaves room for a shallower curve. Source: amm-and-funding.md §5.

    Drift: the net position alone.
    Velocity: the smallest order too, below √k and below the larger side's room.
    """
    amm: AMM = market.amm
    taken = abs(amm.base_asset_amount_with_amm)
    if taken >= calculate_market_liquidity(amm):
        return False
    if market.rulebook == RULEBOOK_VELOCITY:
        bids, asks = calculate_market_open_bids_asks(
            amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
        )
        return max(taken, amm.min_order_size) < amm.sqrt_k and amm.min_order_size < max(bids, -asks)
    return taken < amm.sqrt_k


@rule
def calculate_budgeted_k_scale(
    base_asset_reserve: int,
    quote_asset_reserve: int,
    budget: int,
    peg_multiplier: int,
    base_asset_amount_with_amm: int,
    k_pct_upper_bound: int,
    k_pct_lower_bound: int,
) -> tuple[int, int]:
    """Factor on √k (numerator, denominator) that a budget pays: > 0 to raise it, < 0 to recover by cutting it.

    ``InvalidUpdateK`` for bounds out of order; ``MathError`` where the program panics (a closed form without a
    positive solution). Source: amm-and-funding.md §5; ``math/cp_curve.rs::_calculate_budgeted_k_scale``.
    """
    if k_pct_upper_bound < K_BPS_UPDATE_SCALE or k_pct_lower_bound > K_BPS_UPDATE_SCALE:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if k_pct_lower_bound < K_BPS_UPDATE_SCALE - K_BPS_DECREASE_BOUND:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    cost = abs(budget)
    sign_cost = -1
    if budget < 0:
        sign_cost = 1
    sign_net = -1
    if base_asset_amount_with_amm > 0:
        sign_net = 1
    net = abs(base_asset_amount_with_amm)
    x = to_u128(base_asset_reserve + base_asset_amount_with_amm)
    part1 = base_asset_reserve * x // AMM_RESERVE_PRECISION * cost // PEG_PRECISION
    part2 = cost * x // PEG_PRECISION * net // AMM_RESERVE_PRECISION
    part3 = (
        quote_asset_reserve * net // AMM_RESERVE_PRECISION * net // AMM_RESERVE_PRECISION * peg_multiplier
        // PEG_PRECISION
    )  # fmt: skip
    if sign_cost < 0 and part1 > part3:
        return k_pct_upper_bound, K_BPS_UPDATE_SCALE
    numerator = div_trunc(part3 - part2 * sign_cost * sign_net, 1_000)
    denominator = div_trunc(part1 * sign_cost + part3, 1_000)
    if numerator < 0 and denominator < 0:
        numerator = -numerator
        denominator = -denominator
    if numerator <= 0 or denominator <= 0:
        raise SettlementError(ErrorCode.MathError)
    scale = numerator * K_BPS_UPDATE_SCALE // denominator
    if numerator > denominator:
        return min(scale, k_pct_upper_bound), K_BPS_UPDATE_SCALE
    return max(scale, k_pct_lower_bound), K_BPS_UPDATE_SCALE


@rule
def calculate_k_budget(amm: AMM, funding_imbalance_cost: int) -> int:
    """What a funding update lets k cost (> 0) or makes it recover (< 0). Source: amm-and-funding.md §5."""
    if funding_imbalance_cost < 0:
        if max(amm.long_spread, amm.short_spread) <= amm.base_spread:
            return abs(div_trunc(funding_imbalance_cost, 2))
        return 0
    revenue = amm.net_revenue_since_last_funding
    if revenue < funding_imbalance_cost:
        return div_trunc(max(0, revenue) - funding_imbalance_cost, 2)
    return 0


@rule
def formulaic_update_k(market: PerpMarket, funding_imbalance_cost: int, facts: CurveFacts) -> None:
    """After funding: spend half of what the AMM received on depth, or recover half of what it paid.

    ``funding_imbalance_cost`` > 0: the AMM pays. A change whose cost is refused is not made, without an error.
    Drift: at any intensity above 0.
    Velocity: unless ``disable_formulaic_k_update`` is set.
    Source: amm-and-funding.md §5; ``controller/amm.rs::formulaic_update_k``.
    """
    amm: AMM = market.amm
    if market.disable_formulaic_k_update:
        return
    budget = calculate_k_budget(amm, funding_imbalance_cost)
    if budget == 0:
        return
    if budget > 0:
        if amm.sqrt_k >= pow10(_MAX_SQRT_K_EXPONENT):
            return
    elif not can_lower_k(market):
        return
    # the whole intensity, up to 200; elsewhere it counts up to 100 only; deliberate
    step = K_BPS_STEP * amm.curve_update_intensity // 100
    numerator, denominator = calculate_budgeted_k_scale(
        amm.base_asset_reserve, amm.quote_asset_reserve, budget, amm.peg_multiplier,
        amm.base_asset_amount_with_amm, K_BPS_UPDATE_SCALE + step, K_BPS_UPDATE_SCALE - step,
    )  # fmt: skip
    new_sqrt_k = max(amm.sqrt_k * numerator // denominator, 1)
    new_base, new_quote = get_update_k_result(market, new_sqrt_k, True)
    note_curve_before(amm, facts)
    saved = save_curve(amm)
    cost = adjust_k_cost_and_update(market, new_base, new_quote, new_sqrt_k)
    if not apply_cost_to_market(market, cost, True):
        restore_curve(amm, saved)
        return
    # the costing ran on a copy and the fees have changed since: the spreads are recomputed
    amm.reference_price_offset = saved[SAVED_OFFSET]
    update_spreads(market, reserve_price(amm), NO_SLOT)
    note_curve_after(market, cost, facts)


# --- what the event tells --------------------------------------------------------------------------------------


@rule
def note_curve_before(amm: AMM, facts: CurveFacts) -> None:
    """Note the curve before a change."""
    facts.peg_multiplier_before = amm.peg_multiplier
    facts.base_asset_reserve_before = amm.base_asset_reserve
    facts.quote_asset_reserve_before = amm.quote_asset_reserve
    facts.sqrt_k_before = amm.sqrt_k


@rule
def note_curve_after(market: PerpMarket, cost: int, facts: CurveFacts) -> None:
    """Note the curve after a change with the market's books, and take the next curve record id."""
    amm: AMM = market.amm
    facts.updated = True
    facts.market_index = market.market_index
    facts.record_id = market.next_curve_record_id
    market.next_curve_record_id += 1
    facts.peg_multiplier_after = amm.peg_multiplier
    facts.base_asset_reserve_after = amm.base_asset_reserve
    facts.quote_asset_reserve_after = amm.quote_asset_reserve
    facts.sqrt_k_after = amm.sqrt_k
    facts.base_asset_amount_long = abs(amm.base_asset_amount_long)
    facts.base_asset_amount_short = abs(amm.base_asset_amount_short)
    facts.base_asset_amount_with_amm = amm.base_asset_amount_with_amm
    facts.total_fee = amm.total_fee
    facts.total_fee_minus_distributions = amm.total_fee_minus_distributions
    facts.adjustment_cost = cost
    facts.oracle_price = amm.historical_oracle_data.last_oracle_price
    facts.fill_record = market.next_fill_record_id
    facts.number_of_users = market.number_of_users


# --- by the administrator --------------------------------------------------------------------------------------


@rule
def update_k_by_admin(market: PerpMarket, new_sqrt_k: int, facts: CurveFacts) -> None:
    """Set √k by hand. Raising must cost the protocol, and be paid from the fees above the reserve; cutting must not.

    Drift: half of the exchange fees are reserved.
    Velocity: nothing is; the AMM may spend all its equity.
    ``InvalidUpdateK``. Source: amm-and-funding.md §5; ``instructions/admin.rs::handle_update_k``.
    """
    amm: AMM = market.amm
    sqrt_k = amm.sqrt_k
    raising = new_sqrt_k > sqrt_k
    price_before = reserve_price(amm)
    new_base, new_quote = get_update_k_result(market, new_sqrt_k, True)
    note_curve_before(amm, facts)
    cost = adjust_k_cost_and_update(market, new_base, new_quote, new_sqrt_k)
    if raising and cost < 0:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if not raising and cost > 0:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if cost > 0:
        available = amm.total_fee_minus_distributions
        if market.rulebook != RULEBOOK_VELOCITY:
            available = available - get_total_fee_lower_bound(amm) - amm.total_fee_withdrawn
        if cost > available:
            raise SettlementError(ErrorCode.InvalidUpdateK)
    if raising and new_sqrt_k >= pow10(_MAX_SQRT_K_EXPONENT):
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if amm.sqrt_k == 0:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    amm.total_fee_minus_distributions -= cost
    amm.net_revenue_since_last_funding -= cost
    if abs(reserve_price(amm) - price_before) > 100:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    if abs(isqrt(amm.base_asset_reserve * amm.quote_asset_reserve) - amm.sqrt_k) > 100:
        raise SettlementError(ErrorCode.InvalidUpdateK)
    note_curve_after(market, cost, facts)
