"""What Velocity's liquidations compute otherwise than Drift's, at the edges."""

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.liquidation_math import UNLIMITED
from seawall.rules.common.liquidation_steps import smallest_transfer
from seawall.rules.velocity.liquidation import cancel_orders
from seawall.rules.velocity.liquidation_fill import note_filled
from seawall.rules.velocity.liquidation_math import (
    calculate_asset_transfer_for_liability_transfer,
    calculate_user_protective_asset_price,
    calculate_user_protective_liability_price,
    elapsed_periods,
    get_liquidation_fee,
    get_max_liquidation_fee,
    liability_transfer_to_cover_margin_shortage,
    split_liquidation_fee,
    validate_swap_within_liquidation_boundaries,
)
from seawall.rules.velocity.liquidation_pnl import check_transfer_helps
from seawall.state.enums import POSITION_BEING_LIQUIDATED, STATUS_SETTLEMENT
from seawall.state.facts import LiquidationFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User

P = ONE = 10**6


@pytest.mark.parametrize(
    ("slots", "slot_ms", "periods"), [(0, 400, 0), (7, 400, 7), (3, 350, 2), (1, 200, 0), (3, 200, 1), (10, 500, 12)]
)
def test_a_period_is_counted_once_it_is_over(slots: int, slot_ms: int, periods: int) -> None:
    assert elapsed_periods(5, 5 + slots, slot_ms) == periods


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(SettlementError) as caught:
        elapsed_periods(6, 5, 400)
    assert caught.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("base", "largest", "slots", "fee"),
    [
        (10_000, 30_000, 1_499, 10_000),
        (10_000, 30_000, 1_500, 11_500),  # the grace counts once it is over
        (10_000, 11_000, 1_500, 11_000),
        (40_000, 30_000, 0, 40_000),  # above the maximum only in the grace
        (40_000, 30_000, 1_500, 30_000),
        (2**32 - 1, 2**32 - 1, 9_999, 2**32 - 1),
    ],
)
def test_the_ramp(base: int, largest: int, slots: int, fee: int) -> None:
    assert get_liquidation_fee(base, largest, 0, slots, 400) == fee


@pytest.mark.parametrize(
    ("fee", "ratio", "largest"),
    [(10_000, 500, 30_000), (20_000, 500, 50_000), (0, 500, 0), (10_000, 2**32 - 1, 30_000)],
)
def test_the_largest_fee(fee: int, ratio: int, largest: int) -> None:
    """Three times the fee, but not more than the maintenance margin."""
    assert get_max_liquidation_fee(PerpMarket(liquidator_fee=fee, margin_ratio_maintenance=ratio)) == largest


@pytest.mark.parametrize(("budget", "split"), [(0, (0, 0)), (4, (4, 0)), (5, (5, 0)), (7, (5, 2))])
def test_insurance_comes_first(budget: int, split: tuple[int, int]) -> None:
    assert split_liquidation_fee(budget, 5) == split


@pytest.mark.parametrize(
    ("price", "confidence", "twap", "asset", "liability"),
    [(100, 0, 100, 100, 100), (100, 7, 100, 107, 93), (100, 7, 120, 120, 93), (100, 7, 80, 107, 80), (5, 9, 7, 14, 1)],
)
def test_protective_prices(price: int, confidence: int, twap: int, asset: int, liability: int) -> None:
    assert calculate_user_protective_asset_price(price, confidence, twap) == asset
    assert calculate_user_protective_liability_price(price, confidence, twap) == liability


def test_a_liability_that_covers_a_shortage_is_at_least_a_unit() -> None:
    assert liability_transfer_to_cover_margin_shortage(0, 0, ONE, 10_000, ONE, 6, P, 0) == 1
    assert liability_transfer_to_cover_margin_shortage(P, 10_000, ONE, 10_000, ONE, 6, P, 0) == UNLIMITED


