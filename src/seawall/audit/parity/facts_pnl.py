"""Facts of perp positions, net user P&L, pools and settlement."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market
from seawall.rules.common.perp_positions import calculate_net_user_pnl, update_position_and_market
from seawall.rules.common.price_bands import is_price_divergence_ok_for_settle_pnl
from seawall.state.user import PerpPosition


def _update_position(inputs: Inputs) -> Found:
    position = inputs.fill(PerpPosition())
    market = make_perp_market(inputs.nested("market"))
    market.amm.order_step_size = inputs.int("order_step_size")
    base, quote = inputs.int("delta_base_asset_amount"), inputs.int("delta_quote_asset_amount")
    pnl = update_position_and_market(position, market, base, quote)
    return {"pnl": pnl, "market_quote_asset_amount": market.amm.quote_asset_amount}, position, market.amm, market


def _net_user_pnl(inputs: Inputs) -> Found:
    amm = make_perp_market(inputs).amm
    return {"net_user_pnl": calculate_net_user_pnl(amm, inputs.int("oracle_price"))}


def _price_divergence(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    return {"ok": is_price_divergence_ok_for_settle_pnl(market, inputs.int("oracle_price"))}


ADAPTERS: dict[str, Adapter] = {
    "update_position_and_market": _update_position,
    "calculate_net_user_pnl": _net_user_pnl,
    "is_price_divergence_ok_for_settle_pnl": _price_divergence,
}
