"""Margin calculations and what is built on them. Rules of margin.md §5, §6; liquidation.md §1."""

from typing import Any

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.margin import (
    TRACK_PERP,
    TRACK_SPOT,
    calculate_margin,
    calculate_max_withdrawable_amount,
    can_exit_liquidation,
    check_place_order_margin_requirement,
    check_withdraw_margin_requirement,
    margin_shortage,
    meets_settle_pnl_maintenance_margin_requirement,
    tracked_market_margin_shortage,
    update_liquidation_status,
    validate_spot_margin_trading,
    validate_user_not_being_liquidated,
)
from seawall.rules.common.perp_margin import worst_case_base_asset_amount
from seawall.state.enums import (
    ASSET_TIER_ISOLATED,
    BORROW,
    CONTRACT_TIER_ISOLATED,
    DEPOSIT,
    MARGIN_FILL,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    STATUS_ACTIVE,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    USER_REDUCE_ONLY,
)
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

USD = 10**6
TOKEN = 10**9
"""One token of market 1, and, as every index is 1 and both have scaled precision 1e9, one token of market 0 scaled."""


class World:
    """USDC, a token of 9 decimals at 100, a perp on it with ratios 10 % and 5 %, and one user. Change what you need."""

    def __init__(self) -> None:
        self.state = State(liquidation_margin_buffer_ratio=200)
        rails = self.state.oracle_guard_rails.validity
        rails.slots_before_stale_for_amm, rails.slots_before_stale_for_margin = 10, 120
        rails.confidence_interval_max_size, rails.too_volatile_ratio = 20_000, 5
        self.quote = self._spot(0, 6, USD, 10_000, 10_000, 10_000, 10_000)
        self.token = self._spot(1, 9, 100 * USD, 8_000, 9_000, 12_000, 11_000)
        self.perp = PerpMarket(status=STATUS_ACTIVE, margin_ratio_initial=1_000, margin_ratio_maintenance=500)
        self.perp.unrealized_pnl_maintenance_asset_weight = 10_000
        self.perp.amm.oracle_index = 1
        self.perp.amm.historical_oracle_data.last_oracle_price = 100 * USD
        self.perp.amm.historical_oracle_data.last_oracle_price_twap = 100 * USD
        self.oracles = [
            OraclePriceData(price=USD, confidence=1, has_sufficient_number_of_data_points=True),
            OraclePriceData(price=100 * USD, confidence=1, has_sufficient_number_of_data_points=True),
        ]
        self.user = User()

    @staticmethod
    def _spot(index: int, decimals: int, price: int, *weights: int) -> SpotMarket:
        market = SpotMarket(market_index=index, oracle_index=index, decimals=decimals, status=STATUS_ACTIVE)
        market.cumulative_deposit_interest = market.cumulative_borrow_interest = 10**10
        market.historical_oracle_data.last_oracle_price_twap = price
        market.historical_oracle_data.last_oracle_price_twap_5min = price
        market.initial_asset_weight, market.maintenance_asset_weight = weights[:2]
        market.initial_liability_weight, market.maintenance_liability_weight = weights[2:]
        return market

    def hold(self, market: int, scaled: int, balance_type: int = DEPOSIT, **fields: int) -> "World":
        position = self.user.spot_positions[market]
        position.market_index, position.scaled_balance, position.balance_type = market, scaled, balance_type
        for name, value in fields.items():
            setattr(position, name, value)
        return self

    def trade(self, **fields: int) -> "World":
        for name, value in fields.items():
            setattr(self.user.perp_positions[0], name, value)
        return self

    @property
    def accounts(self) -> tuple[Any, ...]:
        return self.user, [self.quote, self.token], [self.perp], self.oracles, self.state

    def margin(self, kind: int, strict: bool = False, buffer: int = 0, **tracked: int) -> MarginCalculation:
        for oracle in self.oracles:
            oracle.validity = 0
        calculation = MarginCalculation(**tracked)
        calculate_margin(*self.accounts, kind, strict, buffer, calculation)
        return calculation

    def figures(self, kind: int, strict: bool = False) -> tuple[int, int]:
        calculation = self.margin(kind, strict)
        return calculation.total_collateral, calculation.margin_requirement


