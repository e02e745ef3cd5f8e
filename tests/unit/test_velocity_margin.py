"""Margin of every scope under Velocity: velocity/isolated.md §5, velocity/liquidation.md §2, margin.md (newer)."""

from typing import Any

import pytest
from support.scopes import meets_all

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.margin import TRACK_PERP, TRACK_SPOT
from seawall.rules.common.perp_positions import force_get_perp_position_index, is_perp_position_available
from seawall.rules.velocity.isolated import (
    CROSS,
    force_get_isolated_position_index,
    get_total_token_amount,
    scope_of,
    update_isolated_balance,
)
from seawall.rules.velocity.margin import (
    calculate_margin,
    calculate_max_withdrawable_amount,
    can_exit_liquidation,
    check_place_order_margin_requirement,
    check_transfer_margin_requirement,
    check_withdraw_margin_requirement,
    free_collateral,
    margin_shortage,
    meets_fill_margin_requirement,
    meets_initial_margin_requirement,
    meets_maintenance_margin_requirement,
    meets_margin_requirement,
    meets_settle_pnl_maintenance_margin_requirement,
    scope_figures,
    tracked_market_margin_shortage,
    update_liquidation_status,
    update_scope_liquidation_status,
    validate_user_not_being_liquidated,
)
from seawall.state.enums import (
    BORROW,
    CONTRACT_TIER_ISOLATED,
    DEPOSIT,
    MARGIN_FILL,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    POSITION_BANKRUPT,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    STATUS_SETTLEMENT,
    USER_BEING_LIQUIDATED,
)
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

USD = 10**6
TOKEN = 10**9
"""One token of market 1, one unit of base; and, at an index of 1, one USDC scaled."""
STALE = 1_000


class World:
    """USDC, a token at 100, perps 0 to 2 at 100 with ratios 10 % and 5 %, and one user. Change what you need."""

    def __init__(self) -> None:
        self.state = State(rulebook=RULEBOOK_VELOCITY, liquidation_margin_buffer_ratio=200)
        rails = self.state.oracle_guard_rails.validity
        rails.slots_before_stale_for_amm, rails.slots_before_stale_for_margin = 10, 120
        rails.confidence_interval_max_size, rails.too_volatile_ratio = 20_000, 5
        self.spots = [self._spot(0, 6, USD, 10_000), self._spot(1, 9, 100 * USD, 8_000)]
        self.perps = [self._perp(i) for i in range(3)]
        self.oracles = [
            OraclePriceData(price=price, confidence=1, has_sufficient_number_of_data_points=True)
            for price in (USD, 100 * USD, 100 * USD, 100 * USD, 100 * USD)
        ]
        self.user = User()

    @staticmethod
    def _spot(index: int, decimals: int, price: int, weight: int) -> SpotMarket:
        market = SpotMarket(market_index=index, oracle_index=index, decimals=decimals, status=STATUS_ACTIVE)
        market.rulebook = RULEBOOK_VELOCITY
        market.cumulative_deposit_interest = market.cumulative_borrow_interest = 10**10
        market.historical_oracle_data.last_oracle_price_twap = price
        market.historical_oracle_data.last_oracle_price_twap_5min = price
        market.initial_asset_weight = market.maintenance_asset_weight = weight
        market.initial_liability_weight = market.maintenance_liability_weight = 20_000 - weight
        return market

    @staticmethod
    def _perp(index: int) -> PerpMarket:
        market = PerpMarket(rulebook=RULEBOOK_VELOCITY, market_index=index, status=STATUS_ACTIVE)
        market.margin_ratio_initial, market.margin_ratio_maintenance = 1_000, 500
        market.unrealized_pnl_maintenance_asset_weight = 10_000
        market.amm.oracle_index = index + 2
        market.amm.historical_oracle_data.last_oracle_price = 100 * USD
        market.amm.historical_oracle_data.last_oracle_price_twap = 100 * USD
        return market

    def hold(self, market: int, scaled: int, balance_type: int = DEPOSIT) -> "World":
        position = self.user.spot_positions[market]
        position.market_index, position.scaled_balance, position.balance_type = market, scaled, balance_type
        return self

    def trade(self, market: int, base: int = 0, quote: int = 0, isolated: int | None = None, **fields: int) -> "World":
        """A position in row ``market``; with ``isolated`` (USDC) of its own collateral."""
        position = self.user.perp_positions[market]
        position.market_index, position.base_asset_amount, position.quote_asset_amount = market, base, quote
        if isolated is not None:
            position.position_flag = POSITION_ISOLATED
            position.isolated_position_scaled_balance = isolated * TOKEN
        for name, value in fields.items():
            setattr(position, name, value)
        return self

    def accounts(self, *first: Any) -> tuple[Any, ...]:
        """What a rule takes, every oracle to be judged anew; ``first`` stands between the user and the markets."""
        for oracle in self.oracles:
            oracle.validity = 0
        return self.user, *first, self.spots, self.perps, self.oracles, self.state

    def margin(self, kind: int, buffer: int = 0, strict: bool = False, **asked: Any) -> MarginCalculation:
        calculation = MarginCalculation(**asked)
        calculate_margin(*self.accounts(), kind, kind, -1, kind, strict, buffer, calculation)
        return calculation


