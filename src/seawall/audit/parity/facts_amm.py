"""Facts of the AMM: curve, bounds, spreads, k, peg, TWAPs, funding."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market
from seawall.rules.common.amm_curve import (
    calculate_bid_ask_bounds,
    calculate_market_open_bids_asks,
    calculate_price,
    calculate_terminal_price,
    calculate_terminal_reserves,
    reserve_price,
)
from seawall.rules.common.amm_drawdown import has_too_much_drawdown
from seawall.rules.common.amm_k import (
    adjust_k_cost_and_update,
    calculate_budgeted_k_scale,
    formulaic_update_k,
    get_update_k_result,
    update_bounds,
    update_concentration_coef,
)
from seawall.rules.common.amm_spread import (
    NO_SLOT,
    calculate_inventory_liquidity_ratio,
    calculate_long_short_vol_spread,
    calculate_spread,
    calculate_spread_inventory_scale,
    calculate_spread_leverage_scale,
    calculate_spread_reserves,
    calculate_spread_revenue_retreat_amount,
    cap_to_max_spread,
    update_spreads,
)
from seawall.state.enums import RulebookKind
from seawall.state.facts import CurveFacts


def _terminal(inputs: Inputs) -> Found:
    amm = make_perp_market(inputs).amm
    return {"terminal_price": calculate_terminal_price(amm), "reserve_price": reserve_price(amm)}


def _bounds(inputs: Inputs) -> Found:
    least, greatest = calculate_bid_ask_bounds(
        inputs.number("concentration_coef"), inputs.number("sqrt_terminal_base_reserve")
    )
    return {"min_base_asset_reserve": least, "max_base_asset_reserve": greatest}


def _open_bids_asks(inputs: Inputs) -> Found:
    names = ("base_asset_reserve", "min_base_asset_reserve", "max_base_asset_reserve")
    bids, asks = calculate_market_open_bids_asks(*(inputs.number(name) for name in names))
    return {"max_bids": bids, "max_asks": asks}


def _rulebook(inputs: Inputs) -> int:
    """Drift's, unless an input names another: Velocity inherits what the newest Drift does."""
    return RulebookKind[inputs.text("rulebook", "drift")]


def _cap(inputs: Inputs) -> Found:
    numbers = [inputs.number(name) for name in ("long_spread", "short_spread", "max_spread")]
    long_spread, short_spread = cap_to_max_spread(numbers[0], numbers[1], numbers[2], _rulebook(inputs))
    return {"long_spread": long_spread, "short_spread": short_spread}