@pytest.mark.parametrize(
    ("held", "decimals", "liability", "paid"),
    [
        (10_100_000, 5, ONE, 100_000),
        (10_099_999, 5, ONE, 10_099_999),  # of 5 decimals a rest of less than 100 counts as dust
        (10**9 + 999, 9, ONE, 10**9 + 999),  # of 9 decimals a millionth: scaled the wrong way round
        (10**9 + 1_000, 9, ONE, 10**9),
    ],
)
def test_dust_of_an_asset(held: int, decimals: int, liability: int, paid: int) -> None:
    """At a price of 1 each, the liability of 6 decimals; the dust is valued by its own price."""
    arguments = (held, ONE, decimals, P, liability, ONE, 6, P)
    assert calculate_asset_transfer_for_liability_transfer(*arguments, P) == paid
    exact = 100_000 if decimals == 5 else 10**9
    assert calculate_asset_transfer_for_liability_transfer(*arguments, 10**12) == exact


def test_a_swap_at_the_edge_of_a_liquidator_s_price() -> None:
    """100 of an asset at 2, a premium of 1 %: at least 198.019801 of a liability at 1."""
    arguments = (6, 6, 2 * P, P, 1_010_000, ONE)
    validate_swap_within_liquidation_boundaries(100 * P, 198_019_800, *arguments)
    with pytest.raises(SettlementError) as caught:
        validate_swap_within_liquidation_boundaries(100 * P, 198_019_700, *arguments)
    assert caught.value.code == ErrorCode.InvalidLiquidation


@pytest.mark.parametrize(("weight", "refused"), [(10_199, False), (10_200, True)])
def test_a_transfer_that_frees_nothing(weight: int, refused: bool) -> None:
    """The deposit's weight against that of the loss with the buffer of 2 %."""
    market = PerpMarket()
    if refused:
        with pytest.raises(SettlementError) as caught:
            check_transfer_helps(market, weight, ONE, 10_200, ONE)
        assert caught.value.code == ErrorCode.LiquidationWorsensAccountHealth
    else:
        check_transfer_helps(market, weight, ONE, 10_200, ONE)
    market.status = STATUS_SETTLEMENT
    check_transfer_helps(market, weight, ONE, 10_200, ONE)


@pytest.mark.parametrize(("was_long", "base", "quote"), [(True, 5, -7), (False, -5, 7)])
def test_a_fill_is_told_with_the_signs_of_an_opening(was_long: bool, base: int, quote: int) -> None:
    facts = LiquidationFacts()
    note_filled(was_long, 5, 7, facts)
    assert (facts.base_asset_amount, facts.quote_asset_amount) == (base, quote)


def test_only_the_scope_s_orders_are_cancelled() -> None:
    """An isolated position's own; cross margin's liquidation takes those of isolated positions along."""
    user = User()
    for row in (0, 3):
        user.perp_positions[row].open_orders, user.perp_positions[row].open_bids = 1, 9
    user.perp_positions[3].position_flag = POSITION_BEING_LIQUIDATED
    assert cancel_orders(user, 3, 5)
    assert [user.perp_positions[row].open_orders for row in (0, 3)] == [1, 0]
    assert not cancel_orders(user, 3, 5)
    assert cancel_orders(user, -1, 5)
    assert user.perp_positions[0].open_bids == 0


def test_the_least_of_what_is_asked_held_allowed_and_paid_for() -> None:
    facts = LiquidationFacts()
    assert smallest_transfer(9, 8, 7, 6, 10_000_001, facts) == 6
    assert smallest_transfer(9, 8, 3, 6, 10_000_001, facts) == 3
    assert smallest_transfer(9, 8, 3, UNLIMITED, 10_000_000, facts) == 8  # a small liability goes whole
    assert smallest_transfer(2, 8, 3, 6, 10_000_000, facts) == 2
    assert (facts.held, facts.implied) == (8, 6)