def refused(code: ErrorCode) -> "pytest.RaisesContext[SettlementError]":
    return pytest.raises(SettlementError, match=f"^{code.name}:")


# --- scopes ----------------------------------------------------------------------------------------------------


def test_every_scope_has_its_own_collateral_and_requirement() -> None:
    """Two isolated positions and one in cross margin: nobody's money or risk counts for anybody else."""
    world = World().hold(0, 50 * TOKEN)
    world.trade(0, TOKEN, -100 * USD).trade(1, TOKEN, -110 * USD, 30).trade(2, -TOKEN, 100 * USD, 7)
    found = world.margin(MARGIN_MAINTENANCE)
    assert scope_figures(found, CROSS) == (50 * USD, 0, 5 * USD, 0)
    assert scope_figures(found, 1) == (20 * USD, 0, 5 * USD, 0)
    assert scope_figures(found, 2) == (7 * USD, 0, 5 * USD, 0)
    assert [entry.is_isolated for entry in found.isolated] == [False, True, True] + [False] * 5
    assert [free_collateral(found, row) for row in (CROSS, 0, 1, 2)] == [45 * USD, 0, 15 * USD, 2 * USD]
    assert found.num_perp_liabilities == 3


@pytest.mark.parametrize(
    ("cross", "isolated", "meets_cross", "meets_row"),
    [(5, 5, True, True), (4, 5, False, True), (5, 4, True, False)],
)
def test_the_account_meets_where_every_scope_does(
    cross: int, isolated: int, meets_cross: bool, meets_row: bool
) -> None:
    """One short scope is enough to fail, and the other knows nothing of it."""
    world = World().hold(0, cross * TOKEN).trade(0, TOKEN, -100 * USD).trade(1, TOKEN, -100 * USD, isolated)
    found = world.margin(MARGIN_MAINTENANCE)
    assert meets_margin_requirement(found, CROSS) == meets_cross
    assert meets_margin_requirement(found, 1) == meets_row
    assert meets_all(found) == (meets_cross and meets_row)
    assert meets_maintenance_margin_requirement(*world.accounts()) == (meets_cross and meets_row)
    assert meets_settle_pnl_maintenance_margin_requirement(*world.accounts()) == (meets_cross and meets_row)
    assert not meets_initial_margin_requirement(*world.accounts())


def test_types_can_differ_by_scope() -> None:
    """Cross margin, one isolated market and the other isolated positions each to a type of their own."""
    world = World().trade(0, TOKEN).trade(1, TOKEN, 0, 10).trade(2, TOKEN, 0, 10)
    found = MarginCalculation()
    calculate_margin(*world.accounts(), MARGIN_FILL, MARGIN_MAINTENANCE, 1, MARGIN_INITIAL, False, 0, found)
    assert [scope_figures(found, row)[2] for row in (CROSS, 1, 2)] == [7_500_000, 10 * USD, 5 * USD]