def refused(code: ErrorCode) -> "pytest.RaisesContext[SettlementError]":
    return pytest.raises(SettlementError, match=f"^{code.name}:")


# --- spot positions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "collateral", "requirement"),
    [
        (MARGIN_INITIAL, 80 * USD, 0),
        (MARGIN_FILL, 85 * USD, 0),
        (MARGIN_MAINTENANCE, 90 * USD, 0),
    ],
)
def test_a_deposit_by_type(kind: int, collateral: int, requirement: int) -> None:
    assert World().hold(1, TOKEN).figures(kind) == (collateral, requirement)


@pytest.mark.parametrize(
    ("kind", "requirement"), [(MARGIN_INITIAL, 120 * USD), (MARGIN_FILL, 115 * USD), (MARGIN_MAINTENANCE, 110 * USD)]
)
def test_a_borrow_by_type(kind: int, requirement: int) -> None:
    world = World().hold(1, TOKEN, BORROW)
    assert world.figures(kind) == (0, requirement)
    assert world.margin(kind).num_spot_liabilities == 1


def test_market_0_is_never_weighted() -> None:
    world = World().hold(0, TOKEN)
    world.quote.initial_asset_weight = 1
    world.quote.imf_factor = 10**6
    assert world.figures(MARGIN_INITIAL) == (USD, 0)
    world.hold(0, TOKEN, BORROW)
    world.user.max_margin_ratio = 10_000
    assert world.figures(MARGIN_INITIAL) == (0, USD)


def test_strict_prices_take_the_worse_of_price_and_average() -> None:
    world = World().hold(1, TOKEN)
    world.token.historical_oracle_data.last_oracle_price_twap_5min = 90 * USD
    assert world.figures(MARGIN_MAINTENANCE, strict=True) == (81 * USD, 0)
    assert world.figures(MARGIN_MAINTENANCE, strict=False) == (90 * USD, 0)
    world.hold(1, TOKEN, BORROW)
    assert world.figures(MARGIN_MAINTENANCE, strict=True) == (0, 110 * USD)
    world.token.historical_oracle_data.last_oracle_price_twap_5min = 110 * USD
    assert world.figures(MARGIN_MAINTENANCE, strict=True) == (0, 121 * USD)


def test_a_custom_ratio_only_tightens_initial_margin() -> None:
    world = World().hold(1, TOKEN)
    world.user.max_margin_ratio = 5_000
    assert world.figures(MARGIN_INITIAL) == (50 * USD, 0)
    assert world.figures(MARGIN_MAINTENANCE) == (90 * USD, 0)
    world.hold(1, TOKEN, BORROW)
    assert world.figures(MARGIN_INITIAL) == (0, 150 * USD)
    world.user.max_margin_ratio = 100
    assert world.figures(MARGIN_INITIAL) == (0, 120 * USD)
    world.hold(1, TOKEN, DEPOSIT)
    world.user.max_margin_ratio = 20_000
    assert world.figures(MARGIN_INITIAL) == (0, 0)


def test_orders_count_at_their_worst_and_are_not_weighted() -> None:
    # 10 more tokens bought: 11·100·0.8 − 1000 = −120, against −1·100·0.8·…: selling 1 gives 100
    world = World().hold(1, TOKEN, open_orders=2, open_bids=10 * TOKEN, open_asks=-2 * TOKEN)
    assert world.figures(MARGIN_INITIAL) == (880 * USD, 1_000 * USD + 20_000)
    # selling 3 of 1: a borrow of 2 at 1.2, and 300 received
    world.hold(1, TOKEN, open_orders=2, open_bids=0, open_asks=-3 * TOKEN)
    assert world.figures(MARGIN_INITIAL) == (300 * USD, 240 * USD + 20_000)


def test_the_asks_win_a_tie() -> None:
    world = World().hold(1, 4 * TOKEN, open_orders=2, open_bids=3 * TOKEN, open_asks=-3 * TOKEN)
    world.token.initial_asset_weight = 10_000
    assert world.figures(MARGIN_INITIAL) == (400 * USD, 20_000)


def test_an_order_without_a_balance_is_a_liability_only_where_nothing_would_be_held() -> None:
    world = World().hold(1, 0, open_orders=1)
    assert world.margin(MARGIN_INITIAL).num_spot_liabilities == 1
    world.hold(1, 0, open_orders=1, open_bids=TOKEN)
    assert world.margin(MARGIN_INITIAL).num_spot_liabilities == 0


