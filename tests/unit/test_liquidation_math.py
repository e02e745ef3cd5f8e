"""The formulas of liquidations at their edges; the program's own figures are among the facts of tests/parity."""

import pytest

from seawall.arithmetic import U32_MAX, U64_MAX
from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_PCT_PRECISION,
    NO_LIMIT_PRICE,
    UNLIMITED,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_liability_transfer_to_cover_margin_shortage,
    calculate_max_pct_to_liquidate,
    calculate_perp_if_fee,
    calculate_spot_if_fee,
    is_as_safe_as,
    liquidation_discount,
    part_to_liquidate,
    standardize_base_asset_amount_ceil,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.drift.liquidation_math import calculate_asset_transfer_for_liability_transfer
from seawall.state.enums import AssetTier, ContractTier

P = 10**6
ONE = 10**6


def failure(call: object, *arguments: int) -> ErrorCode:
    with pytest.raises(SettlementError) as error:
        call(*arguments)  # type: ignore[operator]
    return error.value.code


# --- rounding to steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "step", "expected"),
    [(0, 7, 0), (1, 7, 7), (7, 7, 7), (8, 7, 14), (U64_MAX, 1, U64_MAX), (U64_MAX, 5, U64_MAX)],
)
def test_a_size_is_rounded_up_to_a_step(amount: int, step: int, expected: int) -> None:
    assert standardize_base_asset_amount_ceil(amount, step) == expected


@pytest.mark.parametrize(("amount", "step"), [(U64_MAX, 2), (U64_MAX - 1, 10**7), (5, 0)])
def test_rounding_up_can_leave_the_type(amount: int, step: int) -> None:
    """No base covers the shortage (2^64 − 1): the step that does not divide it overflows."""
    assert failure(standardize_base_asset_amount_ceil, amount, step) == ErrorCode.MathError


# --- perp ------------------------------------------------------------------------------------------------------


def test_base_that_covers_a_shortage() -> None:
    """Of each base at 100 with a ratio of 10 % and fees of 2 %, 8 are freed: 10 need 1.25."""
    assert (
        calculate_base_asset_amount_to_cover_margin_shortage(10 * P, 1_000, 10_000, 10_000, 100 * P, P) == 1_250_000_000
    )


@pytest.mark.parametrize(("ratio", "fee", "price"), [(500, 50_000, 100 * P), (500, 60_000, 100 * P), (500, 0, 0)])
def test_no_base_covers_a_shortage_when_the_fee_eats_the_margin(ratio: int, fee: int, price: int) -> None:
    assert calculate_base_asset_amount_to_cover_margin_shortage(P, ratio, fee, 0, price, P) == U64_MAX


