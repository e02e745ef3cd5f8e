"""How much may leave a spot market: the TWAP floor, the borrow ceiling, the utilization limits.

Source: balances.md §6; velocity/balances.md §9, §10; ``math/spot_withdraw.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    I128_MAX,
    MARGIN_PRECISION,
    SPOT_UTILIZATION_PRECISION,
    checked_u64,
    sub_checked,
    sub_saturating,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

NO_LIMIT: Final = I128_MAX
"""More tokens than there can be; stands for the program's largest u128 in either lane."""

BPS_PRECISION: Final = 10_000
DEFAULT_WITHDRAW_CIRCUIT_BREAKER_BPS: Final = 2_500
"""Share of the deposit TWAP that may leave (1e4), where a market names none."""


@rule
def calculate_min_deposit_token_amount(
    deposit_token_twap: int, withdraw_guard_threshold: int, withdraw_circuit_breaker_bps: int = 0
) -> int:
    """Deposits (tokens) that must remain: the TWAP less the breaker's share of it (1e4), or less the guard if more.

    A breaker of 0 stands for a quarter, and Drift's markets have no other. Source: balances.md §6;
    velocity/balances.md §9; ``math/spot_withdraw.rs::calculate_min_deposit_token_amount``.
    """
    bps = withdraw_circuit_breaker_bps
    if bps == 0:
        bps = DEFAULT_WITHDRAW_CIRCUIT_BREAKER_BPS
    removable = deposit_token_twap * bps // BPS_PRECISION
    guard = min(withdraw_guard_threshold, deposit_token_twap)
    if guard > removable:
        removable = guard
    return sub_checked(deposit_token_twap, removable)


