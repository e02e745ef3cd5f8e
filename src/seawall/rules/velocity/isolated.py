"""The collateral of an isolated position: a deposit in the quote market that backs one perp position and no other.

A *scope* of an account is an int ``row``: −1 is cross margin, else the row of an isolated position in
``user.perp_positions``. Source: velocity/isolated.md §1, §2; ``state/user.rs``, ``controller/position.rs``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import check_leaving, get_spot_balance, get_token_amount, withdraw_from_deposit
from seawall.rules.common.perp_positions import find_perp_position, force_get_perp_position_index, is_isolated
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.state.enums import BORROW, DEPOSIT, POSITION_ISOLATED
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

POSITIONS: Final = 8

CROSS: Final = -1
"""The scope of the account's cross margin."""


@rule
def scope_of(user: User, market_index: int) -> int:
    """The scope that a perp market's position of the account belongs to: its row if isolated, else −1.

    −1 too where there is no position. Source: velocity/isolated.md §6; velocity/solvency.md §5.
    """
    row = find_perp_position(user, market_index)
    if row >= 0 and is_isolated(user.perp_positions[row]):
        return row
    return CROSS


@rule
def get_isolated_token_amount(position: PerpPosition, quote_market: SpotMarket) -> int:
    """Tokens of the position's own collateral, floored. Source: velocity/isolated.md §2."""
    return get_token_amount(position.isolated_position_scaled_balance, quote_market, DEPOSIT)


@rule
def update_isolated_balance(
    token_amount: int, direction: int, quote_market: SpotMarket, position: PerpPosition, leaving: bool
) -> None:
    """Deposit into or take from a position's own collateral (tokens ≥ 0); ``leaving``: the tokens leave the vault.

    A credit is floored, a debit too unless the tokens leave. Beyond what is held: ``CantUpdateSpotBalanceType``, for
    this balance is never a borrow; ``MathError``, ``SpotMarketInsufficientDeposits``.
    Source: velocity/isolated.md §2; velocity/balances.md §5; ``controller/spot_balance.rs::update_spot_balances``.
    """
    held = position.isolated_position_scaled_balance
    if direction == DEPOSIT:
        delta = get_spot_balance(token_amount, quote_market, DEPOSIT, False)
        position.isolated_position_scaled_balance = held + delta
        quote_market.deposit_balance += delta
        return
    left, uncovered = withdraw_from_deposit(token_amount, held, quote_market, leaving)
    if uncovered > 0:
        raise SettlementError(ErrorCode.CantUpdateSpotBalanceType)
    position.isolated_position_scaled_balance = left
    check_leaving(quote_market, BORROW, leaving)


@rule
def force_get_isolated_position_index(user: User, market_index: int) -> int:
    """Row of the account's isolated position in a market, opened in a free row if missing.

    ``InvalidPerpPosition`` for a cross position in use, ``MaxNumberOfPositions`` without a free row.
    Source: velocity/isolated.md §2; ``state/user.rs::force_get_isolated_perp_position_mut``.
    """
    row = find_perp_position(user, market_index)
    if row >= 0:
        if not is_isolated(user.perp_positions[row]):
            raise SettlementError(ErrorCode.InvalidPerpPosition)
        return row
    row = force_get_perp_position_index(user, market_index)
    user.perp_positions[row].position_flag = POSITION_ISOLATED
    return row


@rule
def get_total_token_amount(user: User, spot_market: SpotMarket) -> int:
    """The account's tokens in a market, signed: cross margin, and in the quote market every isolated position too.

    Source: velocity/isolated.md §2; ``state/user.rs::get_total_token_amount``.
    """
    tokens = 0
    for i in range(POSITIONS):
        position = user.spot_positions[i]
        if position.scaled_balance != 0 and position.market_index == spot_market.market_index:
            tokens = tokens + signed_token_amount(position, spot_market)
    if spot_market.market_index == QUOTE_SPOT_MARKET_INDEX:
        for i in range(POSITIONS):
            tokens = tokens + get_isolated_token_amount(user.perp_positions[i], spot_market)
    return tokens
