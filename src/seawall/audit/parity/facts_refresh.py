"""Facts of the AMM's peg, and of its whole refresh."""

from typing import Any

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.rules.common.amm_budget import calculate_fee_pool
from seawall.rules.common.amm_curve import (
    ask_price,
    bid_price,
    calculate_bid_ask_bounds,
    calculate_terminal_reserves,
    reserve_price,
)
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.amm_repeg import (
    adjust_amm,
    calculate_optimal_peg_and_budget,
    calculate_peg_from_target_price,
)
from seawall.state.exchange import OracleGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket


def _peg(inputs: Inputs) -> Found:
    names = ("quote_asset_reserve", "base_asset_reserve", "target_price")
    return {"peg": calculate_peg_from_target_price(*(inputs.number(name) for name in names))}


def _consistent_market(inputs: Inputs) -> PerpMarket:
    """A market whose bounds and terminal quote reserve follow from its net position where the fact names no number."""
    named = inputs.text("terminal_quote_asset_reserve", "")
    bounded = "max_base_asset_reserve" in inputs
    market = make_perp_market(inputs)
    amm = market.amm
    terminal_quote, terminal_base = calculate_terminal_reserves(amm)
    amm.terminal_quote_asset_reserve = int(named) if named.isdigit() else terminal_quote
    if not bounded:
        least, greatest = calculate_bid_ask_bounds(amm.concentration_coef, terminal_base)
        amm.min_base_asset_reserve, amm.max_base_asset_reserve = least, greatest
    return market


def _optimal_peg(inputs: Inputs) -> Found:
    market = _consistent_market(inputs)
    price = reserve_price(market.amm)
    peg, budget, check = calculate_optimal_peg_and_budget(market, price, inputs.number("oracle_price"))
    return {"optimal_peg": peg, "budget": budget, "check_lower_bound": check}


def _adjust_amm(inputs: Inputs) -> Found:
    """Toward a target price, with the budget named or what the fees leave."""
    market = _consistent_market(inputs)
    amm = market.amm
    target = calculate_peg_from_target_price(
        amm.quote_asset_reserve, amm.base_asset_reserve, inputs.number("target_price")
    )
    budget = inputs.number("budget") if "budget" in inputs else calculate_fee_pool(market)
    before = reserve_price(amm)
    cost, peg = adjust_amm(market, target, budget, inputs.flag("adjust_k"))
    amm.peg_multiplier = peg
    return {
        "cost": cost,
        "new_peg": peg,
        "reserve_price_change": reserve_price(amm) - before,
        "peg_equals_optimal": peg == target,
    }


def _refresh(inputs: Inputs) -> Found:
    """One refresh, or several in one slot; of several, the lists tell the figures after each."""
    market = _consistent_market(inputs)
    amm = market.amm
    now, slot = inputs.number("now"), inputs.number("slot")
    rails = OracleGuardRails(validity=validity_rails())
    if "oracle_steps" in inputs:
        steps = [(step.number("price"), step.number("confidence"), 0) for step in inputs.items("oracle_steps")]
    else:
        steps = [(inputs.number("oracle_price"), inputs.number("oracle_confidence"), inputs.number("oracle_delay"))]
    after: list[dict[str, Any]] = []
    for price, confidence, delay in steps:
        oracle = OraclePriceData(
            price=price, confidence=confidence, delay=delay, has_sufficient_number_of_data_points=True
        )
        cost = update_amm(market, oracle, rails, now, slot)
        mark = reserve_price(amm)
        quotes = {"bid": bid_price(market, mark), "ask": ask_price(market, mark), "reserve_price": mark, "cost": cost}
        after.append({**quotes, "long_spread": amm.long_spread, "short_spread": amm.short_spread})
    found: dict[str, Any] = {"long_plus_short_spread": amm.long_spread + amm.short_spread, **after[-1]}
    for name in after[0]:
        found[f"{name}_after_each"] = [step[name] for step in after]
        found[f"{name}_after_each_from_second"] = [step[name] for step in after[1:]]
    return found, amm, amm.historical_oracle_data


ADAPTERS: dict[str, Adapter] = {
    "calculate_peg_from_target_price": _peg,
    "calculate_optimal_peg_and_budget": _optimal_peg,
    "adjust_amm": _adjust_amm,
    "_update_amm": _refresh,
}