@rule
def calculate_max_borrow_token_amount(
    deposit_token_amount: int, deposit_token_twap: int, borrow_token_twap: int, withdraw_guard_threshold: int
) -> int:
    """Borrows (tokens) that may be reached in a market of Drift, by the lesser of deposits and their TWAP.

    The borrow fraction plays no role here: deliberate, only the caps look at it. Source: balances.md §6.
    """
    lesser_deposit = min(deposit_token_amount, deposit_token_twap)
    by_twap = max(lesser_deposit // 6, borrow_token_twap + lesser_deposit // 10)
    return max(withdraw_guard_threshold, min(by_twap, lesser_deposit - lesser_deposit // 5))


@rule
def calculate_max_borrow_token_amount_of_pool(
    deposit_token_amount: int,
    deposit_token_twap: int,
    borrow_token_twap: int,
    withdraw_guard_threshold: int,
    max_token_borrows: int,
    pool_id: int,
) -> int:
    """Borrows (tokens) that may be reached in a market of Velocity; pools other than the main one lend out more.

    Source: velocity/balances.md §9; ``math/spot_withdraw.rs::calculate_max_borrow_token_amount``.
    """
    lesser_deposit = min(deposit_token_amount, deposit_token_twap)
    if pool_id == 0:
        by_twap = max(lesser_deposit // 3, borrow_token_twap + lesser_deposit // 5)
        most = lesser_deposit - lesser_deposit // 14
    else:
        by_twap = max(lesser_deposit // 2, borrow_token_twap + lesser_deposit // 3)
        most = lesser_deposit - lesser_deposit // 20
    return min(max(withdraw_guard_threshold, min(by_twap, most)), max_token_borrows)


@rule
def max_token_borrows(spot_market: SpotMarket) -> int:
    """The fraction (1e4) of the deposit cap that may be lent out (tokens); without a fraction there is no limit.

    A market without a deposit cap may then lend out nothing: deliberate, it is the program's. ``MathError`` beyond
    u64. Source: velocity/balances.md §9.
    """
    if spot_market.max_token_borrows_fraction == 0:
        return NO_LIMIT
    return checked_u64(spot_market.max_token_deposits * spot_market.max_token_borrows_fraction) // MARGIN_PRECISION


@rule
def min_deposit_by_twap(spot_market: SpotMarket) -> int:
    """Deposits (tokens) of a market that must remain by their TWAP."""
    return calculate_min_deposit_token_amount(
        spot_market.deposit_token_twap, spot_market.withdraw_guard_threshold, spot_market.withdraw_circuit_breaker_bps
    )


@rule
def max_borrow_by_twap(spot_market: SpotMarket, deposit_token_amount: int) -> int:
    """Borrows (tokens) of a market that may be reached by the TWAPs, with ``deposit_token_amount`` in it.

    Drift: at most four fifths of the deposits.
    Velocity: at most thirteen fourteenths in the main pool, and never beyond the borrow fraction of the deposit cap.
    Source: balances.md §6; velocity/balances.md §9.
    """
    deposit_twap, borrow_twap = spot_market.deposit_token_twap, spot_market.borrow_token_twap
    guard = spot_market.withdraw_guard_threshold
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        return calculate_max_borrow_token_amount_of_pool(
            deposit_token_amount, deposit_twap, borrow_twap, guard, max_token_borrows(spot_market), spot_market.pool_id
        )
    return calculate_max_borrow_token_amount(deposit_token_amount, deposit_twap, borrow_twap, guard)


@rule
def calculate_token_utilization_limits(
    deposit_token_amount: int, borrow_token_amount: int, spot_market: SpotMarket
) -> tuple[int, int]:
    """Least deposits and most borrows (tokens) at the utilization that the TWAP admits."""
    utilization = (
        spot_market.utilization_twap + sub_saturating(SPOT_UTILIZATION_PRECISION, spot_market.utilization_twap) // 2
    )
    if spot_market.optimal_utilization > utilization:
        utilization = spot_market.optimal_utilization
    guard = spot_market.withdraw_guard_threshold
    by_utilization = borrow_token_amount * SPOT_UTILIZATION_PRECISION // utilization
    min_deposit = min(by_utilization, sub_saturating(deposit_token_amount, guard))
    max_borrow = max(utilization * deposit_token_amount // SPOT_UTILIZATION_PRECISION, guard)
    return min_deposit, max_borrow


@rule
def calculate_withdraw_bounds(spot_market: SpotMarket) -> tuple[int, int, int, int]:
    """Deposits, borrows, the deposits that must remain and the borrows that may be reached, all tokens, now."""
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    min_by_twap = min_deposit_by_twap(spot_market)
    max_by_twap = max_borrow_by_twap(spot_market, deposits)
    min_by_utilization, max_by_utilization = calculate_token_utilization_limits(deposits, borrows, spot_market)
    return deposits, borrows, max(min_by_twap, min_by_utilization), min(max_by_twap, max_by_utilization)


@rule
def check_withdraw_limits_of_market(spot_market: SpotMarket) -> None:
    """After tokens left: ``DailyWithdrawLimit`` beyond either limit, whoever took them.

    Source: velocity/balances.md §9; ``math/spot_withdraw.rs::check_withdraw_limits`` without a user.
    """
    deposits, borrows, min_deposit, max_borrow = calculate_withdraw_bounds(spot_market)
    if deposits < min_deposit or borrows > max_borrow:
        raise SettlementError(ErrorCode.DailyWithdrawLimit)


@rule
def check_withdraw_limits(spot_market: SpotMarket, user: User, token_amount_withdrawn: int) -> None:
    """After ``token_amount_withdrawn`` left: ``DailyWithdrawLimit`` beyond the limits, small users excepted.

    A position of stored type Borrow is held to both limits, a Deposit only to that on deposits.
    Drift: nothing bounds what small users take together.
    Velocity: all exceptions together take at most one guard threshold below the floor.
    Source: balances.md §6; velocity/balances.md §9; ``math/spot_withdraw.rs::check_withdraw_limits``.
    """
    deposits, borrows, min_deposit, max_borrow = calculate_withdraw_bounds(spot_market)
    position = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    passes = deposits >= min_deposit
    if position.balance_type == BORROW:
        passes = passes and borrows <= max_borrow
    if passes:
        return
    excepted = is_small_user(spot_market, user, token_amount_withdrawn)
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        excepted = excepted and deposits >= sub_saturating(min_deposit, spot_market.withdraw_guard_threshold)
    if not excepted:
        raise SettlementError(ErrorCode.DailyWithdrawLimit)


@rule
def is_small_user(spot_market: SpotMarket, user: User, token_amount_withdrawn: int) -> bool:
    """Whether a depositor is small enough (a tenth of the guard) to leave beyond the limits.

    Read after the withdrawal: its amount already counts in the user's totals; deliberate, it is the program's.
    Source: ``math/spot_withdraw.rs::check_user_exception_to_withdraw_limits``.
    """
    position = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    if user.total_deposits < user.total_withdraws or position.cumulative_deposits < 0:
        return False
    if position.balance_type != DEPOSIT:
        return False
    held = get_token_amount(position.scaled_balance, spot_market, DEPOSIT)
    return held + token_amount_withdrawn < spot_market.withdraw_guard_threshold // 10


@rule
def get_max_withdraw_for_market_with_token_amount(spot_market: SpotMarket, token_amount: int, leaving: bool) -> int:
    """Tokens that an account with signed ``token_amount`` could still take out or borrow.

    With ``leaving`` false nothing limits the deposit itself, and the utilization limits do not count: deliberate.
    Drift: neither the borrow fraction nor a receivable limits it.
    Velocity: the borrow fraction does, and what the insurance fund is owed stays in the vault.
    Source: balances.md §6; velocity/balances.md §10;
    ``math/spot_withdraw.rs::get_max_withdraw_for_market_with_token_amount``.
    """
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    unborrowed = sub_saturating(deposits, borrows)
    min_deposit = 0
    max_borrow = max_borrow_by_twap(spot_market, deposits)
    if leaving:
        min_deposit, max_by_utilization = calculate_token_utilization_limits(deposits, borrows, spot_market)
        max_borrow = min(max_borrow, max_by_utilization)
    withdrawable = 0
    if token_amount > 0:
        limit = sub_saturating(deposits, max(min_deposit_by_twap(spot_market), min_deposit))
        if leaving and limit <= token_amount:
            return unreserved(spot_market, limit, unborrowed)
        withdrawable = token_amount
    room = min(sub_saturating(max_borrow, borrows), unborrowed)
    if leaving and spot_market.insurance_fund_revenue_receivable_scaled > 0:
        return unreserved(spot_market, withdrawable + room, unborrowed)
    return withdrawable + room


@rule
def unreserved(spot_market: SpotMarket, token_amount: int, unborrowed: int) -> int:
    """What of an amount may leave the vault (tokens), of which ``unborrowed`` is not lent out.

    Drift: all of it.
    Velocity: no more than is there beyond what the insurance fund is owed.
    Source: velocity/balances.md §10.
    """
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        receivable = get_token_amount(spot_market.insurance_fund_revenue_receivable_scaled, spot_market, DEPOSIT)
        return min(token_amount, sub_saturating(unborrowed, receivable))
    return token_amount