@pytest.mark.parametrize(
    ("ratio", "fee", "if_fee", "price", "code"),
    [
        (500, 10_000, 40_000, 100 * P, ErrorCode.MathError),  # frees nothing
        (500, 10_000, 50_000, 100 * P, ErrorCode.MathError),  # frees less than nothing
        (500, 10_000, 0, -1, ErrorCode.CastingFailure),
        (U32_MAX // 100 + 1, 0, 0, P, ErrorCode.MathError),
    ],
)
def test_a_cover_that_cannot_be_computed(ratio: int, fee: int, if_fee: int, price: int, code: ErrorCode) -> None:
    arguments = (P, ratio, fee, if_fee, price, P)
    assert failure(calculate_base_asset_amount_to_cover_margin_shortage, *arguments) == code


@pytest.mark.parametrize(
    ("shortage", "base", "ratio", "fee", "price", "quote", "expected"),
    [
        (0, 10**9, 500, 10_000, 100 * P, P, 38_000),  # 19/20 of 5 % − 1 %
        (2 * P, 10**9, 500, 10_000, 100 * P, P, 19_000),  # 2 % are needed to cover the shortage
        (4 * P, 10**9, 500, 10_000, 100 * P, P, 0),
        (10**30, 1, 500, 10_000, 100 * P, P, 0),  # more is needed than a u32 holds
        (0, 10**9, 500, 50_000, 100 * P, P, 0),
        (0, 10**9, 500, 10_000, 100 * P, 0, 0),
    ],
)
def test_insurance_is_paid_from_what_is_left(
    shortage: int, base: int, ratio: int, fee: int, price: int, quote: int, expected: int
) -> None:
    assert calculate_perp_if_fee(shortage, base, ratio, fee, price, quote, 10**6) == expected
    assert calculate_perp_if_fee(shortage, base, ratio, fee, price, quote, 7) == min(7, expected)


def test_a_worthless_quote_price_cannot_be_divided_by() -> None:
    """Price times quote price below a unit rounds to 0."""
    assert failure(calculate_perp_if_fee, P, 10**9, 500, 0, 1, 999_999, P) == ErrorCode.MathError


# --- balances --------------------------------------------------------------------------------------------------


def test_no_liability_covers_a_shortage_when_the_asset_weighs_as_much() -> None:
    """Neither for equal weights, nor where the discounts make them equal."""
    assert calculate_liability_transfer_to_cover_margin_shortage(P, 10_000, ONE, 10_000, ONE, 6, P, 0) == UNLIMITED
    assert calculate_liability_transfer_to_cover_margin_shortage(P, 9_000, 1_200_000, 10_000, ONE, 6, P, 0) == UNLIMITED


@pytest.mark.parametrize(("decimals", "expected"), [(6, 10_000), (9, 10_000_000), (5, 1_000), (1, 0)])
def test_the_liability_is_in_its_own_tokens(decimals: int, expected: int) -> None:
    """A shortage of 0.2 at 20 a token and weights of 0 and 1: a hundredth of a token; of 1 decimal there is none."""
    assert calculate_liability_transfer_to_cover_margin_shortage(200_000, 0, ONE, 10_000, ONE, decimals, 20 * P, 0) == (
        expected
    )


def test_a_liability_that_frees_nothing_cannot_be_divided_by() -> None:
    arguments = (P, 9_000, ONE, 10_000, ONE, 6, P, 100_000)
    assert failure(calculate_liability_transfer_to_cover_margin_shortage, *arguments) == ErrorCode.MathError


@pytest.mark.parametrize(
    ("asset", "asset_decimals", "liability_decimals", "expected"),
    [(1, 6, 9, 10), (1, 9, 6, 1), (1, 6, 6, 1), (10**6, 6, 9, 10**7), (0, 6, 6, 0)],
)
def test_what_an_asset_pays_for_is_rounded_up(
    asset: int, asset_decimals: int, liability_decimals: int, expected: int
) -> None:
    """At prices of 1 and 100."""
    assert calculate_liability_transfer_implied_by_asset_amount(
        asset, ONE, asset_decimals, P, ONE, liability_decimals, 100 * P
    ) == (expected)


@pytest.mark.parametrize(
    ("held", "decimals", "liability", "expected"),
    [
        (10**8, 6, 10**6, 10**6),
        (10**6 + 999_999, 6, 10**6, 10**6 + 999_999),  # what would be left is dust: all goes
        (10**6 + 1_000_000, 6, 10**6, 10**6),
        (10**6 - 999_999, 6, 10**6, 10**6 - 999_999),  # dust is forgiven the other way, too
        (10**9 + 1_000, 9, 10**6, 10**9),  # of 9 decimals a millionth of the dust counts as such
        (10**9 + 999, 9, 10**6, 10**9 + 999),
        (10**9, 6, 0, 1),  # nothing costs 1
    ],
)
def test_the_asset_that_pays_for_a_liability(held: int, decimals: int, liability: int, expected: int) -> None:
    """At a price of 1 each, the liability of 6 decimals."""
    assert calculate_asset_transfer_for_liability_transfer(held, ONE, decimals, P, liability, ONE, 6, P) == expected


def test_an_asset_of_few_decimals_fails() -> None:
    arguments = (100, ONE, 5, P, 100, ONE, 6, P)
    assert failure(calculate_asset_transfer_for_liability_transfer, *arguments) == ErrorCode.MathError


def test_a_discount_above_everything_fails() -> None:
    assert liquidation_discount(1_000_000) == 0
    assert failure(liquidation_discount, 1_000_001) == ErrorCode.MathError


@pytest.mark.parametrize(
    ("shortage", "tokens", "asset_weight", "price", "expected"),
    [
        (0, 10**9, 8_000, 100 * P, 272_727),  # (1.1 − 0.8)/1.1
        (10 * P, 10**9, 8_000, 100 * P, 181_818),  # 10 of 100 are needed to cover the shortage
        (30 * P, 10**9, 8_000, 100 * P, 0),
        (0, 10**9, 11_000, 100 * P, 0),
        (0, 0, 8_000, 100 * P, 0),
        (0, 10**9, 8_000, 0, 0),
    ],
)
def test_insurance_of_a_borrow(shortage: int, tokens: int, asset_weight: int, price: int, expected: int) -> None:
    assert calculate_spot_if_fee(shortage, tokens, asset_weight, ONE, 11_000, ONE, 9, price, ONE) == expected


@pytest.mark.parametrize(("limit", "passes"), [(NO_LIMIT_PRICE, True), (0, True), (10 * P, True), (10 * P + 1, False)])
def test_a_limit_price(limit: int, passes: bool) -> None:
    """10 of the asset for a token of the liability."""
    arguments = (10 * 10**6, 10**9, 6, 9, limit)
    if passes:
        validate_transfer_satisfies_limit_price(*arguments)
    else:
        code = failure(validate_transfer_satisfies_limit_price, *arguments)
        assert code == ErrorCode.LiquidationDoesntSatisfyLimitPrice


# --- how much at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freed", "shortage", "elapsed", "initial", "duration", "expected"),
    [
        (0, 49_999_999, 0, 0, 100, 10_000),  # small ones at once
        (0, 50_000_000, 0, 0, 100, 0),
        (0, 50_000_000, 0, 1_000, 100, 1_000),
        (0, 50_000_000, 50, 1_000, 100, 6_000),
        (0, 50_000_000, 500, 1_000, 100, 10_000),
        (0, 50_000_000, 0, 0, 0, 10_000),  # no duration: at once
        (50_000_000, 50_000_000, 50, 0, 100, 0),  # half of all is freed already
        (50_000_000, 50_000_000, 75, 0, 100, 5_000),
        (50_000_000, 50_000_000, 10, 0, 100, 0),
    ],
)
def test_the_part_grows_with_the_slots(
    freed: int, shortage: int, elapsed: int, initial: int, duration: int, expected: int
) -> None:
    assert calculate_max_pct_to_liquidate(1_000, freed, shortage, 1_000 + elapsed, initial, duration) == expected