@pytest.mark.parametrize(
    ("row", "kind", "ok"),
    [
        (CROSS, MARGIN_FILL, False),
        (CROSS, MARGIN_MAINTENANCE, True),
        (1, MARGIN_FILL, True),
        (2, MARGIN_FILL, False),
        (2, MARGIN_MAINTENANCE, True),
    ],
)
def test_a_fill_is_stricter_only_where_it_traded(row: int, kind: int, ok: bool) -> None:
    """The scope that was traded in is held to the type, all others to maintenance."""
    world = World().hold(0, 6 * TOKEN).trade(0, TOKEN, -100 * USD)
    world.trade(1, TOKEN, -100 * USD, 8).trade(2, TOKEN, -100 * USD, 6)
    assert meets_fill_margin_requirement(*world.accounts(), kind, row) == ok


@pytest.mark.parametrize(
    ("row", "increasing", "ok"), [(CROSS, True, False), (CROSS, False, True), (1, True, True), (2, True, False)]
)
def test_an_order_is_stricter_only_where_it_rests(row: int, increasing: bool, ok: bool) -> None:
    """The same with Initial, strict, where the order raises risk."""
    world = World().hold(0, 9 * TOKEN).trade(0, TOKEN, -100 * USD)
    world.trade(1, TOKEN, -100 * USD, 10).trade(2, TOKEN, -100 * USD, 9)
    if ok:
        check_place_order_margin_requirement(*world.accounts(), increasing, row)
    else:
        with refused(ErrorCode.InsufficientCollateral):
            check_place_order_margin_requirement(*world.accounts(), increasing, row)


def test_strict_prices_value_isolated_collateral_low() -> None:
    """At the lower of the quote token's price and its 5-minute average; a loss at the higher one."""
    world = World().trade(1, 0, -10 * USD, 100)
    world.spots[0].historical_oracle_data.last_oracle_price_twap_5min = 900_000
    assert scope_figures(world.margin(MARGIN_INITIAL, strict=True), 1)[0] == 80 * USD
    assert scope_figures(world.margin(MARGIN_INITIAL), 1)[0] == 90 * USD


# --- the liquidation picture -----------------------------------------------------------------------------------


def test_the_buffer_weighs_on_losses_as_on_liabilities() -> None:
    """A loss of 10 counts as 10.2 with a buffer of 2 %, a liability of 100 asks for 2 more, a deposit is untouched."""
    world = World().hold(0, 17 * TOKEN).trade(0, TOKEN, -110 * USD).trade(1, TOKEN, -90 * USD, 17)
    found = world.margin(MARGIN_MAINTENANCE, 200)
    assert scope_figures(found, CROSS) == (7 * USD, -200_000, 5 * USD, 7 * USD)
    assert scope_figures(found, 1) == (27 * USD, 0, 5 * USD, 7 * USD)
    assert [can_exit_liquidation(found, row) for row in (CROSS, 1)] == [False, True]
    assert [margin_shortage(found, row) for row in (CROSS, 1)] == [200_000, 0]


def test_what_the_buffer_takes_off_is_truncated_each_time() -> None:
    """Toward zero, and per position: two losses of 99 units lose one unit each, one of 198 loses three."""
    world = World().trade(0, 0, -99).trade(1, 0, -99).trade(2, 0, -198, 0)
    found = world.margin(MARGIN_MAINTENANCE, 200)
    assert (found.total_collateral_buffer, found.isolated[2].total_collateral_buffer) == (-2, -3)


def test_a_shortage_needs_a_buffer() -> None:
    """Without one there is no requirement with buffer to be short of."""
    with refused(ErrorCode.InvalidMarginCalculation):
        margin_shortage(World().margin(MARGIN_MAINTENANCE), CROSS)


@pytest.mark.parametrize(("market", "row", "share"), [(0, CROSS, 60), (1, CROSS, 0), (2, 2, 100)])
def test_a_tracked_market_has_its_share_of_its_scopes_shortage(market: int, row: int, share: int) -> None:
    """By its part of that scope's requirement: an isolated market bears its own in full."""
    world = World().hold(1, TOKEN, BORROW).trade(0, 6 * TOKEN).trade(2, TOKEN, 0, 0)
    world.spots[1].maintenance_liability_weight = 12_000
    world.perps[0].margin_ratio_maintenance = 3_000
    found = world.margin(MARGIN_MAINTENANCE, 200, tracked_market_type=TRACK_PERP, tracked_market_index=market)
    assert tracked_market_margin_shortage(found, 100, row) == share


