"""The peg: moving the AMM's price toward the oracle, what it costs, and how far the fees pay for it.

Source: amm-and-funding.md §6.1, §8; ``math/repeg.rs``, ``math/cp_curve.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    BID_ASK_SPREAD_PRECISION,
    PRICE_PRECISION,
    div_trunc,
    to_u64,
    to_u128,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import apply_cost_to_market, calculate_fee_pool
from seawall.rules.common.amm_curve import (
    calculate_base_asset_value,
    calculate_curve_cost,
    calculate_terminal_price,
    reserve_price,
)
from seawall.rules.common.amm_k import (
    adjust_k_cost_and_update,
    can_lower_k,
    get_update_k_result,
    note_curve_after,
    note_curve_before,
)
from seawall.rules.common.oracles import perp_oracle_validity
from seawall.state.enums import ORACLE_VALID
from seawall.state.exchange import ValidityGuardRails
from seawall.state.facts import CurveFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket

_K_CUT: Final = 1_000
"""k is cut by a thousandth at most to help pay for a peg."""


@rule
def calculate_peg_from_target_price(quote_asset_reserve: int, base_asset_reserve: int, target_price: int) -> int:
    """The peg (1e6) at which the reserve price is the target: ⌊target·base/quote⌋, at least 1."""
    if quote_asset_reserve == 0:
        raise SettlementError(ErrorCode.MathError)
    return max(1, target_price * base_asset_reserve // quote_asset_reserve)


@rule
def calculate_repeg_cost(amm: AMM, new_peg: int) -> int:
    """Cost (quote 1e6, signed) of a new peg. Source: ``math/repeg.rs::calculate_repeg_cost``."""
    return div_trunc(
        (amm.quote_asset_reserve - amm.terminal_quote_asset_reserve) * (new_peg - amm.peg_multiplier),
        AMM_RESERVE_PRECISION,
    )


@rule
def calculate_per_peg_cost(quote_asset_reserve: int, terminal_quote_asset_reserve: int) -> int:
    """Cost of one unit of peg (quote 1e12, signed), pulled away from 0; 0 only without a net position.

    Source: amm-and-funding.md §6.1; ``math/repeg.rs::calculate_per_peg_cost``.
    """
    difference = quote_asset_reserve - terminal_quote_asset_reserve
    if difference == 0:
        return 0
    cost = div_trunc(difference, 1_000)
    # a positive remainder adds one here and the sign one more; deliberate, it is the program's
    if difference - cost * 1_000 > 0:
        cost += 1
    if cost > 0:
        return cost + 1
    if cost < 0:
        return cost - 1
    return 0


@rule
def calculate_optimal_peg_and_budget(market: PerpMarket, price: int, oracle_price: int) -> tuple[int, int, bool]:
    """The peg to aim at, what may be spent on it (quote 1e6), and whether the fees' lower bound is to be checked.

    Where the fees do not pay for the oracle price, the peg aims at the edge of half the maximum spread around it, and
    that is paid whatever the fees hold. ``CastingFailure`` for a negative oracle price or a negative cost of that edge.
    Source: amm-and-funding.md §6.1; ``math/repeg.rs::calculate_optimal_peg_and_budget``.
    """
    amm: AMM = market.amm
    quote = amm.quote_asset_reserve
    base = amm.base_asset_reserve
    target = to_u64(oracle_price)
    budget = calculate_fee_pool(market)
    peg = calculate_peg_from_target_price(quote, base, target)
    if budget < max(0, calculate_repeg_cost(amm, peg)):
        half_spread = target * (amm.max_spread // 2) // BID_ASK_SPREAD_PRECISION
        gap = price - target
        if abs(gap) > half_spread:
            excess = abs(gap) - half_spread
            if gap < 0:
                edge = price + excess
            else:
                edge = price - excess
            peg = calculate_peg_from_target_price(quote, base, edge)
            return peg, to_u128(calculate_repeg_cost(amm, peg)), False
        if budget == 0:
            # an AMM without any money still moves on what lowering k saves; deliberate
            return peg, budget, False
    return peg, budget, True


@rule
def adjust_amm(market: PerpMarket, optimal_peg: int, budget: int, adjust_k: bool) -> tuple[int, int]:
    """Cost (quote 1e6) and new peg within a budget. May lower k in place to pay for more; the peg is not stored here.

    The saving from the lower k is spent on the peg but is no part of the cost; deliberate, it is the program's.
    Drift: k is lowered wherever ``adjust_k`` asks for it.
    Velocity: unless ``disable_formulaic_k_update`` is set.
    ``MathError`` where lowering k leaves nothing to move. Source: amm-and-funding.md §6.1;
    ``math/repeg.rs::adjust_amm``.
    """
    amm: AMM = market.amm
    peg = amm.peg_multiplier
    if optimal_peg == peg or amm.curve_update_intensity == 0:
        return 0, peg
    delta = optimal_peg - peg
    per_peg_cost = calculate_per_peg_cost(amm.quote_asset_reserve, amm.terminal_quote_asset_reserve)
    affordable = 0
    if per_peg_cost != 0:
        affordable = abs(div_trunc(budget * PRICE_PRECISION, per_peg_cost))
    if (
        per_peg_cost == 0
        or (per_peg_cost > 0 and delta < 0)
        or (per_peg_cost < 0 and delta > 0)
        or affordable > abs(delta)
    ):
        return calculate_repeg_cost(amm, optimal_peg), optimal_peg
    if adjust_k and not market.disable_formulaic_k_update and can_lower_k(market):
        budget += lower_k(market)
        per_peg_cost = calculate_per_peg_cost(amm.quote_asset_reserve, amm.terminal_quote_asset_reserve)
    step = div_trunc(budget * PRICE_PRECISION, per_peg_cost)
    if step > 0 or peg > -step:
        new_peg = peg + step
    else:
        new_peg = 1
    return calculate_repeg_cost(amm, new_peg), new_peg


@rule
def lower_k(market: PerpMarket) -> int:
    """Cut √k by a thousandth, within its lower bounds; the absolute value of what that costs or saves (quote 1e6)."""
    amm: AMM = market.amm
    sqrt_k = amm.sqrt_k
    floor = max(max(0, amm.min_order_size), abs(amm.base_asset_amount_with_amm))
    new_sqrt_k = max(sqrt_k - sqrt_k // _K_CUT, min(sqrt_k, floor))
    new_base, new_quote = get_update_k_result(market, new_sqrt_k, True)
    return abs(adjust_k_cost_and_update(market, new_base, new_quote, new_sqrt_k))


# --- by the administrator --------------------------------------------------------------------------------------


@rule
def repeg(
    market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails, new_peg: int, facts: CurveFacts
) -> None:
    """Set the peg by hand: toward a valid oracle price, within its confidence, paid from the fees.

    ``InvalidRepegRedundant``, ``InvalidOracle``, ``InvalidRepegDirection``, ``InvalidRepegProfitability``.
    Source: amm-and-funding.md §8; ``controller/repeg.rs::repeg``.
    """
    amm: AMM = market.amm
    if new_peg == amm.peg_multiplier:
        raise SettlementError(ErrorCode.InvalidRepegRedundant)
    terminal_before = calculate_terminal_price(amm)
    value_before = calculate_base_asset_value(amm)
    note_curve_before(amm, facts)
    amm.peg_multiplier = new_peg
    cost = calculate_curve_cost(amm.base_asset_amount_with_amm, value_before, calculate_base_asset_value(amm))
    if perp_oracle_validity(market, oracle, rails) != ORACLE_VALID:
        raise SettlementError(ErrorCode.InvalidOracle)
    check_repeg_direction(amm, oracle, terminal_before)
    if not apply_cost_to_market(market, cost, True):
        raise SettlementError(ErrorCode.InvalidRepegProfitability)
    note_curve_after(market, cost, facts)


@rule
def check_repeg_direction(amm: AMM, oracle: OraclePriceData, terminal_price_before: int) -> None:
    """The terminal price moved toward the oracle, not past the nearer edge of its confidence band; the reserve price
    not past the farther edge.

    ``InvalidRepegDirection``, ``InvalidRepegProfitability``.
    """
    price = oracle.price
    terminal = calculate_terminal_price(amm)
    mark = reserve_price(amm)
    if terminal < terminal_price_before and price >= terminal_price_before:
        raise SettlementError(ErrorCode.InvalidRepegDirection)
    if terminal > terminal_price_before and price <= terminal_price_before:
        raise SettlementError(ErrorCode.InvalidRepegDirection)
    bottom = price - oracle.confidence
    top = price + oracle.confidence
    if price > terminal_price_before and (terminal > bottom or mark > top):
        raise SettlementError(ErrorCode.InvalidRepegProfitability)
    if price < terminal_price_before and (terminal < top or mark < bottom):
        raise SettlementError(ErrorCode.InvalidRepegProfitability)
