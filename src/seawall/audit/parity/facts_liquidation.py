"""Facts of liquidations: the formulas, the tiers, and whole liquidations of an account that can no longer pay."""

from seawall.arithmetic import I64_MAX
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, refuses
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.balances import get_token_amount, update_spot_position_balance
from seawall.rules.common.liquidation_math import (
    NO_LIMIT_PRICE,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_liability_transfer_to_cover_margin_shortage,
    calculate_max_pct_to_liquidate,
    calculate_perp_if_fee,
    calculate_spot_if_fee,
    is_as_safe_as,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.drift.liquidation import calculate_liquidation_margin
from seawall.rules.drift.liquidation_math import calculate_asset_transfer_for_liability_transfer
from seawall.rules.drift.liquidation_perp import liquidate_perp
from seawall.rules.drift.liquidation_pnl import liquidate_borrow_for_perp_pnl, liquidate_perp_pnl_for_deposit
from seawall.rules.drift.liquidation_spot import liquidate_spot
from seawall.state.enums import BORROW, DEPOSIT, USER_BEING_LIQUIDATED, AssetTier, ContractTier
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User, UserStats

_ENOUGH = 1_000_000_000_000_000
"""Scaled balance of the liquidator's deposit, where a fact does not tell: it can bear everything."""


# --- formulas --------------------------------------------------------------------------------------------------


def _base_to_cover(inputs: Inputs) -> Found:
    names = (
        "margin_shortage", "margin_ratio", "liquidation_fee", "if_liquidation_fee", "oracle_price",
        "quote_oracle_price",
    )  # fmt: skip
    amount = calculate_base_asset_amount_to_cover_margin_shortage(*[inputs.number(name) for name in names])
    return {"base_asset_amount": amount}


def _perp_if_fee(inputs: Inputs) -> Found:
    names = (
        "margin_shortage", "user_base_asset_amount", "margin_ratio", "liquidator_fee", "oracle_price",
        "quote_oracle_price", "max_if_liquidation_fee",
    )  # fmt: skip
    return {"if_fee": calculate_perp_if_fee(*[inputs.number(name) for name in names])}


def _liability_to_cover(inputs: Inputs) -> Found:
    names = (
        "margin_shortage", "asset_weight", "asset_liquidation_multiplier", "liability_weight",
        "liability_liquidation_multiplier", "liability_decimals", "liability_price", "if_liquidation_fee",
    )  # fmt: skip
    amount = calculate_liability_transfer_to_cover_margin_shortage(*[inputs.number(name) for name in names])
    return {"liability_transfer": amount}


def _implied_liability(inputs: Inputs) -> Found:
    names = (
        "asset_amount", "asset_liquidation_multiplier", "asset_decimals", "asset_price",
        "liability_liquidation_multiplier", "liability_decimals", "liability_price",
    )  # fmt: skip
    amount = calculate_liability_transfer_implied_by_asset_amount(*[inputs.number(name) for name in names])
    return {"liability_transfer": amount}


def _asset_for_liability(inputs: Inputs) -> Found:
    names = (
        "asset_amount", "asset_liquidation_multiplier", "asset_decimals", "asset_price", "liability_transfer",
        "liability_liquidation_multiplier", "liability_decimals", "liability_price",
    )  # fmt: skip
    amount = calculate_asset_transfer_for_liability_transfer(*[inputs.number(name) for name in names])
    return {"asset_transfer": amount}


def _spot_if_fee(inputs: Inputs) -> Found:
    names = (
        "margin_shortage", "token_amount", "asset_weight", "asset_liquidation_multiplier", "liability_weight",
        "liability_liquidation_multiplier", "liability_decimals", "liability_price", "max_if_fee",
    )  # fmt: skip
    return {"if_fee": calculate_spot_if_fee(*[inputs.number(name) for name in names])}


def _max_pct(inputs: Inputs) -> Found:
    names = (
        "user_last_active_slot", "user_liquidation_margin_freed", "margin_shortage", "slot",
        "initial_pct_to_liquidate", "liquidation_duration",
    )  # fmt: skip
    return {"pct": calculate_max_pct_to_liquidate(*[inputs.number(name) for name in names])}


def _limit_price(inputs: Inputs) -> Found:
    names = ("asset_transfer", "liability_transfer", "asset_decimals", "liability_decimals", "limit_price")
    numbers = [inputs.number(name) for name in names]
    return {"ok": not refuses(lambda: validate_transfer_satisfies_limit_price(*numbers))}


def _is_as_safe_as(inputs: Inputs) -> Found:
    contract = ContractTier[inputs.text("contract_tier")]
    perp, spot = ContractTier[inputs.text("safest_perp_tier")], AssetTier[inputs.text("safest_spot_tier")]
    return {"result": is_as_safe_as(contract, perp, spot)}


# --- whole liquidations ----------------------------------------------------------------------------------------


class _Venue:
    """A user, a liquidator, the quote market and another one, and a perp market; each at the price of its oracle."""

    def __init__(self, settings: Inputs) -> None:
        self.user, self.liquidator = User(next_liquidation_id=1), User(next_liquidation_id=1)
        self.state = settings.fill(State(oracle_guard_rails=OracleGuardRails(validity=validity_rails())))
        self.prices = [1_000_000, 1_000_000, 100_000_000]
        self.spot_markets = [self._spot_market(Inputs({})), self._spot_market(Inputs({}))]
        self.spot_markets[1].market_index = self.spot_markets[1].oracle_index = 1
        self.perp_markets: list[PerpMarket] = []
        self.calculation, self.facts = MarginCalculation(), LiquidationFacts()
        self.hold(self.liquidator, 0, _ENOUGH)

    @staticmethod
    def _spot_market(inputs: Inputs) -> SpotMarket:
        inputs.ignore("index", "oracle_price")
        market = make_spot_market(inputs)
        market.deposit_balance = market.borrow_balance = 2 * _ENOUGH
        market.maintenance_asset_weight = market.maintenance_asset_weight or 10_000
        market.initial_asset_weight = market.initial_asset_weight or 10_000
        market.maintenance_liability_weight = market.maintenance_liability_weight or 10_000
        market.initial_liability_weight = market.initial_liability_weight or 10_000
        return market

    def add_spot_market(self, inputs: Inputs) -> int:
        """Put a market in its place; its index."""
        index = inputs.number("index")
        market = self._spot_market(inputs)
        market.market_index = market.oracle_index = index
        self.spot_markets[index] = market
        self.prices[index] = inputs.number("oracle_price")
        return index

    def add_perp_market(self, inputs: Inputs) -> PerpMarket:
        """The perp market, balanced at the price of its oracle, with the user's position in its books."""
        price = self.prices[2] = inputs.number("oracle_price", 100_000_000)
        market = make_perp_market(inputs)
        amm = market.amm
        amm.oracle_index = 2
        amm.peg_multiplier = price
        amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 100_000_000_000
        history = amm.historical_oracle_data
        history.last_oracle_price = history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
        market.number_of_users = market.number_of_users_with_base = 1
        self.perp_markets.append(market)
        return market

    def hold(self, user: User, index: int, scaled_balance: int, balance_type: int = DEPOSIT) -> None:
        """Give an account a balance."""
        position = user.spot_positions[index]
        position.market_index, position.scaled_balance, position.balance_type = index, scaled_balance, balance_type

    @property
    def oracles(self) -> list[OraclePriceData]:
        """Fresh prices, as each instruction gets them. Spot TWAPs follow."""
        for market in self.spot_markets:
            history = market.historical_oracle_data
            history.last_oracle_price_twap = history.last_oracle_price_twap_5min = self.prices[market.market_index]
        return [OraclePriceData(price=p, confidence=1, has_sufficient_number_of_data_points=True) for p in self.prices]

    def margin_after(self) -> dict[str, int]:
        """The user's margin with the liquidation buffer, as it is now."""
        calculation = MarginCalculation()
        calculate_liquidation_margin(
            self.user, self.spot_markets, self.perp_markets, self.oracles, self.state, calculation
        )
        return {
            "margin_requirement_after": calculation.margin_requirement,
            "total_collateral_after": calculation.total_collateral,
            "margin_requirement_plus_buffer_after": calculation.margin_requirement_plus_buffer,
        }

    def balances(self, **indices: int) -> dict[str, int]:
        """Scaled balances of both accounts by side (asset, liability) and market index."""
        return {
            f"{name}_{side}_scaled_balance": user.spot_positions[index].scaled_balance
            for name, user in (("user", self.user), ("liquidator", self.liquidator))
            for side, index in indices.items()
        }

    def positions(self) -> dict[str, int]:
        """The perp positions of both accounts."""
        names = (
            "base_asset_amount", "quote_asset_amount", "quote_entry_amount", "quote_break_even_amount", "open_orders",
            "open_bids",
        )  # fmt: skip
        return {
            f"{owner}_{name}": getattr(user.perp_positions[0], name)
            for owner, user in (("user", self.user), ("liquidator", self.liquidator))
            for name in names
        }


def _perp_venue(inputs: Inputs) -> _Venue:
    venue = _Venue(inputs.nested("state"))
    market = venue.add_perp_market(inputs.nested("perp_market"))
    if "quote_market" in inputs:
        quote = inputs.nested("quote_market")
        venue.prices[0] = quote.number("oracle_price")
        quote.fill(venue.spot_markets[0])
    user = inputs.nested("user")
    venue.hold(venue.user, 0, user.number("quote_deposit_tokens") * 1_000)
    position = user.fill(venue.user.perp_positions[0])
    if "liquidator_quote_deposit_tokens" in inputs:
        venue.hold(venue.liquidator, 0, inputs.number("liquidator_quote_deposit_tokens") * 1_000)
    market.amm.base_asset_amount_long = max(position.base_asset_amount, 0)
    market.amm.base_asset_amount_short = min(position.base_asset_amount, 0)
    return venue


def _call_liquidate_perp(venue: _Venue, call: Inputs) -> None:
    call.ignore("limit_price")  # none in every fact
    most, slot = call.number("liquidator_max_base_asset_amount"), call.number("slot")
    venue.calculation, venue.facts = MarginCalculation(), LiquidationFacts()
    liquidate_perp(
        venue.user, UserStats(), venue.liquidator, UserStats(), 0, most, NO_LIMIT_PRICE, venue.spot_markets,
        venue.perp_markets, venue.oracles, venue.state, 0, slot, FundingPaymentFacts(), FundingPaymentFacts(),
        venue.calculation, venue.facts,
    )  # fmt: skip


def _liquidate_perp(inputs: Inputs) -> Found:
    venue = _perp_venue(inputs)
    _call_liquidate_perp(venue, inputs)
    return {
        **venue.positions(),
        "total_liquidation_fee": venue.perp_markets[0].amm.total_liquidation_fee,
        "being_liquidated": venue.user.status & USER_BEING_LIQUIDATED != 0,
    }


def _liquidate_perp_over_slots(inputs: Inputs) -> Found:
    venue = _perp_venue(inputs)
    after: list[dict[str, int]] = []
    for call in inputs.items("calls"):
        _call_liquidate_perp(venue, call)
        user = venue.user
        after.append(
            {
                "status": user.status,
                "last_active_slot": user.last_active_slot,
                "liquidation_margin_freed": user.liquidation_margin_freed,
                "base_asset_amount": user.perp_positions[0].base_asset_amount,
            }
        )
    return {"user_after_each_call": after}


def _liquidate_spot(inputs: Inputs) -> Found:
    venue = _Venue(inputs.nested("state"))
    asset = venue.add_spot_market(inputs.nested("asset_market"))
    liability = venue.add_spot_market(inputs.nested("liability_market"))
    user = inputs.nested("user")
    venue.hold(venue.user, asset, user.number("asset_scaled_balance"))
    venue.hold(venue.user, liability, user.number("liability_scaled_balance"), BORROW)
    venue.hold(venue.liquidator, asset, inputs.number("liquidator_asset_scaled_balance"))
    liquidate_spot(
        venue.user, venue.liquidator, asset, liability, inputs.number("liquidator_max_liability_transfer"),
        NO_LIMIT_PRICE, venue.spot_markets, venue.perp_markets, venue.oracles, venue.state, 0, 0, InterestFacts(),
        InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    market = venue.spot_markets[liability]
    tokens = get_token_amount(venue.user.spot_positions[liability].scaled_balance, market, BORROW)
    return {
        **venue.balances(asset=asset, liability=liability),
        **venue.margin_after(),
        "user_liability_tokens": tokens,
        "user_liability_value": get_token_value(tokens, market.decimals, venue.prices[liability]),
        "revenue_pool_tokens": get_token_amount(market.revenue_pool.scaled_balance, market, DEPOSIT),
    }


def _bankrupting_liquidation(inputs: Inputs) -> Found:
    """A borrow of SOL, weight 1.1, worth as much as the deposit: its interest is the debt that is left."""
    venue = _Venue(Inputs({"liquidation_margin_buffer_ratio": "200"}))
    market = venue.spot_markets[1]
    market.decimals = inputs.number("liability_decimals")
    market.maintenance_liability_weight = 11_000
    venue.prices[0], venue.prices[1] = inputs.number("asset_price"), inputs.number("liability_price")
    user = venue.user
    venue.hold(user, 0, 0)
    venue.hold(user, 1, 0)
    deposit, borrow = inputs.number("user_deposit_market_0"), inputs.number("user_borrow_market_1")
    update_spot_position_balance(deposit, DEPOSIT, venue.spot_markets[0], user.spot_positions[0], False)
    update_spot_position_balance(borrow, BORROW, market, user.spot_positions[1], False)
    market.cumulative_borrow_interest += 10  # in the program's test seconds pass
    liquidate_spot(
        user, venue.liquidator, 0, 1, I64_MAX, NO_LIMIT_PRICE, venue.spot_markets, venue.perp_markets, venue.oracles,
        venue.state, 0, 0, InterestFacts(), InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    return {
        "status": "Bankrupt" if is_bankrupt(user) else "",
        "next_liquidation_id": user.next_liquidation_id,
    }, venue.facts


def _pnl_venue(inputs: Inputs) -> _Venue:
    venue = _Venue(inputs)
    venue.prices[0] = inputs.number("quote_oracle_price")
    venue.add_perp_market(inputs.nested("perp_market"))
    inputs.nested("user").fill(venue.user.perp_positions[0])
    venue.hold(venue.liquidator, 0, inputs.number("liquidator_quote_deposit_scaled"))
    return venue


def _liquidate_borrow_for_pnl(inputs: Inputs) -> Found:
    venue = _pnl_venue(inputs)
    liability = venue.add_spot_market(inputs.nested("liability_market"))
    venue.hold(venue.user, liability, inputs.nested("user").number("liability_scaled_balance"), BORROW)
    liquidate_borrow_for_perp_pnl(
        venue.user, venue.liquidator, 0, liability, inputs.number("liquidator_max_liability_transfer"), NO_LIMIT_PRICE,
        venue.spot_markets, venue.perp_markets, venue.oracles, venue.state, 0, 0, FundingPaymentFacts(),
        FundingPaymentFacts(), InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    market = venue.spot_markets[liability]
    return {
        **venue.balances(liability=liability),
        **venue.positions(),
        **venue.margin_after(),
        "revenue_pool_tokens": get_token_amount(market.revenue_pool.scaled_balance, market, DEPOSIT),
    }


def _liquidate_pnl_for_deposit(inputs: Inputs) -> Found:
    venue = _pnl_venue(inputs)
    asset = venue.add_spot_market(inputs.nested("asset_market"))
    venue.hold(venue.user, asset, inputs.nested("user").number("asset_scaled_balance"))
    liquidate_perp_pnl_for_deposit(
        venue.user, venue.liquidator, 0, asset, inputs.number("liquidator_max_pnl_transfer"), NO_LIMIT_PRICE,
        venue.spot_markets, venue.perp_markets, venue.oracles, venue.state, 0, 0, FundingPaymentFacts(),
        FundingPaymentFacts(), InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    return {**venue.balances(asset=asset), **venue.positions(), **venue.margin_after()}


ADAPTERS: dict[str, Adapter] = {
    "calculate_base_asset_amount_to_cover_margin_shortage": _base_to_cover,
    "calculate_perp_if_fee": _perp_if_fee,
    "calculate_liability_transfer_to_cover_margin_shortage": _liability_to_cover,
    "calculate_liability_transfer_implied_by_asset_amount": _implied_liability,
    "calculate_asset_transfer_for_liability_transfer": _asset_for_liability,
    "calculate_spot_if_fee": _spot_if_fee,
    "calculate_max_pct_to_liquidate": _max_pct,
    "validate_transfer_satisfies_limit_price": _limit_price,
    "is_as_safe_as": _is_as_safe_as,
    "liquidate_perp": _liquidate_perp,
    "liquidate_perp (several slots)": _liquidate_perp_over_slots,
    "liquidate_spot": _liquidate_spot,
    "liquidate_spot leading to bankruptcy": _bankrupting_liquidation,
    "liquidate_borrow_for_perp_pnl": _liquidate_borrow_for_pnl,
    "liquidate_perp_pnl_for_deposit": _liquidate_pnl_for_deposit,
}
