"""Collateral into, out of, and between an isolated position and cross margin.

Interest accrues without an oracle sample, for the margin check must not read averages that the same instruction moved.
Source: velocity/isolated.md §3; ``controller/isolated_position.rs``.
"""

from typing import Final

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.margin import validate_spot_margin_trading
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index
from seawall.rules.common.user_balances import (
    increment_total_deposits,
    increment_total_withdraws,
    update_spot_balances_and_cumulative_deposits,
)
from seawall.rules.common.user_status import is_bankrupt, update_last_active_slot
from seawall.rules.common.withdraw_limits import check_withdraw_limits_of_market
from seawall.rules.velocity.deposit_limits import calculate_max_deposit_token_amount
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.isolated import (
    CROSS,
    force_get_isolated_position_index,
    get_isolated_token_amount,
    update_isolated_balance,
)
from seawall.rules.velocity.margin import (
    check_transfer_margin_requirement,
    check_withdraw_margin_requirement,
    update_scope_liquidation_status,
)
from seawall.rules.velocity.user_status import exit_liquidation, is_scope_being_liquidated
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    STATUS_ACTIVE,
    STATUS_INITIALIZED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    VELOCITY_SPOT_WITHDRAW,
)
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

WHOLE_COLLATERAL: Final = -9_223_372_036_854_775_807 - 1
"""The transfer (the least i64) that takes everything out of an isolated position."""

MAX_TVL_LOSS: Final = 10
"""Tokens that the roundings of a transfer may take off the market's deposits less borrows."""


