"""Facts of perp positions, net user P&L and settlement."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.errors import SettlementError
from seawall.rules.common.amm_curve import calculate_terminal_reserves
from seawall.rules.common.expiry import calculate_expiry_price
from seawall.rules.common.margin import (
    meets_maintenance_margin_requirement,
    meets_settle_pnl_maintenance_margin_requirement,
)
from seawall.rules.common.perp_positions import calculate_net_user_pnl, update_position_and_market
from seawall.rules.common.pnl import MARGIN_NOT_JUDGED
from seawall.rules.common.price_bands import is_price_divergence_ok_for_settle_pnl
from seawall.rules.drift.pnl import settle_pnl
from seawall.state.enums import SettlePnlMode
from seawall.state.exchange import OracleGuardRails, PriceDivergenceGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User


def _update_position(inputs: Inputs) -> Found:
    position = inputs.fill(PerpPosition())
    market = make_perp_market(inputs.nested("market"))
    market.amm.order_step_size = inputs.number("order_step_size")
    base, quote = inputs.number("delta_base_asset_amount"), inputs.number("delta_quote_asset_amount")
    pnl = update_position_and_market(position, market, base, quote)
    return {"pnl": pnl, "market_quote_asset_amount": market.amm.quote_asset_amount}, position, market.amm, market


def _net_user_pnl(inputs: Inputs) -> Found:
    amm = make_perp_market(inputs).amm
    return {"net_user_pnl": calculate_net_user_pnl(amm, inputs.number("oracle_price"))}


def _price_divergence(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    return {"ok": is_price_divergence_ok_for_settle_pnl(market, inputs.number("oracle_price"))}


def _expiry_price(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    price = calculate_expiry_price(market, inputs.number("target_expiry_price"), inputs.number("total_excess_balance"))
    return {"expiry_price": price}


# --- settlement ------------------------------------------------------------------------------------------------


def _loser(inputs: Inputs) -> tuple[User, SpotMarket]:
    """The user and the quote market. Where a fact names no position, a loser of 1 with a deposit of 100 stands in."""
    user = User()
    renamed = {f"position_{name}": name for name in ("base_asset_amount", "quote_asset_amount", "quote_entry_amount")}
    position = inputs.fill(user.perp_positions[0], **renamed)
    if position.base_asset_amount == 0 and position.quote_asset_amount == 0:
        position.quote_asset_amount = -1_000_000
    quote = make_spot_market(
        inputs,
        quote_market_deposit_balance="deposit_balance",
        quote_market_cumulative_deposit_interest="cumulative_deposit_interest",
        quote_last_oracle_price_twap_5min="historical_oracle_data.last_oracle_price_twap_5min",
    )
    history = quote.historical_oracle_data
    history.last_oracle_price_twap_5min = history.last_oracle_price_twap_5min or 1_000_000
    held = inputs.number("user_quote_token_amount", 100_000_000) * 1_000
    user.spot_positions[0].scaled_balance = inputs.number("user_quote_scaled_balance", held)
    quote.deposit_balance = quote.deposit_balance or user.spot_positions[0].scaled_balance
    return user, quote


def _settled_market(inputs: Inputs, price: int, position: PerpPosition) -> PerpMarket:
    """A consistent market at the oracle's price: reserves of 100, all other users on the long side."""
    market = make_perp_market(
        inputs,
        amm_last_oracle_valid="amm.last_oracle_valid",
        amm_last_update_slot="amm.last_update_slot",
    )
    amm = market.amm
    amm.oracle_index = 1
    amm.peg_multiplier = price
    amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 100_000_000_000
    amm.base_asset_amount_short = min(position.base_asset_amount, 0)
    amm.base_asset_amount_long = amm.base_asset_amount_with_amm - amm.base_asset_amount_short
    amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
    history = amm.historical_oracle_data
    history.last_oracle_price = history.last_oracle_price_twap = price
    history.last_oracle_price_twap_5min = history.last_oracle_price_twap_5min or price
    market.margin_ratio_initial, market.margin_ratio_maintenance = 1_000, 500
    market.unrealized_pnl_initial_asset_weight = market.unrealized_pnl_maintenance_asset_weight = 10_000
    market.number_of_users = 1
    return market


def _settle_pnl(inputs: Inputs) -> Found:
    inputs.ignore("settler")  # the authority in every fact
    if inputs.flag("isolated_position", False):
        raise UnreadableFact("v2.84.0 has no isolated positions")
    price = inputs.number("oracle_price", 100_000_000)
    slot = inputs.number("slot", 0)
    user, quote = _loser(inputs)
    market = _settled_market(inputs, price, user.perp_positions[0])
    if slot:
        market.amm.curve_update_intensity = 100  # the facts that name a slot are about the oracle's age
    divergence = PriceDivergenceGuardRails(mark_oracle_percent_divergence=100_000)
    state = State(oracle_guard_rails=OracleGuardRails(price_divergence=divergence, validity=validity_rails()))
    quote_price = inputs.number("quote_oracle_price", 1_000_000)
    oracles = [
        OraclePriceData(price=quote_price, confidence=1, has_sufficient_number_of_data_points=True),
        OraclePriceData(price=price, confidence=1, delay=slot, has_sufficient_number_of_data_points=True),
    ]
    plain = meets_maintenance_margin_requirement(user, [quote], [market], oracles, state)
    strict = meets_settle_pnl_maintenance_margin_requirement(user, [quote], [market], oracles, state)
    found = {"meets_plain_maintenance": plain, "meets_strict_maintenance": strict, "ok": True}
    mode = SettlePnlMode[inputs.text("mode")]
    facts = InterestFacts(), FundingPaymentFacts(), SettlePnlFacts()
    try:
        settle_pnl(user, 0, [quote], [market], oracles, state, 0, slot, mode, MARGIN_NOT_JUDGED, True, *facts)
    except SettlementError as error:
        return {**found, "ok": False, "error": error.code.name}
    return {
        **found,
        "user_spot_scaled_balance": user.spot_positions[0].scaled_balance,
        "pnl_pool_scaled_balance": market.pnl_pool.scaled_balance,
        "fee_pool_scaled_balance": market.amm.fee_pool.scaled_balance,
        "market_quote_asset_amount": market.amm.quote_asset_amount,
    }, user.perp_positions[0]


ADAPTERS: dict[str, Adapter] = {
    "update_position_and_market": _update_position,
    "calculate_net_user_pnl": _net_user_pnl,
    "is_price_divergence_ok_for_settle_pnl": _price_divergence,
    "calculate_expiry_price": _expiry_price,
    "settle_pnl": _settle_pnl,
}
