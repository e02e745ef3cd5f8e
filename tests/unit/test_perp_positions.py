"""Position accounting: every kind of change, the market's totals, the counts of users. Rules of pools-and-pnl.md §2."""

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.perp_positions import (
    UPDATE_CLOSE,
    UPDATE_FLIP,
    UPDATE_INCREASE,
    UPDATE_OPEN,
    UPDATE_REDUCE,
    calculate_net_user_pnl,
    calculate_position_pnl,
    find_perp_position,
    force_get_perp_position_index,
    get_claimable_pnl,
    get_perp_position_index,
    position_update_type,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
    validate_perp_position,
)
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User


def make_market(**amm: int) -> PerpMarket:
    market = PerpMarket()
    market.amm.order_step_size = 1
    for name, value in amm.items():
        setattr(market.amm, name, value)
    return market


def open_position(market: PerpMarket, base: int, quote: int, fee: int = 0) -> PerpPosition:
    position = PerpPosition()
    if base:
        update_position_and_market(position, market, base, quote)
    update_quote_asset_and_break_even_amount(position, market, -fee)
    return position


def refused(code: ErrorCode) -> "pytest.RaisesContext[SettlementError]":
    return pytest.raises(SettlementError, match=code.name)


# old (base, quote, entry, break-even), change (base, quote), new (base, quote, entry, break-even), realised P&L
CHANGES = [
    # open and increase: nothing is realised
    ((0, 0, 0, 0), (10, -1000), (10, -1000, -1000, -1000), 0),
    ((0, 7, 0, 0), (-10, 1000), (-10, 1007, 1000, 1000), 0),
    ((10, -1003, -1000, -1003), (5, -600), (15, -1603, -1600, -1603), 0),
    # reduce: entry and break-even shrink by the part closed, truncated toward zero
    ((10, -1003, -1000, -1003), (-3, 330), (7, -673, -700, -703), 30),
    ((-10, 1003, 1000, 1003), (3, -330), (-7, 673, 700, 703), -30),
    ((3, -100, -100, -100), (-1, 50), (2, -50, -67, -67), 17),
    # close: the whole entry is realised, the rest of the quote stays
    ((10, -1003, -1000, -1003), (-10, 1100), (0, 97, 0, 0), 100),
    ((-10, 1000, 1000, 1000), (10, -1000), (0, 0, 0, 0), 0),
    # flip: the quote splits by base, truncated; entry and break-even start anew
    ((10, -1003, -1000, -1003), (-15, 1650), (-5, 647, 550, 550), 100),
    ((-1, 100, 100, 99), (3, -301), (2, -201, -201, -201), 0),
]


@pytest.mark.parametrize(("old", "change", "new", "pnl"), CHANGES)
def test_update_position_and_market(
    old: tuple[int, ...], change: tuple[int, int], new: tuple[int, ...], pnl: int
) -> None:
    market = make_market()
    position = PerpPosition()
    base, quote, entry, break_even = old
    position.base_asset_amount, position.quote_asset_amount = base, quote
    position.quote_entry_amount, position.quote_break_even_amount = entry, break_even
    side = "long" if base > 0 else "short"
    setattr(market.amm, f"base_asset_amount_{side}", base)
    setattr(market.amm, f"quote_entry_amount_{side}", entry)
    setattr(market.amm, f"quote_break_even_amount_{side}", break_even)
    market.amm.quote_asset_amount = quote
    market.number_of_users = int(base != 0 or quote != 0)
    market.number_of_users_with_base = int(base != 0)

    assert update_position_and_market(position, market, *change) == pnl

    got = (
        position.base_asset_amount,
        position.quote_asset_amount,
        position.quote_entry_amount,
        position.quote_break_even_amount,
    )
    assert got == new
    amm = market.amm
    side = "long" if new[0] > 0 else "short"
    assert getattr(amm, f"base_asset_amount_{side}") == new[0]
    assert amm.base_asset_amount_long + amm.base_asset_amount_short == new[0]
    assert amm.quote_asset_amount == new[1]
    assert amm.quote_entry_amount_long + amm.quote_entry_amount_short == new[2]
    assert amm.quote_break_even_amount_long + amm.quote_break_even_amount_short == new[3]
    assert market.number_of_users == int(new[0] != 0 or new[1] != 0)
    assert market.number_of_users_with_base == int(new[0] != 0)
    assert amm.base_asset_amount_with_amm == 0, "only fills against the AMM move it"


@pytest.mark.parametrize(
    ("base", "delta", "kind"),
    [
        (0, -1, UPDATE_OPEN),
        (5, 1, UPDATE_INCREASE),
        (-5, -9, UPDATE_INCREASE),
        (5, -4, UPDATE_REDUCE),
        (-5, 5, UPDATE_CLOSE),
        (5, -6, UPDATE_FLIP),
    ],
)
def test_position_update_type(base: int, delta: int, kind: int) -> None:
    assert position_update_type(base, delta) == kind


def test_a_change_without_base_is_a_change_of_quote() -> None:
    market, position = make_market(), PerpPosition()
    assert update_position_and_market(position, market, 0, -5) == -5
    assert (position.quote_asset_amount, position.quote_entry_amount, market.number_of_users) == (-5, 0, 1)


