"""Drift's withdrawals: the withdraw fee, and what an account must satisfy after tokens left it.

Source: balances.md §8; instructions.md §2.1; ``controller/spot_position.rs``, ``instructions/user.rs``.
"""

from typing import Final

from seawall.arithmetic import checked_i64, checked_u64, pow10, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.margin import check_withdraw_margin_requirement, validate_spot_margin_trading
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.user_balances import (
    increment_total_withdraws,
    update_spot_balances_and_cumulative_deposits,
    withdraw_within_limits,
)
from seawall.rules.common.user_status import exit_liquidation, is_being_liquidated, update_last_active_slot
from seawall.state.enums import BORROW
from seawall.state.exchange import State
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User, UserStats

WITHDRAW_FEE: Final = 500
"""Quote 1e6 that a withdrawal costs which qualifies for the fee."""

WITHDRAW_FEE_SLOTS: Final = 50
WITHDRAW_FEE_MIN_TOTAL: Final = 10_000_000_000_000
WITHDRAW_FEE_RATIO: Final = 10_000


@rule
def qualifies_for_withdraw_fee(user: User, user_stats: UserStats, slot: int) -> bool:
    """Whether a busy account that withdrew much and paid few fees pays for this withdrawal.

    Source: instructions.md §2.1; ``state/user.rs::qualifies_for_withdraw_fee``.
    """
    if sub_saturating(slot, user.last_active_slot) >= WITHDRAW_FEE_SLOTS:
        return False
    if user.total_withdraws < WITHDRAW_FEE_MIN_TOTAL:
        return False
    return user.total_withdraws // max(1, user_stats.fees.total_fee_paid) > WITHDRAW_FEE_RATIO


@rule
def charge_withdraw_fee(spot_market: SpotMarket, price: int, user: User, user_stats: UserStats) -> int:
    """Move the withdraw fee (tokens, worth 0.0005 quote) from the user's balance to the revenue pool; the fee.

    The fee counts in tokens among figures that are quote otherwise: deliberate, it is the program's. ``MathError`` for
    a price of 0. Source: balances.md §8; ``controller/spot_position.rs::charge_withdraw_fee``.
    """
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    fee = WITHDRAW_FEE * pow10(spot_market.decimals) // abs(price)
    user.cumulative_spot_fees = checked_i64(user.cumulative_spot_fees - fee)
    user_stats.fees.total_fee_paid = checked_u64(user_stats.fees.total_fee_paid + fee)
    deposit_into_pool(fee, spot_market, spot_market.revenue_pool)
    position = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    update_spot_balances_and_cumulative_deposits(fee, BORROW, spot_market, position, False, 0)
    return fee


@rule
def withdraw_from_user(
    token_amount: int,
    market_index: int,
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    slot: int,
) -> None:
    """Take tokens out of an account: its totals, its balance, the limits, the margin; it leaves liquidation.

    The liquidation flag falls without a test of its own: deliberate, it is the program's. Errors: those of
    ``withdraw_within_limits``, ``check_withdraw_margin_requirement`` and ``validate_spot_margin_trading``, in order.
    Source: balances.md §8; instructions.md §2.1 (withdraw steps 7-15, transfer steps 5-6).
    """
    spot_market = spot_markets[market_index]
    increment_total_withdraws(user, token_amount, spot_market.decimals, oracles[spot_market.oracle_index].price)
    withdraw_within_limits(token_amount, spot_market, user)
    check_withdraw_margin_requirement(user, spot_markets, perp_markets, oracles, state)
    validate_spot_margin_trading(user, spot_markets, perp_markets, oracles)
    if is_being_liquidated(user):
        exit_liquidation(user)
    update_last_active_slot(user, slot)
