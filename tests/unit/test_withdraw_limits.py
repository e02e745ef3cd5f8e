"""Withdraw and borrow limits. Rules of balances.md §6."""

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.withdraw_limits import (
    calculate_max_borrow_token_amount,
    calculate_min_deposit_token_amount,
    calculate_token_utilization_limits,
    check_withdraw_limits,
    get_max_withdraw_for_market_with_token_amount,
)
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

INDEX = 10**10


def make_market(deposits: int, borrows: int, **fields: int) -> SpotMarket:
    """A market of 9 decimals at index 1, so that scaled balances are tokens."""
    market = SpotMarket(market_index=1, decimals=9, deposit_balance=deposits, borrow_balance=borrows)
    market.cumulative_deposit_interest = market.cumulative_borrow_interest = INDEX
    for name, value in fields.items():
        setattr(market, name, value)
    return market


def make_user(balance: int, balance_type: int, **fields: int) -> User:
    user = User(**fields)
    position = user.spot_positions[1]
    position.market_index, position.scaled_balance, position.balance_type = 1, balance, balance_type
    return user


@pytest.mark.parametrize(
    ("twap", "guard", "floor"),
    [
        (1_000_000, 0, 750_000),
        (1_000_003, 0, 750_003),  # a quarter, floored, may leave
        (1_000_000, 250_001, 749_999),  # the guard where it is more
        (1_000_000, 2_000_000, 0),  # but no more than all
        (0, 5, 0),
    ],
)
def test_minimum_deposits(twap: int, guard: int, floor: int) -> None:
    assert calculate_min_deposit_token_amount(twap, guard) == floor


@pytest.mark.parametrize(
    ("deposits", "deposit_twap", "borrow_twap", "guard", "ceiling"),
    [
        (600, 600, 0, 0, 100),  # a sixth
        (600, 600, 50, 0, 110),  # the average plus a tenth
        (600, 600, 500, 0, 480),  # four fifths
        (600, 60, 0, 0, 10),  # by the lesser of deposits and their average
        (60, 600, 0, 0, 10),
        (600, 600, 0, 1_000, 1_000),  # the guard in any case
    ],
)
def test_maximum_borrows(deposits: int, deposit_twap: int, borrow_twap: int, guard: int, ceiling: int) -> None:
    assert calculate_max_borrow_token_amount(deposits, deposit_twap, borrow_twap, guard) == ceiling


@pytest.mark.parametrize(
    ("optimal", "twap", "guard", "expected"),
    [
        (800_000, 0, 0, (625, 800)),  # the optimal utilization where it is more
        (0, 0, 0, (1_000, 500)),  # half way from the average to 100 %: by 500 / 50 % all deposits
        (0, 600_000, 0, (625, 800)),
        (800_000, 0, 900, (100, 900)),  # the guard frees deposits, and admits borrows
        (0, 2_000_000, 0, (250, 2_000)),  # an average above 100 % stays what it is
    ],
)
def test_utilization_limits(optimal: int, twap: int, guard: int, expected: tuple[int, int]) -> None:
    market = make_market(0, 0, optimal_utilization=optimal, utilization_twap=twap, withdraw_guard_threshold=guard)
    assert calculate_token_utilization_limits(1_000, 500, market) == expected


class TestCheckAfterAWithdrawal:
    """D = 700 against a floor of 750 (average 1000): a depositor is refused, unless small."""

    market = make_market(700, 0, deposit_token_twap=1_000, borrow_token_twap=0, optimal_utilization=800_000)

    def refuses(self, user: User, withdrawn: int, market: SpotMarket | None = None) -> bool:
        try:
            check_withdraw_limits(market or self.market, user, withdrawn)
        except SettlementError as error:
            assert error.code == ErrorCode.DailyWithdrawLimit
            return True
        return False

    def test_below_the_floor(self) -> None:
        assert self.refuses(make_user(100, DEPOSIT), 50)

    def test_at_the_floor(self) -> None:
        assert not self.refuses(make_user(100, DEPOSIT), 50, make_market(750, 0, deposit_token_twap=1_000))

    def test_a_depositor_is_not_held_to_the_borrow_ceiling(self) -> None:
        market = make_market(1_000, 900, deposit_token_twap=1_000)
        assert not self.refuses(make_user(100, DEPOSIT), 50, market)
        assert self.refuses(make_user(100, BORROW), 50, market)

    def test_the_stored_type_counts_even_of_an_empty_position(self) -> None:
        market = make_market(1_000, 900, deposit_token_twap=1_000)
        assert self.refuses(make_user(0, BORROW), 50, market)

    @pytest.mark.parametrize(
        ("held", "withdrawn", "fields", "refused"),
        [
            (4, 5, {}, False),  # 9 < 100 / 10
            (5, 5, {}, True),  # 10 is not below
            (4, 5, {"total_deposits": 1, "total_withdraws": 1}, False),
            (4, 5, {"total_deposits": 1, "total_withdraws": 2}, True),  # took out more than was put in
        ],
    )
    def test_small_users(self, held: int, withdrawn: int, fields: dict[str, int], refused: bool) -> None:
        market = make_market(700, 0, deposit_token_twap=1_000, withdraw_guard_threshold=100)
        assert self.refuses(make_user(held, DEPOSIT, **fields), withdrawn, market) == refused

    def test_small_users_with_negative_cumulative_deposits(self) -> None:
        market = make_market(700, 0, deposit_token_twap=1_000, withdraw_guard_threshold=100)
        user = make_user(4, DEPOSIT)
        user.spot_positions[1].cumulative_deposits = -1
        assert self.refuses(user, 5, market)

    def test_a_small_borrower_is_no_small_user(self) -> None:
        market = make_market(700, 0, deposit_token_twap=1_000, withdraw_guard_threshold=100)
        assert self.refuses(make_user(4, BORROW), 5, market)


@pytest.mark.parametrize(
    ("held", "leaving", "most"),
    [
        (0, False, 160),  # a sixth of 960 may be borrowed
        (0, True, 160),
        (200, False, 360),  # not leaving: the deposit itself is free
        (200, True, 360),
        (300, True, 240),  # leaving: no more than down to the floor of 720
        (240, True, 240),
        (239, True, 399),
        (-50, True, 160),
    ],
)
def test_most_that_may_be_taken(held: int, leaving: bool, most: int) -> None:
    market = make_market(960, 0, deposit_token_twap=960, optimal_utilization=500_000)
    assert get_max_withdraw_for_market_with_token_amount(market, held, leaving) == most


def test_most_that_may_be_taken_never_exceeds_what_is_not_lent_out() -> None:
    market = make_market(960, 955, deposit_token_twap=960, borrow_token_twap=900, withdraw_guard_threshold=10**6)
    assert get_max_withdraw_for_market_with_token_amount(market, 0, False) == 5