def test_funding_rate_of_the_new_side_is_taken_over_and_kept_by_a_reduction() -> None:
    market = make_market(cumulative_funding_rate_long=7, cumulative_funding_rate_short=-3)
    position = open_position(market, 10, -1000)
    assert position.last_cumulative_funding_rate == 7
    update_position_and_market(position, market, -15, 1500)
    assert position.last_cumulative_funding_rate == -3
    update_position_and_market(position, market, 2, -200)
    assert position.last_cumulative_funding_rate == -3
    update_position_and_market(position, market, 3, -300)
    assert position.last_cumulative_funding_rate == 0


@pytest.mark.parametrize("base", [10, -10])
def test_a_position_that_has_not_settled_funding_cannot_trade(base: int) -> None:
    market = make_market()
    position = open_position(market, base, -base * 100)
    market.amm.cumulative_funding_rate_long = 1
    market.amm.cumulative_funding_rate_short = 1
    with refused(ErrorCode.InvalidPositionLastFundingRate):
        update_position_and_market(position, market, 1, -100)


def test_only_the_old_base_must_be_a_multiple_of_the_step() -> None:
    market = make_market(order_step_size=10)
    position = PerpPosition()
    update_position_and_market(position, market, 5, -500)
    with refused(ErrorCode.InvalidPerpPositionDetected):
        update_position_and_market(position, market, 5, -500)
    with refused(ErrorCode.InvalidPerpPositionDetected):
        validate_perp_position(position, market)


def test_closing_fails_below_zero_users_but_a_quote_change_does_not() -> None:
    market = make_market()
    position = PerpPosition(quote_asset_amount=5)
    update_quote_asset_amount(position, market, -5)
    assert market.number_of_users == 0
    with refused(ErrorCode.MathError):
        update_position_and_market(PerpPosition(base_asset_amount=1), market, -1, 0)


def test_fees_move_the_break_even_of_an_open_position_only() -> None:
    market = make_market()
    position = open_position(market, -10, 1000, fee=3)
    assert (position.quote_asset_amount, position.quote_entry_amount, position.quote_break_even_amount) == (
        997,
        1000,
        997,
    )
    assert market.amm.quote_break_even_amount_short == 997
    flat = PerpPosition()
    update_quote_asset_and_break_even_amount(flat, market, 4)
    assert (flat.quote_asset_amount, flat.quote_break_even_amount) == (4, 0)


def test_a_quote_beyond_i64_is_a_math_error() -> None:
    position = PerpPosition(quote_asset_amount=2**63 - 1)
    with refused(ErrorCode.MathError):
        update_quote_asset_amount(position, make_market(), 1)


def test_free_slots_are_not_found_and_are_reset_when_taken() -> None:
    user = User()
    user.perp_positions[0].market_index = 3
    user.perp_positions[0].settled_pnl = 99
    assert find_perp_position(user, 3) == -1
    with refused(ErrorCode.UserHasNoPositionInMarket):
        get_perp_position_index(user, 3)
    user.perp_positions[2].market_index = 3
    user.perp_positions[2].open_orders = 1
    assert get_perp_position_index(user, 3) == 2
    assert force_get_perp_position_index(user, 3) == 2
    assert force_get_perp_position_index(user, 4) == 0
    assert (user.perp_positions[0].market_index, user.perp_positions[0].settled_pnl) == (4, 0)
    for i in range(8):
        user.perp_positions[i].quote_asset_amount = 1
    with refused(ErrorCode.MaxNumberOfPositions):
        force_get_perp_position_index(user, 9)


@pytest.mark.parametrize(
    ("base", "quote", "price", "pnl"),
    [
        (0, 5, 100, 5),
        (1_500_000_000, -100, 101, 51),  # ⌊151.5⌋
        (-1_500_000_000, 100, 101, -51),  # a short's value is truncated toward zero too
        (1_000_000_000, -100, -7, -100),  # a negative price counts as 0
    ],
)
def test_calculate_position_pnl(base: int, quote: int, price: int, pnl: int) -> None:
    assert calculate_position_pnl(PerpPosition(base_asset_amount=base, quote_asset_amount=quote), price) == pnl


def test_net_user_pnl_counts_unsettled_funding_and_needs_a_price() -> None:
    amm = AMM(base_asset_amount_with_amm=-1_500_000_000, quote_asset_amount=200, net_unsettled_funding_pnl=-4)
    assert calculate_net_user_pnl(amm, 101) == -151 + 200 - 4
    with refused(ErrorCode.InvalidOracle):
        calculate_net_user_pnl(amm, 0)


@pytest.mark.parametrize(
    ("quote", "entry", "excess", "claimable"),
    [
        # long 1 base at price 100: P&L = 100 + quote
        (-150, -150, 10, -50),  # a loss is claimed in full
        (-60, -60, 0, 0),  # nothing realised, no excess
        (-60, -60, 15, 15),
        (-60, -60, -15, 0),
        (-60, -75, 15, 30),
        (-60, -90, 15, 40),  # never more than the P&L
        (-60, -50, 15, 15),  # a realised loss does not eat the excess
    ],
)
def test_claimable_pnl_is_capped_by_realised_gain_and_excess(
    quote: int, entry: int, excess: int, claimable: int
) -> None:
    position = PerpPosition(base_asset_amount=1_000_000_000, quote_asset_amount=quote, quote_entry_amount=entry)
    assert get_claimable_pnl(position, 100, excess) == claimable
