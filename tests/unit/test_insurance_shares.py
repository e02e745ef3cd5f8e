"""Share arithmetic of an insurance fund (insurance.md §2)."""

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    calculate_rebase_info,
    calculate_share_price,
    checked_if_shares,
    if_shares_to_vault_amount,
    vault_amount_to_if_shares,
)
from seawall.rules.drift.insurance import calculate_if_shares_lost
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund

E38 = 10**38


@pytest.mark.parametrize(
    ("amount", "total", "vault", "shares"),
    [
        (5, 0, 0, 5),  # the first stake into an empty fund: one to one
        (0, 0, 0, 0),
        (5, 0, 7, 0),  # tokens without shares: nothing is sold (callers rebase first)
        (10, 100, 100, 10),
        (10, 100, 300, 3),  # 3⅓: the dust stays with the fund
        (2, 100, 300, 0),  # less than one share
        (7, 3, 3, 7),
        (2**64 - 1, 10**20, 10**18, (2**64 - 1) * 100),
    ],
)
def test_tokens_buy_shares_rounded_down(amount: int, total: int, vault: int, shares: int) -> None:
    assert vault_amount_to_if_shares(amount, total, vault) == shares


@pytest.mark.parametrize(
    ("n", "total", "vault", "value"),
    [(0, 0, 9, 0), (10, 100, 300, 30), (1, 3, 100, 33), (3, 3, 100, 100), (7, 7, 0, 0)],
)
def test_shares_are_worth_tokens_rounded_down(n: int, total: int, vault: int, value: int) -> None:
    assert if_shares_to_vault_amount(n, total, vault) == value


def test_shares_that_cannot_be_priced_are_refused() -> None:
    with pytest.raises(SettlementError) as empty:
        vault_amount_to_if_shares(1, 10, 0)
    assert empty.value.code == ErrorCode.InvalidIFSharesDetected
    with pytest.raises(SettlementError) as too_many:
        if_shares_to_vault_amount(11, 10, 100)
    assert too_many.value.code == ErrorCode.InvalidIFSharesDetected


@pytest.mark.parametrize(
    ("total", "vault", "digits"),
    [
        (10_000, 10_000, 0),
        (60_078, 606, 0),  # 99 shares a token: no digit yet
        (60_078, 600, 1),  # 100 shares a token: the first digit
        (99_999, 100, 1),
        (100_000, 100, 2),
        (800_000_078_000_000, 1, 13),
        (12_412, 83_295_723_895_729_080, 0),
        (E38 - 1, 1, 36),
    ],
)
def test_a_rebase_removes_a_digit_for_every_tenfold_beyond_a_hundred(total: int, vault: int, digits: int) -> None:
    assert calculate_rebase_info(total, vault) == (digits, 10**digits)


@pytest.mark.parametrize(
    ("vault", "before", "after"),
    [
        # (total, user, base)
        (0, (1_000, 900, 2), (1_000, 900, 2)),  # an empty vault changes nothing
        (1_000, (1_000, 900, 0), (1_000, 900, 0)),
        (1, (123_456, 99_999, 0), (12, 9, 4)),
        (500, (0, 0, 0), (500, 0, 0)),  # stray tokens become the protocol's
        (9, (901, 900, 3), (90, 90, 4)),
    ],
)
def test_rebase_of_a_fund(vault: int, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    fund = InsuranceFund(total_shares=before[0], user_shares=before[1], shares_base=before[2])
    apply_rebase_to_insurance_fund(vault, fund)
    assert (fund.total_shares, fund.user_shares, fund.shares_base) == after


def test_rebase_of_a_stake_divides_shares_and_request_but_keeps_the_frozen_value() -> None:
    fund = InsuranceFund(shares_base=3)
    stake = InsuranceFundStake(
        if_shares=12_345, last_withdraw_request_shares=1_999, last_withdraw_request_value=77, cost_basis=55, if_base=1
    )
    with pytest.raises(SettlementError) as behind:
        checked_if_shares(stake, fund)
    assert behind.value.code == ErrorCode.InvalidIFRebase
    apply_rebase_to_insurance_fund_stake(stake, fund)
    assert (stake.if_shares, stake.last_withdraw_request_shares, stake.if_base) == (123, 19, 3)
    assert (stake.last_withdraw_request_value, stake.cost_basis) == (77, 55)
    assert checked_if_shares(stake, fund) == 123


def test_a_stake_ahead_of_its_fund_is_refused() -> None:
    with pytest.raises(SettlementError) as ahead:
        apply_rebase_to_insurance_fund_stake(InsuranceFundStake(if_base=2), InsuranceFund(shares_base=1))
    assert ahead.value.code == ErrorCode.InvalidIFRebase


@pytest.mark.parametrize(
    ("shares", "value", "total", "vault", "lost"),
    [
        (100_000_000, 99_999_999, 1_000_000_000, 1_000_000_000, 2),
        (100_000_000, 99_999_999, 1_000_000_000, 1_100_000_000, 10_000_001),
        (100_000_000, 200_000_000, 1_000_000_000, 1_100_000_000, 0),  # the price fell: nothing is lost
        (100, 100, 100, 150, 100),  # the sole holder loses all, for nobody's benefit
    ],
)
def test_shares_lost_by_cancelling(shares: int, value: int, total: int, vault: int, lost: int) -> None:
    assert calculate_if_shares_lost(shares, value, total, vault) == lost


def test_shares_lost_needs_a_vault_beyond_the_frozen_value() -> None:
    """V − q = 0 while other shares exist leaves them without a price; here the request claims more than the vault."""
    with pytest.raises(SettlementError) as beyond:
        calculate_if_shares_lost(10, 5, 5, 100)
    assert beyond.value.code == ErrorCode.InvalidIFSharesDetected


def test_share_price_is_floored_and_zero_without_shares() -> None:
    assert calculate_share_price(3, 10) == 3_333_333
    assert calculate_share_price(0, 10) == 0
