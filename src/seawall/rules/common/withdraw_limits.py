"""How much may leave a spot market: the TWAP floor, the borrow ceiling, the utilization limits.

Source: balances.md §6; ``math/spot_withdraw.rs``.
"""

from seawall.arithmetic import SPOT_UTILIZATION_PRECISION, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def calculate_min_deposit_token_amount(deposit_token_twap: int, withdraw_guard_threshold: int) -> int:
    """Deposits (tokens) that must remain: three quarters of the TWAP, or the TWAP less the guard where that is less."""
    removable = deposit_token_twap // 4
    guard = min(withdraw_guard_threshold, deposit_token_twap)
    if guard > removable:
        removable = guard
    return deposit_token_twap - removable


@rule
def calculate_max_borrow_token_amount(
    deposit_token_amount: int, deposit_token_twap: int, borrow_token_twap: int, withdraw_guard_threshold: int
) -> int:
    """Borrows (tokens) that may be reached, by the lesser of deposits and their TWAP.

    The borrow fraction plays no role here: deliberate, only the caps look at it.
    """
    lesser_deposit = min(deposit_token_amount, deposit_token_twap)
    by_twap = max(lesser_deposit // 6, borrow_token_twap + lesser_deposit // 10)
    return max(withdraw_guard_threshold, min(by_twap, lesser_deposit - lesser_deposit // 5))


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
    guard = spot_market.withdraw_guard_threshold
    min_by_twap = calculate_min_deposit_token_amount(spot_market.deposit_token_twap, guard)
    max_by_twap = calculate_max_borrow_token_amount(
        deposits, spot_market.deposit_token_twap, spot_market.borrow_token_twap, guard
    )
    min_by_utilization, max_by_utilization = calculate_token_utilization_limits(deposits, borrows, spot_market)
    return deposits, borrows, max(min_by_twap, min_by_utilization), min(max_by_twap, max_by_utilization)


@rule
def check_withdraw_limits(spot_market: SpotMarket, user: User, token_amount_withdrawn: int) -> None:
    """After ``token_amount_withdrawn`` left: ``DailyWithdrawLimit`` beyond the limits, small users excepted.

    A position of stored type Borrow is held to both limits, a Deposit only to that on deposits.
    Source: ``math/spot_withdraw.rs::check_withdraw_limits``.
    """
    deposits, borrows, min_deposit, max_borrow = calculate_withdraw_bounds(spot_market)
    position = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    passes = deposits >= min_deposit
    if position.balance_type == BORROW:
        passes = passes and borrows <= max_borrow
    if not passes and not is_small_user(spot_market, user, token_amount_withdrawn):
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
    Source: balances.md §6; ``math/spot_withdraw.rs::get_max_withdraw_for_market_with_token_amount``.
    """
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    guard = spot_market.withdraw_guard_threshold
    min_deposit = 0
    max_borrow = calculate_max_borrow_token_amount(
        deposits, spot_market.deposit_token_twap, spot_market.borrow_token_twap, guard
    )
    if leaving:
        min_deposit, max_by_utilization = calculate_token_utilization_limits(deposits, borrows, spot_market)
        max_borrow = min(max_borrow, max_by_utilization)
    withdrawable = 0
    if token_amount > 0:
        by_twap = calculate_min_deposit_token_amount(spot_market.deposit_token_twap, guard)
        limit = sub_saturating(deposits, max(by_twap, min_deposit))
        if leaving and limit <= token_amount:
            return limit
        withdrawable = token_amount
    return withdrawable + min(sub_saturating(max_borrow, borrows), sub_saturating(deposits, borrows))