@pytest.mark.parametrize(
    ("market", "scaled", "fields", "code"),
    [
        (0, 1, {}, ErrorCode.InvalidMarginRatio),  # worth no token
        (1, 0, {"open_bids": -1}, ErrorCode.InvalidSpotPositionDetected),  # even in a free slot
        (1, 0, {"open_asks": 1}, ErrorCode.InvalidSpotPositionDetected),
        (1, 1, {"open_orders": 33}, ErrorCode.InvalidSpotPositionDetected),
    ],
)
def test_malformed_spot_positions(market: int, scaled: int, fields: dict[str, int], code: ErrorCode) -> None:
    world = World().hold(market, scaled, **fields)
    with refused(code):
        world.margin(MARGIN_INITIAL)


@pytest.mark.parametrize(("weight", "code"), [(9_999, ErrorCode.InvalidMarginRatio), (0, ErrorCode.InvalidMarginRatio)])
def test_a_liability_below_its_value(weight: int, code: ErrorCode) -> None:
    world = World().hold(1, TOKEN, BORROW)
    world.token.initial_liability_weight = weight
    with refused(code):
        world.margin(MARGIN_INITIAL)


@pytest.mark.parametrize("price", [0, -1])
def test_an_unusable_price_aborts(price: int) -> None:
    world = World().hold(1, TOKEN)
    world.oracles[1].price = price
    with refused(ErrorCode.MathError if price == 0 else ErrorCode.CastingFailure):
        world.margin(MARGIN_INITIAL)


def test_an_unusable_average_aborts_a_strict_calculation_only() -> None:
    world = World().hold(1, TOKEN)
    world.token.historical_oracle_data.last_oracle_price_twap_5min = 0
    world.margin(MARGIN_INITIAL, strict=False)
    with refused(ErrorCode.InvalidOracle):
        world.margin(MARGIN_INITIAL, strict=True)


# --- perp positions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "requirement"), [(MARGIN_INITIAL, 10 * USD), (MARGIN_FILL, 7_500_000), (MARGIN_MAINTENANCE, 5 * USD)]
)
def test_a_perp_position_by_type(kind: int, requirement: int) -> None:
    world = World().trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    assert world.figures(kind) == (0, requirement)


def test_a_profit_is_weighted_and_capped_for_initial_margin_a_loss_is_not() -> None:
    world = World().trade(base_asset_amount=10 * TOKEN, quote_asset_amount=-700 * USD)
    assert world.figures(MARGIN_MAINTENANCE)[0] == 300 * USD
    assert world.figures(MARGIN_INITIAL)[0] == 0
    world.perp.unrealized_pnl_initial_asset_weight = 2_500
    assert world.figures(MARGIN_INITIAL)[0] == 75 * USD
    world.perp.unrealized_pnl_initial_asset_weight = 10_000
    assert world.figures(MARGIN_INITIAL)[0] == 100 * USD
    world.trade(quote_asset_amount=-1_300 * USD)
    assert world.figures(MARGIN_INITIAL)[0] == -300 * USD


def test_a_large_net_user_profit_lowers_the_weight() -> None:
    world = World().trade(base_asset_amount=TOKEN, quote_asset_amount=-50 * USD)
    world.perp.unrealized_pnl_initial_asset_weight = 10_000
    world.perp.unrealized_pnl_max_imbalance = 1_000 * USD
    world.perp.amm.quote_asset_amount = 2_000 * USD
    assert world.figures(MARGIN_INITIAL)[0] == 25 * USD
    assert world.figures(MARGIN_MAINTENANCE)[0] == 50 * USD
    world.perp.amm.historical_oracle_data.last_oracle_price = 0
    with refused(ErrorCode.InvalidOracle):
        world.margin(MARGIN_INITIAL)


def test_unsettled_funding_counts() -> None:
    world = World().trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    world.perp.amm.cumulative_funding_rate_long = 10**9
    assert world.figures(MARGIN_MAINTENANCE)[0] == -USD
    world.trade(base_asset_amount=-TOKEN, quote_asset_amount=100 * USD)
    assert world.figures(MARGIN_MAINTENANCE)[0] == 0  # the shorts' rate did not move