def test_the_clock_cannot_be_before_the_flagging() -> None:
    assert failure(calculate_max_pct_to_liquidate, 10, 0, 10**9, 9, 0, 100) == ErrorCode.MathError


@pytest.mark.parametrize(
    ("amount", "pct", "expected"),
    [(10_001, 5_000, 5_000), (UNLIMITED, 1, UNLIMITED), (UNLIMITED, 0, 0), (10**9, LIQUIDATION_PCT_PRECISION, 10**9)],
)
def test_a_part_of_an_amount(amount: int, pct: int, expected: int) -> None:
    assert part_to_liquidate(amount, pct) == expected


# --- tiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", ContractTier)
def test_safer_ones_come_first(contract: ContractTier) -> None:
    """Without borrows everything not riskier than the safest contract may go; beside a Collateral borrow nothing."""
    for perp in ContractTier:
        assert is_as_safe_as(contract, perp, AssetTier.Unlisted) == (contract <= perp)
        assert not is_as_safe_as(contract, perp, AssetTier.Collateral)
        assert not is_as_safe_as(contract, perp, AssetTier.Protected)
        for spot in (AssetTier.Cross, AssetTier.Isolated):
            assert is_as_safe_as(contract, perp, spot) == (contract <= min(perp, ContractTier.C))