def test_a_tracked_spot_market_has_its_share_of_cross_margins_shortage() -> None:
    """And without a tracked market nobody can say."""
    world = World().hold(1, TOKEN, BORROW).trade(0, 6 * TOKEN)
    world.spots[1].maintenance_liability_weight = 12_000
    world.perps[0].margin_ratio_maintenance = 3_000
    found = world.margin(MARGIN_MAINTENANCE, 200, tracked_market_type=TRACK_SPOT, tracked_market_index=1)
    assert tracked_market_margin_shortage(found, 100, CROSS) == 40
    with refused(ErrorCode.InvalidMarginCalculation):
        tracked_market_margin_shortage(world.margin(MARGIN_MAINTENANCE, 200), 100, CROSS)


@pytest.mark.parametrize(("cross", "isolated"), [(7, 7), (7, 6), (6, 7), (6, 6)])
def test_each_scope_leaves_liquidation_by_itself(cross: int, isolated: int) -> None:
    """What can exit loses its latches, Bankrupt included; the account is through once nothing is latched."""
    world = World().hold(0, cross * TOKEN).trade(0, TOKEN, -100 * USD)
    world.trade(1, TOKEN, -100 * USD, isolated, position_flag=POSITION_ISOLATED | POSITION_BANKRUPT)
    world.user.status = USER_BEING_LIQUIDATED
    latched = cross < 7 or isolated < 7
    assert update_liquidation_status(*world.accounts()) == latched
    assert (world.user.status == 0) == (cross == 7)
    assert (world.user.perp_positions[1].position_flag == POSITION_ISOLATED) == (isolated == 7)
    if latched:
        with refused(ErrorCode.UserIsBeingLiquidated):
            validate_user_not_being_liquidated(*world.accounts())
    else:
        validate_user_not_being_liquidated(*world.accounts())


def test_one_scope_alone_can_be_asked() -> None:
    """The other's latch stays, even where it could exit."""
    world = World().hold(0, 7 * TOKEN).trade(1, TOKEN, -100 * USD, 7)
    world.user.perp_positions[1].position_flag |= POSITION_BEING_LIQUIDATED
    world.user.status = USER_BEING_LIQUIDATED
    assert not update_scope_liquidation_status(*world.accounts(1))
    assert world.user.status == USER_BEING_LIQUIDATED
    assert not update_scope_liquidation_status(*world.accounts(2))


# --- what one position adds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "account", "position", "required"),
    [
        (MARGIN_INITIAL, 0, 2_000, 20_000),
        (MARGIN_INITIAL, 3_000, 2_000, 30_000),
        (MARGIN_INITIAL, 0, 500, 10_000),
        (MARGIN_MAINTENANCE, 3_000, 2_000, 5_000),
        (MARGIN_FILL, 3_000, 2_000, 7_500),
    ],
)
def test_the_stricter_custom_ratio_counts_for_initial_only(
    kind: int, account: int, position: int, required: int
) -> None:
    """The account's, the position's, or the market's, whichever is highest; in either scope (requirement 1e3)."""
    for isolated in (None, 10):
        world = World().trade(1, TOKEN, 0, isolated, max_margin_ratio=position)
        world.user.max_margin_ratio = account
        row = CROSS if isolated is None else 1
        assert scope_figures(world.margin(kind), row)[2] == required * 1_000


def test_a_liability_in_settlement_is_worth_the_oracles_price() -> None:
    """It asks for nothing, but the buffer on it is taken at the live price, not at the expiry price."""
    world = World().trade(0, TOKEN, -100 * USD)
    world.perps[0].status, world.perps[0].expiry_price = STATUS_SETTLEMENT, 50 * USD
    found = world.margin(MARGIN_MAINTENANCE, 200)
    assert scope_figures(found, CROSS) == (-50 * USD, -USD, 0, 2 * USD)


def test_orders_of_equal_worth_count_as_the_asks() -> None:
    """The side is chosen by what it is worth: bids that are larger by less than a unit of quote do not win."""
    world = World().trade(0, 0, 0, None, open_bids=TOKEN + 9, open_asks=-TOKEN, open_orders=2)
    world.perps[0].imf_factor = 10**7
    with_asks = scope_figures(world.margin(MARGIN_MAINTENANCE), CROSS)[2]
    world.user.perp_positions[0].open_bids = 0
    assert scope_figures(world.margin(MARGIN_MAINTENANCE), CROSS)[2] == with_asks
    world.user.perp_positions[0].open_bids = TOKEN + 100
    assert scope_figures(world.margin(MARGIN_MAINTENANCE), CROSS)[2] > with_asks