def test_the_larger_side_of_the_orders_is_the_worst_case() -> None:
    world = World().trade(base_asset_amount=-TOKEN, open_orders=2, open_bids=3 * TOKEN, open_asks=-2 * TOKEN)
    assert world.margin(MARGIN_INITIAL).margin_requirement == 30 * USD + 20_000
    world.trade(open_bids=4 * TOKEN)
    assert world.margin(MARGIN_INITIAL).margin_requirement == 30 * USD + 20_000
    world.trade(open_bids=5 * TOKEN)
    assert world.margin(MARGIN_INITIAL).margin_requirement == 40 * USD + 20_000


@pytest.mark.parametrize(
    ("base", "bids", "asks", "worst"), [(0, 5, -5, -5), (1, 5, -5, 6), (-1, 5, -5, -6), (2, 0, -4, -2), (2, 1, 0, 3)]
)
def test_the_asks_win_a_tie_of_sizes(base: int, bids: int, asks: int, worst: int) -> None:
    position = PerpPosition(base_asset_amount=base, open_bids=bids, open_asks=asks)
    assert worst_case_base_asset_amount(position) == worst


def test_a_market_in_settlement_is_valued_at_its_expiry_price_and_asks_for_nothing() -> None:
    world = World().trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    world.perp.status, world.perp.expiry_price = STATUS_SETTLEMENT, 80 * USD
    assert world.figures(MARGIN_INITIAL) == (-20 * USD, 0)


def test_the_strict_quote_price_scales_profits_down_and_losses_up() -> None:
    world = World().trade(base_asset_amount=TOKEN, quote_asset_amount=-90 * USD)
    world.quote.historical_oracle_data.last_oracle_price_twap_5min = 900_000
    assert world.figures(MARGIN_MAINTENANCE, strict=True) == (9 * USD, 5 * USD)
    world.quote.historical_oracle_data.last_oracle_price_twap_5min = 1_100_000
    world.trade(quote_asset_amount=-110 * USD)
    assert world.figures(MARGIN_MAINTENANCE, strict=True) == (-11 * USD, 5_500_000)


@pytest.mark.parametrize(
    ("fields", "liabilities"),
    [
        ({"quote_asset_amount": 5}, 0),
        ({"quote_asset_amount": -5}, 1),
        ({"base_asset_amount": 1}, 1),
        ({"open_orders": 1}, 1),
        ({"open_bids": 1}, 1),
    ],
)
def test_perp_liabilities(fields: dict[str, int], liabilities: int) -> None:
    assert World().trade(**fields).margin(MARGIN_INITIAL).num_perp_liabilities == liabilities


# --- flags, buffer, tracking -----------------------------------------------------------------------------------


def test_a_stale_oracle_of_a_claim_on_a_perp_market_matters_from_fill_margin_on() -> None:
    world = World().trade(quote_asset_amount=5)
    world.oracles[1].delay = 121
    assert world.margin(MARGIN_INITIAL).all_oracles_valid
    assert not world.margin(MARGIN_MAINTENANCE).all_oracles_valid
    world.hold(1, TOKEN)
    assert not world.margin(MARGIN_INITIAL).all_oracles_valid


def test_the_buffer_is_floored_item_by_item() -> None:
    world = World().hold(0, 49_000, BORROW).hold(1, 490, BORROW)
    with_buffer = world.margin(MARGIN_MAINTENANCE, buffer=200)
    assert with_buffer.margin_requirement == 49 + 53
    assert with_buffer.margin_requirement_plus_buffer == 102  # 2 % of 49 is 0, twice
    world.hold(0, 50_000, BORROW)
    assert world.margin(MARGIN_MAINTENANCE, buffer=200).margin_requirement_plus_buffer == 104
    assert world.margin(MARGIN_MAINTENANCE).margin_requirement_plus_buffer == 0


def test_a_surplus_shows_up_as_a_shortage() -> None:
    world = World().hold(0, 200 * TOKEN).hold(1, TOKEN, BORROW)
    calculation = world.margin(MARGIN_MAINTENANCE, buffer=200)
    assert calculation.margin_requirement_plus_buffer == 112 * USD
    assert margin_shortage(calculation) == 88 * USD
    with refused(ErrorCode.InvalidMarginCalculation):
        margin_shortage(world.margin(MARGIN_MAINTENANCE))