def _spread(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    long_spread, short_spread = calculate_spread(market, inputs.number("reserve_price"))
    return {"long_spread": long_spread, "short_spread": short_spread}


def _vol_spread(inputs: Inputs) -> Found:
    long_spread, short_spread = calculate_long_short_vol_spread(
        inputs.number("last_oracle_conf_pct"),
        inputs.number("reserve_price"),
        inputs.number("mark_std"),
        inputs.number("oracle_std"),
        inputs.number("long_intensity_volume"),
        inputs.number("short_intensity_volume"),
        inputs.number("volume_24h"),
        _rulebook(inputs),
    )
    return {"long_vol_spread": long_spread, "short_vol_spread": short_spread}


_INVENTORY = ("base_asset_amount_with_amm", "base_asset_reserve", "min_base_asset_reserve", "max_base_asset_reserve")


def _liquidity_ratio(inputs: Inputs) -> Found:
    return {"ratio": calculate_inventory_liquidity_ratio(*(inputs.number(name) for name in _INVENTORY))}


def _inventory_scale(inputs: Inputs) -> Found:
    names = (*_INVENTORY, "directional_spread", "max_spread")
    return {"scale": calculate_spread_inventory_scale(*(inputs.number(name) for name in names))}


def _leverage_scale(inputs: Inputs) -> Found:
    names = (
        "quote_asset_reserve", "terminal_quote_asset_reserve", "peg_multiplier",
        "base_asset_amount_with_amm", "reserve_price", "total_fee_minus_distributions",
    )  # fmt: skip
    return {"scale": calculate_spread_leverage_scale(*(inputs.number(name) for name in names))}


def _retreat(inputs: Inputs) -> Found:
    names = ("base_spread", "max_spread", "net_revenue_since_last_funding")
    return {"amount": calculate_spread_revenue_retreat_amount(*(inputs.number(name) for name in names))}


def _spread_reserves(inputs: Inputs) -> Found:
    amm = make_perp_market(inputs).amm
    offset = amm.reference_price_offset
    ask_base, ask_quote = calculate_spread_reserves(amm, amm.long_spread + offset)
    bid_base, bid_quote = calculate_spread_reserves(amm, offset - amm.short_spread)
    return {
        "ask_base_reserve": ask_base,
        "ask_quote_reserve": ask_quote,
        "bid_base_reserve": bid_base,
        "bid_quote_reserve": bid_quote,
        "ask_price": calculate_price(ask_quote, ask_base, amm.peg_multiplier),
        "bid_price": calculate_price(bid_quote, bid_base, amm.peg_multiplier),
    }


def _update_spreads(inputs: Inputs) -> Found:
    """The facts only name the static spread; the reserves are there so that they can be quoted."""
    market = make_perp_market(inputs)
    amm = market.amm
    amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 1_000_000_000_000
    update_spreads(market, reserve_price(amm), NO_SLOT)
    return amm


def _drawdown(inputs: Inputs) -> Found:
    return {"too_much_drawdown": has_too_much_drawdown(make_perp_market(inputs))}


# --- k ---------------------------------------------------------------------------------------------------------


def _budgeted_k_scale(inputs: Inputs) -> Found:
    names = (
        "base_asset_reserve", "quote_asset_reserve", "budget", "peg_multiplier",
        "base_asset_amount_with_amm", "k_pct_upper_bound", "k_pct_lower_bound",
    )  # fmt: skip
    numerator, denominator = calculate_budgeted_k_scale(*(inputs.number(name) for name in names))
    ratio = numerator * 1_000_000 // denominator
    return {"numerator": numerator, "denominator": denominator, "numerator_times_1e6_over_denominator": ratio}


def _update_k(inputs: Inputs) -> Found:
    """A new √k, named itself or as a factor, with or without the bound on cuts."""
    market = make_perp_market(inputs)
    amm = market.amm
    if "concentration_scale" in inputs:
        amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
        update_concentration_coef(market, inputs.number("concentration_scale"))
    if "new_sqrt_k" in inputs:
        new_sqrt_k = inputs.number("new_sqrt_k")
    else:
        new_sqrt_k = amm.sqrt_k * inputs.number("k_scale_numerator") // inputs.number("k_scale_denominator")
    new_base, new_quote = get_update_k_result(market, new_sqrt_k, inputs.flag("bound_update", True))
    cost = adjust_k_cost_and_update(market, new_base, new_quote, new_sqrt_k)
    bids, asks = calculate_market_open_bids_asks(
        amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
    )
    return {
        "new_base_asset_reserve": new_base,
        "new_quote_asset_reserve": new_quote,
        "cost": cost,
        "terminal_quote_asset_reserve": amm.terminal_quote_asset_reserve,
        "terminal_base_asset_reserve": calculate_terminal_reserves(amm)[1],
        "max_bids": bids,
        "max_asks": asks,
    }


def _concentration(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    amm = market.amm
    amm.quote_asset_reserve = amm.quote_asset_reserve or amm.sqrt_k * amm.sqrt_k // amm.base_asset_reserve
    amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
    update_concentration_coef(market, inputs.number("scale"))
    return amm


def _formulaic_k(inputs: Inputs) -> Found:
    inputs.ignore("oracle_price")  # only the event tells it
    market = make_perp_market(inputs)
    update_bounds(market.amm)
    sqrt_ks = []
    fees = []
    for cost in inputs.numbers("funding_cost_sequence"):
        formulaic_update_k(market, cost, CurveFacts())
        sqrt_ks.append(market.amm.sqrt_k)
        fees.append(market.amm.total_fee_minus_distributions)
    return {"sqrt_k_after_each": sqrt_ks, "total_fee_minus_distributions_after_each": fees}


ADAPTERS: dict[str, Adapter] = {
    "calculate_terminal_price_and_reserves": _terminal,
    "calculate_bid_ask_bounds": _bounds,
    "calculate_market_open_bids_asks": _open_bids_asks,
    "cap_to_max_spread": _cap,
    "calculate_spread": _spread,
    "calculate_long_short_vol_spread": _vol_spread,
    "calculate_inventory_liquidity_ratio": _liquidity_ratio,
    "calculate_spread_inventory_scale": _inventory_scale,
    "calculate_spread_leverage_scale": _leverage_scale,
    "calculate_spread_revenue_retreat_amount": _retreat,
    "calculate_spread_reserves": _spread_reserves,
    "update_spreads": _update_spreads,
    "has_too_much_drawdown": _drawdown,
    "_calculate_budgeted_k_scale": _budgeted_k_scale,
    "get_update_k_result, adjust_k_cost_and_update": _update_k,
    "adjust_k_cost": _update_k,
    "adjust_k_cost, update_k": _update_k,
    "get_update_k_result": _update_k,
    "update_concentration_coef": _concentration,
    "formulaic_update_k": _formulaic_k,
}
