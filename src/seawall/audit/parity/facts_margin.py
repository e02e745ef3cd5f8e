"""Facts of weights, margin ratios and margin calculations."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.margin import calculate_margin, calculate_max_withdrawable_amount
from seawall.rules.common.margin_weights import (
    get_asset_weight,
    get_liability_weight,
    get_margin_ratio,
    get_scaled_initial_asset_weight,
    get_unrealized_asset_weight,
)
from seawall.rules.common.perp_margin import calculate_perp_position_value_and_pnl
from seawall.state.enums import BORROW, MarginRequirementType
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, SpotPosition, User


def _requirement(inputs: Inputs) -> int:
    return MarginRequirementType[inputs.text("margin_type")]


def _asset_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    base = "maintenance_asset_weight" if kind == MarginRequirementType.Maintenance else "initial_asset_weight"
    market = make_spot_market(inputs, base_weight=base)
    return {"weight": get_asset_weight(market, inputs.number("size"), inputs.number("oracle_price"), kind)}


def _liability_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    base = "maintenance_liability_weight" if kind == MarginRequirementType.Maintenance else "initial_liability_weight"
    market = make_spot_market(inputs, base_weight=base)
    inputs.ignore("oracle_price")  # no liability weight looks at the price
    return {"weight": get_liability_weight(market, inputs.number("size"), kind)}


def _scaled_weight(inputs: Inputs) -> Found:
    return {"weight": get_scaled_initial_asset_weight(make_spot_market(inputs), inputs.number("oracle_price"))}


def _unrealized_weight(inputs: Inputs) -> Found:
    kind = _requirement(inputs)
    market = make_perp_market(inputs)
    return {"weight": get_unrealized_asset_weight(market, inputs.number("unrealized_pnl"), kind)}


def _margin_ratio(inputs: Inputs) -> Found:
    inputs.flag("high_leverage")
    market = make_perp_market(inputs)
    return {"margin_ratio": get_margin_ratio(market, inputs.number("size"), _requirement(inputs))}


def _perp_position(inputs: Inputs) -> Found:
    position = inputs.fill(PerpPosition())
    market = make_perp_market(inputs)
    kind = _requirement(inputs)
    quote = inputs.number("quote_price")
    price = inputs.number("oracle_price")
    required, weighted, _ = calculate_perp_position_value_and_pnl(position, market, price, quote, quote, quote, kind, 0)
    return {"margin_requirement": required, "weighted_pnl": weighted}


# --- calculations ----------------------------------------------------------------------------------------------


class _Account:
    """A user with balances in USDC (market 0) and SOL (market 1) and a perp position, as the facts name them."""

    def __init__(self, inputs: Inputs) -> None:
        self.user = User()
        self.state = State(oracle_guard_rails=OracleGuardRails(validity=validity_rails()))
        quote = make_spot_market(Inputs({}))
        quote.initial_asset_weight = quote.maintenance_asset_weight = 10_000
        quote.initial_liability_weight = quote.maintenance_liability_weight = 10_000
        quote.historical_oracle_data.last_oracle_price_twap = 1_000_000
        quote.historical_oracle_data.last_oracle_price_twap_5min = inputs.number("market_0_twap_5min", 1_000_000)
        self._balance(inputs, "market_0", 0)
        self.spot_markets = [quote, self._sol(inputs)]
        self.perp_markets: list[PerpMarket] = []
        prices = [inputs.number("market_0_oracle_price", 1_000_000), self.sol_price, self._perp(inputs)]
        self.oracles = [
            OraclePriceData(price=price, confidence=1, has_sufficient_number_of_data_points=True) for price in prices
        ]

    def _balance(self, inputs: Inputs, prefix: str, index: int) -> SpotPosition:
        position = self.user.spot_positions[index]
        position.market_index = index
        position.scaled_balance = inputs.number(f"{prefix}_deposit_scaled_balance", 0)
        if f"{prefix}_borrow_scaled_balance" in inputs:
            position.scaled_balance = inputs.number(f"{prefix}_borrow_scaled_balance")
            position.balance_type = BORROW
        return position

    def _sol(self, inputs: Inputs) -> SpotMarket:
        """SOL as the program's tests have it: weights 0.8 and 1.2, maintenance 0.9 and 1.1, price 100."""
        position = self._balance(inputs, "sol", 1)
        market = make_spot_market(Inputs({"decimals": "9"}))
        market.market_index = market.oracle_index = 1
        market.initial_asset_weight, market.maintenance_asset_weight = 8_000, 9_000
        market.initial_liability_weight, market.maintenance_liability_weight = 12_000, 11_000
        inputs.fill(market, sol_decimals="decimals")
        inputs.fill(position, sol_open_bids="open_bids", sol_open_asks="open_asks", sol_open_orders="open_orders")
        self.sol_price = inputs.number("sol_oracle_price", 100_000_000)
        if "sol_market" in inputs:
            inputs.nested("sol_market").fill(market)
            self.sol_price = inputs.nested("sol_market").number("oracle_price")
        if "sol_position" in inputs:
            inputs.nested("sol_position").fill(position)
        market.historical_oracle_data.last_oracle_price_twap = self.sol_price
        market.historical_oracle_data.last_oracle_price_twap_5min = inputs.number("sol_twap_5min", self.sol_price)
        return market

    def _perp(self, inputs: Inputs) -> int:
        """A perp position where there is one; the price of its oracle."""
        if "perp" not in inputs:
            return 0
        perp = inputs.nested("perp")
        price = perp.number("oracle_price")
        perp.fill(self.user.perp_positions[0])
        market = make_perp_market(perp)
        market.amm.oracle_index = 2
        market.amm.historical_oracle_data.last_oracle_price_twap = price
        market.amm.historical_oracle_data.last_oracle_price = price
        self.perp_markets.append(market)
        return price


def _calculation(requirement_type: MarginRequirementType, strict: bool) -> Adapter:
    def calculate(inputs: Inputs) -> Found:
        account = _Account(inputs)
        calculation = MarginCalculation()
        calculate_margin(
            account.user,
            account.spot_markets,
            account.perp_markets,
            account.oracles,
            account.state,
            requirement_type,
            strict,
            0,
            calculation,
        )
        return calculation

    return calculate


def _withdrawable(inputs: Inputs) -> Found:
    account = _Account(inputs)
    amount = calculate_max_withdrawable_amount(
        account.user,
        inputs.number("market_index"),
        account.spot_markets,
        account.perp_markets,
        account.oracles,
        account.state,
    )
    return {"amount": amount}


ADAPTERS: dict[str, Adapter] = {
    "get_asset_weight": _asset_weight,
    "get_liability_weight": _liability_weight,
    "get_scaled_initial_asset_weight": _scaled_weight,
    "get_unrealized_asset_weight": _unrealized_weight,
    "get_margin_ratio": _margin_ratio,
    "calculate_perp_position_value_and_pnl": _perp_position,
    "margin calculation, Initial, non-strict": _calculation(MarginRequirementType.Initial, strict=False),
    "margin calculation, Initial, strict": _calculation(MarginRequirementType.Initial, strict=True),
    "margin calculation, Maintenance, strict": _calculation(MarginRequirementType.Maintenance, strict=True),
    "calculate_max_withdrawable_amount": _withdrawable,
}