def test_the_tracked_market_bears_its_part_of_the_shortage() -> None:
    world = World().hold(1, TOKEN, BORROW).trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    spot = world.margin(MARGIN_MAINTENANCE, buffer=200, tracked_market_type=TRACK_SPOT, tracked_market_index=1)
    perp = world.margin(MARGIN_MAINTENANCE, buffer=200, tracked_market_type=TRACK_PERP, tracked_market_index=0)
    assert (spot.tracked_market_margin_requirement, perp.tracked_market_margin_requirement) == (110 * USD, 5 * USD)
    assert tracked_market_margin_shortage(perp, 23 * USD) == USD
    with refused(ErrorCode.InvalidMarginCalculation):
        tracked_market_margin_shortage(world.margin(MARGIN_MAINTENANCE), 1)


def test_orders_to_buy_are_a_requirement_of_market_0() -> None:
    world = World().hold(1, 0, open_orders=1, open_bids=TOKEN)
    quote = world.margin(MARGIN_INITIAL, tracked_market_type=TRACK_SPOT, tracked_market_index=0)
    token = world.margin(MARGIN_INITIAL, tracked_market_type=TRACK_SPOT, tracked_market_index=1)
    assert (quote.tracked_market_margin_requirement, token.tracked_market_margin_requirement) == (100 * USD, 10_000)


# --- predicates ------------------------------------------------------------------------------------------------


def test_settling_a_loss_asks_for_strict_maintenance_margin() -> None:
    world = World().hold(0, 5 * TOKEN).trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    assert meets_settle_pnl_maintenance_margin_requirement(*world.accounts)
    world.quote.historical_oracle_data.last_oracle_price_twap_5min = 999_999
    assert not meets_settle_pnl_maintenance_margin_requirement(*world.accounts)


def test_orders_need_initial_margin_only_where_risk_increases() -> None:
    world = World().hold(0, 7 * TOKEN).trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    check_place_order_margin_requirement(*world.accounts, False)
    with refused(ErrorCode.InsufficientCollateral):
        check_place_order_margin_requirement(*world.accounts, True)


def test_a_withdrawal_with_liabilities_needs_valid_oracles_first() -> None:
    world = World().hold(0, TOKEN).hold(1, TOKEN, BORROW)
    world.oracles[1].delay = 121
    with refused(ErrorCode.InvalidOracle):
        check_withdraw_margin_requirement(*world.accounts)
    world.oracles[1].delay = world.oracles[1].validity = 0
    with refused(ErrorCode.InsufficientCollateral):
        check_withdraw_margin_requirement(*world.accounts)


def test_a_withdrawal_without_liabilities_does_not_ask_for_oracles() -> None:
    world = World().hold(1, TOKEN)
    world.oracles[1].delay = 121
    check_withdraw_margin_requirement(*world.accounts)


def perp_isolated(world: World) -> World:
    world.perp.contract_tier = CONTRACT_TIER_ISOLATED
    return world.hold(0, 10**6 * TOKEN).trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)


def test_an_isolated_perp_liability_stands_alone() -> None:
    world = perp_isolated(World())
    check_withdraw_margin_requirement(*world.accounts)
    world.hold(1, TOKEN, BORROW)
    with refused(ErrorCode.IsolatedAssetTierViolation):
        check_withdraw_margin_requirement(*world.accounts)
    world.user.status = USER_REDUCE_ONLY
    check_withdraw_margin_requirement(*world.accounts)


def test_an_isolated_perp_liability_beside_a_quote_borrow() -> None:
    world = perp_isolated(World()).hold(0, TOKEN, BORROW).hold(1, 10 * TOKEN)
    check_withdraw_margin_requirement(*world.accounts)
    world.user.is_margin_trading_enabled = True
    with refused(ErrorCode.IsolatedAssetTierViolation):
        check_withdraw_margin_requirement(*world.accounts)