# --- oracles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stale", "deposit_valid", "liability_valid"),
    [(None, True, True), (1, False, True), (2, True, False), (3, True, False), (4, True, True)],
)
def test_invalid_prices_of_deposits_and_of_liabilities_are_told_apart(
    stale: int | None, deposit_valid: bool, liability_valid: bool
) -> None:
    """Oracle 1 prices a deposit, 2 a cross position, 3 an isolated one, 4 nothing that the account has."""
    world = World().hold(0, 100 * TOKEN).hold(1, TOKEN).trade(0, TOKEN).trade(1, TOKEN, 0, 20)
    if stale is not None:
        world.oracles[stale].delay = STALE
    found = world.margin(MARGIN_INITIAL)
    assert (found.all_deposit_oracles_valid, found.all_liability_oracles_valid) == (deposit_valid, liability_valid)
    assert found.all_oracles_valid == (deposit_valid and liability_valid)


def test_a_withdrawal_ignores_a_deposit_it_cannot_price() -> None:
    """The deposit counts for nothing, which is fine where the rest suffices; a liability's price must be valid."""
    world = World().hold(0, 10 * TOKEN).hold(1, TOKEN).trade(0, TOKEN, -100 * USD)
    world.oracles[1].delay = STALE
    check_withdraw_margin_requirement(*world.accounts())
    world.hold(0, 9 * TOKEN)
    with refused(ErrorCode.InsufficientCollateral):
        check_withdraw_margin_requirement(*world.accounts())
    world.oracles[1].delay = 0
    check_withdraw_margin_requirement(*world.accounts())
    world.oracles[2].delay = STALE
    with refused(ErrorCode.InvalidOracle):
        check_withdraw_margin_requirement(*world.accounts())


def test_a_transfer_holds_the_scope_that_gives_to_initial() -> None:
    """Into the position: cross margin. Out of it: the position. The rest stays at maintenance."""
    world = World().hold(0, 9 * TOKEN).trade(0, TOKEN, -100 * USD).trade(1, TOKEN, -100 * USD, 9)
    types = MARGIN_INITIAL, MARGIN_MAINTENANCE, -1, MARGIN_MAINTENANCE
    with refused(ErrorCode.InsufficientCollateral):
        check_transfer_margin_requirement(*world.accounts(), *types)
    check_transfer_margin_requirement(*world.accounts(), MARGIN_MAINTENANCE, MARGIN_MAINTENANCE, 2, MARGIN_INITIAL)
    with refused(ErrorCode.InsufficientCollateral):
        check_transfer_margin_requirement(*world.accounts(), MARGIN_MAINTENANCE, MARGIN_MAINTENANCE, 1, MARGIN_INITIAL)


def test_a_contract_of_the_isolated_tier_stands_alone_whatever_its_scope() -> None:
    """The tier and isolated margin have nothing to do with each other: an isolated row counts as a liability too."""
    world = World().hold(0, 100 * TOKEN).trade(0, TOKEN).trade(1, TOKEN, 0, 100)
    world.perps[1].contract_tier = CONTRACT_TIER_ISOLATED
    with refused(ErrorCode.IsolatedAssetTierViolation):
        check_withdraw_margin_requirement(*world.accounts())


# --- pools -----------------------------------------------------------------------------------------------------


def test_positions_must_be_of_the_accounts_pool() -> None:
    """Except a quote deposit of an account of pool 1, which counts for nothing."""
    world = World().hold(0, 10 * TOKEN)
    world.user.pool_id = 2
    with refused(ErrorCode.InvalidPoolId):
        world.margin(MARGIN_INITIAL)
    world.user.pool_id = 1
    assert world.margin(MARGIN_INITIAL).total_collateral == 0
    world.hold(0, 10 * TOKEN, BORROW)
    with refused(ErrorCode.InvalidPoolId):
        world.margin(MARGIN_INITIAL)
    world.hold(0, 0).trade(0, TOKEN)
    with refused(ErrorCode.InvalidPoolId):
        world.margin(MARGIN_INITIAL)
    world.perps[0].pool_id = 1
    world.spots[0].pool_id = 1
    assert world.margin(MARGIN_INITIAL).margin_requirement == 10 * USD


