"""Facts of weights, margin ratios and margin calculations."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.margin_weights import (
    get_asset_weight,
    get_liability_weight,
    get_margin_ratio,
    get_scaled_initial_asset_weight,
    get_unrealized_asset_weight,
)
from seawall.rules.common.perp_margin import calculate_perp_position_value_and_pnl
from seawall.state.enums import MarginRequirementType
from seawall.state.user import PerpPosition


def _requirement(inputs: Inputs) -> int:
    return MarginRequirementType[inputs.text("margin_type")]


def _asset_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    base = "maintenance_asset_weight" if kind == MarginRequirementType.Maintenance else "initial_asset_weight"
    market = make_spot_market(inputs, base_weight=base)
    return {"weight": get_asset_weight(market, inputs.int("size"), inputs.int("oracle_price"), kind)}


def _liability_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    base = "maintenance_liability_weight" if kind == MarginRequirementType.Maintenance else "initial_liability_weight"
    market = make_spot_market(inputs, base_weight=base)
    inputs.ignore("oracle_price")  # no liability weight looks at the price
    return {"weight": get_liability_weight(market, inputs.int("size"), kind)}


def _scaled_weight(inputs: Inputs) -> Found:
    return {"weight": get_scaled_initial_asset_weight(make_spot_market(inputs), inputs.int("oracle_price"))}


def _unrealized_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    market = make_perp_market(inputs)
    return {"weight": get_unrealized_asset_weight(market, inputs.int("unrealized_pnl"), kind)}


def _margin_ratio(inputs: Inputs) -> Found:
    inputs.flag("high_leverage")
    market = make_perp_market(inputs)
    return {"margin_ratio": get_margin_ratio(market, inputs.int("size"), _requirement(inputs))}


def _perp_position(inputs: Inputs) -> Found:
    position = inputs.fill(PerpPosition())
    market = make_perp_market(inputs)
    kind = _requirement(inputs)
    quote = inputs.int("quote_price")
    price = inputs.int("oracle_price")
    required, weighted, _ = calculate_perp_position_value_and_pnl(position, market, price, quote, quote, quote, kind, 0)
    return {"margin_requirement": required, "weighted_pnl": weighted}


ADAPTERS: dict[str, Adapter] = {
    "get_asset_weight": _asset_weight,
    "get_liability_weight": _liability_weight,
    "get_scaled_initial_asset_weight": _scaled_weight,
    "get_unrealized_asset_weight": _unrealized_weight,
    "get_margin_ratio": _margin_ratio,
    "calculate_perp_position_value_and_pnl": _perp_position,
}