def test_an_isolated_spot_liability_stands_alone() -> None:
    world = World().hold(0, 10**6 * TOKEN).hold(1, TOKEN, BORROW)
    world.token.asset_tier = ASSET_TIER_ISOLATED
    check_withdraw_margin_requirement(*world.accounts)
    world.trade(base_asset_amount=TOKEN, quote_asset_amount=-100 * USD)
    with refused(ErrorCode.IsolatedAssetTierViolation):
        check_withdraw_margin_requirement(*world.accounts)


@pytest.mark.parametrize(
    ("quote", "token", "fields", "enabled", "code"),
    [
        (0, 0, {}, False, None),
        (0, TOKEN, {"open_asks": -TOKEN}, False, None),
        (0, TOKEN, {"open_asks": -TOKEN - 1}, False, ErrorCode.MarginTradingDisabled),
        (100 * TOKEN, 0, {"open_bids": TOKEN}, False, None),
        (100 * TOKEN - 1_000, 0, {"open_bids": TOKEN}, False, ErrorCode.MarginTradingDisabled),
        (0, 0, {"open_bids": TOKEN}, True, None),
    ],
)
def test_open_spot_orders_may_not_borrow_without_margin_trading(
    quote: int, token: int, fields: dict[str, int], enabled: bool, code: ErrorCode | None
) -> None:
    world = World().hold(0, quote).hold(1, token, **fields)
    world.user.is_margin_trading_enabled = enabled
    arguments = (world.user, [world.quote, world.token], [world.perp], world.oracles)
    if code is None:
        validate_spot_margin_trading(*arguments)
    else:
        with refused(code):
            validate_spot_margin_trading(*arguments)


def test_margin_trading_and_isolated_perps_exclude_each_other() -> None:
    world = perp_isolated(World())
    world.user.is_margin_trading_enabled = True
    with refused(ErrorCode.IsolatedAssetTierViolation):
        validate_spot_margin_trading(world.user, [world.quote, world.token], [world.perp], world.oracles)


def test_withdrawable_by_margin() -> None:
    world = World().hold(1, 2 * TOKEN)
    assert calculate_max_withdrawable_amount(world.user, 1, *world.accounts[1:]) == 2 * TOKEN
    world.hold(0, 100 * TOKEN, BORROW)
    # 160 of collateral less 100: 60 free, at a weight of 0.8 and a price of 100
    assert calculate_max_withdrawable_amount(world.user, 1, *world.accounts[1:]) == 750_000_000
    world.token.initial_asset_weight = 0
    assert calculate_max_withdrawable_amount(world.user, 1, *world.accounts[1:]) == 2**64 - 1


# --- leaving liquidation ---------------------------------------------------------------------------------------


def liquidated(quote: int, buffer: int = 200, status: int = USER_BEING_LIQUIDATED) -> World:
    world = World().hold(0, quote).hold(1, TOKEN, BORROW)
    world.state.liquidation_margin_buffer_ratio = buffer
    world.user.status, world.user.liquidation_margin_freed = status, 7
    return world


@pytest.mark.parametrize(
    ("quote", "buffer", "stays"),
    [
        (112 * TOKEN, 200, False),
        (112 * TOKEN - 1_000, 200, True),  # the requirement with buffer is 110 + 2
        (0, 0, False),  # without a buffer nothing is asked
    ],
)
def test_leaving_liquidation_needs_the_buffer(quote: int, buffer: int, stays: bool) -> None:
    world = liquidated(quote, buffer)
    assert update_liquidation_status(*world.accounts) == stays
    assert (world.user.status != 0, world.user.liquidation_margin_freed) == (stays, 7 if stays else 0)
    assert can_exit_liquidation(world.margin(MARGIN_MAINTENANCE, buffer=buffer)) != stays


def test_an_account_that_can_exit_loses_its_bankrupt_bit_too() -> None:
    world = liquidated(112 * TOKEN, status=USER_BANKRUPT | USER_REDUCE_ONLY)
    validate_user_not_being_liquidated(*world.accounts)
    assert world.user.status == USER_REDUCE_ONLY
    with refused(ErrorCode.UserIsBeingLiquidated):
        validate_user_not_being_liquidated(*liquidated(0).accounts)


def test_an_account_that_is_not_in_liquidation_is_not_looked_at() -> None:
    world = liquidated(0, status=0).hold(0, 1)  # dust would make a calculation fail
    assert not update_liquidation_status(*world.accounts)
    assert world.user.liquidation_margin_freed == 7