# --- how much may leave ----------------------------------------------------------------------------------------


def test_a_unit_of_quote_is_kept_back_from_what_may_leave() -> None:
    """Cross margin decides; isolated collateral neither helps nor hurts."""
    world = World().hold(0, 100 * TOKEN).trade(0, TOKEN, -100 * USD).trade(1, TOKEN, -100 * USD, 500)
    assert calculate_max_withdrawable_amount(world.user, 0, *world.accounts()[1:]) == 90 * USD - 1
    world.spots[0].decimals = 4
    world.hold(0, 100 * TOKEN)
    assert calculate_max_withdrawable_amount(world.user, 0, *world.accounts()[1:]) == 899_999


# --- rows ------------------------------------------------------------------------------------------------------


def test_a_row_is_free_without_money_and_without_a_latch() -> None:
    """Collateral or a latch keeps it; the mere flag of being isolated does not."""
    position = User().perp_positions[0]
    position.position_flag = POSITION_ISOLATED
    assert is_perp_position_available(position)
    position.isolated_position_scaled_balance = 1
    assert not is_perp_position_available(position)
    position.isolated_position_scaled_balance = 0
    position.position_flag = POSITION_ISOLATED | POSITION_BANKRUPT
    assert not is_perp_position_available(position)


def test_a_recycled_row_forgets_flags_and_another_markets_ratio() -> None:
    """The ratio set for the same market stays."""
    user = User()
    user.perp_positions[0].position_flag, user.perp_positions[0].max_margin_ratio = POSITION_ISOLATED, 5_000
    assert force_get_perp_position_index(user, 0) == 0
    assert (user.perp_positions[0].position_flag, user.perp_positions[0].max_margin_ratio) == (0, 5_000)
    assert force_get_perp_position_index(user, 3) == 0
    assert user.perp_positions[0].max_margin_ratio == 0


def test_an_isolated_row_is_found_opened_or_refused() -> None:
    """By its market; a cross position in use is in the way; eight rows are all there are."""
    user = User()
    row = force_get_isolated_position_index(user, 5)
    assert (row, user.perp_positions[row].position_flag) == (0, POSITION_ISOLATED)
    user.perp_positions[row].isolated_position_scaled_balance = 1
    assert force_get_isolated_position_index(user, 5) == scope_of(user, 5) == 0
    user.perp_positions[1].market_index, user.perp_positions[1].base_asset_amount = 6, 1
    assert scope_of(user, 6) == scope_of(user, 7) == CROSS
    with refused(ErrorCode.InvalidPerpPosition):
        force_get_isolated_position_index(user, 6)
    for row in range(2, 8):
        user.perp_positions[row].quote_asset_amount = 1
    with refused(ErrorCode.MaxNumberOfPositions):
        force_get_isolated_position_index(user, 7)


def test_isolated_collateral_never_becomes_a_debt() -> None:
    """Beyond what is held it refuses, and dust worth no token pays nothing."""
    world = World().trade(1, 0, 0, 5)
    quote, position = world.spots[0], world.user.perp_positions[1]
    quote.deposit_balance = 100 * TOKEN
    with refused(ErrorCode.CantUpdateSpotBalanceType):
        update_isolated_balance(5 * USD + 1, BORROW, quote, position, False)
    update_isolated_balance(2 * USD, BORROW, quote, position, True)
    assert position.isolated_position_scaled_balance == 3 * TOKEN - 1
    position.isolated_position_scaled_balance = 999
    with refused(ErrorCode.CantUpdateSpotBalanceType):
        update_isolated_balance(1, BORROW, quote, position, False)
    assert position.isolated_position_scaled_balance == 999


def test_all_tokens_of_an_account_in_the_quote_market() -> None:
    """Cross margin's balance with its sign, and every isolated position's collateral; elsewhere cross margin only."""
    world = World().hold(0, 10 * TOKEN, BORROW).hold(1, 3 * TOKEN).trade(0, 0, 0, 4).trade(2, 0, 0, 5)
    assert get_total_token_amount(world.user, world.spots[0]) == -USD
    assert get_total_token_amount(world.user, world.spots[1]) == 3 * TOKEN