@rule
def check_isolated_request(user: User, spot_market: SpotMarket, perp_market: PerpMarket) -> None:
    """``UserBankrupt`` for an account with any bankrupt scope, ``InvalidIsolatedPerpMarket`` for another quote market.

    Source: velocity/isolated.md §3.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    if perp_market.quote_spot_market_index != spot_market.market_index:
        raise SettlementError(ErrorCode.InvalidIsolatedPerpMarket)


@rule
def get_tvl(spot_market: SpotMarket) -> int:
    """Tokens deposited less tokens lent out. Source: velocity/balances.md §12."""
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    if deposits < borrows:
        raise SettlementError(ErrorCode.MathError)
    return deposits - borrows


@rule
def check_daily_deposit_limit(spot_market: SpotMarket) -> None:
    """``DailyDepositLimit`` where deposits are beyond what a day admits. Source: velocity/balances.md §11."""
    limit = calculate_max_deposit_token_amount(
        spot_market.deposit_token_twap, spot_market.deposit_guard_threshold, spot_market.max_deposit_bps_per_day
    )
    if get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT) > limit:
        raise SettlementError(ErrorCode.DailyDepositLimit)


@rule
def deposit_into_isolated_perp_position(
    user: User,
    spot_market_index: int,
    perp_market_index: int,
    token_amount: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    funding_paused: bool,
    interest: InterestFacts,
) -> int:
    """Credit tokens that come in to an isolated position, which is opened if missing; its row.

    Errors in order: ``InsufficientDeposit``, ``UserBankrupt``, ``InvalidIsolatedPerpMarket``, ``InvalidPoolId``,
    ``MarketBeingInitialized``, ``InvalidPerpPosition``, ``MaxNumberOfPositions``, ``MarketActionPaused``,
    ``DailyDepositLimit``. Source: velocity/isolated.md §3.1.
    """
    if token_amount == 0:
        raise SettlementError(ErrorCode.InsufficientDeposit)
    spot_market = spot_markets[spot_market_index]
    check_isolated_request(user, spot_market, perp_markets[perp_market_index])
    if user.pool_id != spot_market.pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)
    if spot_market.status == STATUS_INITIALIZED:
        raise SettlementError(ErrorCode.MarketBeingInitialized)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    increment_total_deposits(user, token_amount, spot_market.decimals, oracles[spot_market.oracle_index].price)
    row = force_get_isolated_position_index(user, perp_market_index)
    update_isolated_balance(token_amount, DEPOSIT, spot_market, user.perp_positions[row], False)
    if spot_market.status != STATUS_ACTIVE:
        raise SettlementError(ErrorCode.MarketActionPaused)
    check_daily_deposit_limit(spot_market)
    update_scope_liquidation_status(user, row, spot_markets, perp_markets, oracles, state)
    update_last_active_slot(user, slot)
    return row


@rule
def move_cross_to_isolated(token_amount: int, user: User, spot_market: SpotMarket, perp_market_index: int) -> None:
    """Debit cross margin, which may end up borrowing, and credit the isolated position; nothing leaves the vault."""
    position = user.spot_positions[force_get_spot_position_index(user, spot_market.market_index)]
    update_spot_balances_and_cumulative_deposits(token_amount, BORROW, spot_market, position, False, token_amount)
    row = force_get_isolated_position_index(user, perp_market_index)
    update_isolated_balance(token_amount, DEPOSIT, spot_market, user.perp_positions[row], False)


@rule
def move_isolated_to_cross(amount: int, user: User, spot_market: SpotMarket, perp_market_index: int) -> int:
    """Debit the isolated position by −``amount`` tokens and credit cross margin; the position's row.

    ``WHOLE_COLLATERAL`` stands for all it holds; beyond that ``InsufficientCollateral``.
    """
    row = force_get_isolated_position_index(user, perp_market_index)
    held = get_isolated_token_amount(user.perp_positions[row], spot_market)
    token_amount = held
    if amount != WHOLE_COLLATERAL:
        token_amount = -amount
    if token_amount > held:
        raise SettlementError(ErrorCode.InsufficientCollateral)
    position = user.spot_positions[force_get_spot_position_index(user, spot_market.market_index)]
    update_spot_balances_and_cumulative_deposits(token_amount, DEPOSIT, spot_market, position, False, token_amount)
    update_isolated_balance(token_amount, BORROW, spot_market, user.perp_positions[row], False)
    return row


@rule
def transfer_isolated_perp_position_deposit(
    user: User,
    spot_market_index: int,
    perp_market_index: int,
    amount: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    funding_paused: bool,
    interest: InterestFacts,
) -> None:
    """Move tokens between cross margin and an isolated position: ``amount`` > 0 to the position, < 0 out of it.

    The scope that gave meets strict Initial, every other strict Maintenance, and leaves liquidation without another
    test: deliberate, it is the program's. No withdraw limit applies. Errors in order: ``DefaultError`` (amount 0),
    ``UserBankrupt``, ``InvalidIsolatedPerpMarket``, ``InvalidPoolId``, ``InvalidPerpPosition``,
    ``MaxNumberOfPositions``, ``InsufficientCollateral``, those of ``check_transfer_margin_requirement`` and
    ``validate_spot_margin_trading``, ``DefaultError`` and ``MathError`` (the market's deposits less borrows fell by
    more than 10 tokens, or rose). Source: velocity/isolated.md §3.2.
    """
    if amount == 0:
        raise SettlementError(ErrorCode.DefaultError)
    spot_market = spot_markets[spot_market_index]
    perp_market = perp_markets[perp_market_index]
    check_isolated_request(user, spot_market, perp_market)
    if user.pool_id != spot_market.pool_id or user.pool_id != perp_market.pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    tvl_before = get_tvl(spot_market)
    if amount > 0:
        move_cross_to_isolated(amount, user, spot_market, perp_market_index)
        check_transfer_margin_requirement(
            user, spot_markets, perp_markets, oracles, state, MARGIN_INITIAL, MARGIN_MAINTENANCE, -1, MARGIN_MAINTENANCE
        )
        validate_spot_margin_trading(user, spot_markets, perp_markets, oracles)
        row = CROSS
    else:
        row = move_isolated_to_cross(amount, user, spot_market, perp_market_index)
        check_transfer_margin_requirement(
            user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, MARGIN_MAINTENANCE,
            perp_market_index, MARGIN_INITIAL,
        )  # fmt: skip
    if is_scope_being_liquidated(user, row):
        exit_liquidation(user, row)
    update_last_active_slot(user, slot)
    tvl_after = get_tvl(spot_market)
    if tvl_after > tvl_before:
        raise SettlementError(ErrorCode.MathError)
    if tvl_before - tvl_after > MAX_TVL_LOSS:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def withdraw_from_isolated_perp_position(
    user: User,
    spot_market_index: int,
    perp_market_index: int,
    token_amount: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    funding_paused: bool,
    interest: InterestFacts,
) -> int:
    """Debit an isolated position by tokens that leave the vault; its row. Its liquidation ends without another test.

    The withdraw limits are the market's, for small depositors too. Errors in order: ``DefaultError`` (amount 0),
    ``UserBankrupt``, ``InvalidIsolatedPerpMarket``, ``InvalidPerpPosition``, ``MaxNumberOfPositions``,
    ``InsufficientCollateral``, ``SpotMarketInsufficientDeposits``, ``DailyWithdrawLimit``, ``MarketWithdrawPaused``,
    those of ``check_withdraw_margin_requirement``. Source: velocity/isolated.md §3.3.
    """
    if token_amount == 0:
        raise SettlementError(ErrorCode.DefaultError)
    spot_market = spot_markets[spot_market_index]
    check_isolated_request(user, spot_market, perp_markets[perp_market_index])
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    increment_total_withdraws(user, token_amount, spot_market.decimals, oracles[spot_market.oracle_index].price)
    row = force_get_isolated_position_index(user, perp_market_index)
    position = user.perp_positions[row]
    if token_amount > get_isolated_token_amount(position, spot_market):
        raise SettlementError(ErrorCode.InsufficientCollateral)
    update_isolated_balance(token_amount, BORROW, spot_market, position, True)
    check_withdraw_limits_of_market(spot_market)
    status = spot_market.status
    if status != STATUS_ACTIVE and status != STATUS_REDUCE_ONLY and status != STATUS_SETTLEMENT:
        raise SettlementError(ErrorCode.MarketWithdrawPaused)
    if spot_operation_paused(spot_market, 0, VELOCITY_SPOT_WITHDRAW):
        raise SettlementError(ErrorCode.MarketWithdrawPaused)
    check_withdraw_margin_requirement(user, spot_markets, perp_markets, oracles, state)
    if is_scope_being_liquidated(user, row):
        exit_liquidation(user, row)
    update_last_active_slot(user, slot)
    return row
