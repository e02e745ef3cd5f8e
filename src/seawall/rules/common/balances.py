"""Scaled balances and tokens; moving a claim between a user, a pool and the market totals. Source: balances.md §2-3."""

from seawall.arithmetic import TOKEN_PRECISIONS, pow10, sub_checked
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import SpotPosition


@rule
def get_token_amount(scaled_balance: int, spot_market: SpotMarket, balance_type: int) -> int:
    """Tokens of a scaled balance (1e9): a deposit's floor, a borrow's ceiling, both unsigned.

    ``MathError`` beyond 19 decimals. Source: balances.md §2; ``math/spot_balance.rs::get_token_amount``.
    """
    if spot_market.decimals > 19:
        raise SettlementError(ErrorCode.MathError)
    precision = TOKEN_PRECISIONS[spot_market.decimals]
    if precision == 0:
        precision = pow10(19)
    if balance_type == DEPOSIT:
        return scaled_balance * spot_market.cumulative_deposit_interest // precision
    return (scaled_balance * spot_market.cumulative_borrow_interest + precision - 1) // precision


@rule
def get_spot_balance(token_amount: int, spot_market: SpotMarket, balance_type: int, round_up: bool) -> int:
    """Scaled balance (1e9) of a token amount.

    Rounding up adds 1 also after an exact division: deliberate, it is the program's. ``MathError`` beyond 19 decimals.
    Drift: only a result that is not zero is rounded up.
    Velocity: so is a result of zero where the token amount is not.
    Source: balances.md §2; velocity/balances.md §2; ``math/spot_balance.rs::get_spot_balance``.
    """
    if spot_market.decimals > 19:
        raise SettlementError(ErrorCode.MathError)
    precision = TOKEN_PRECISIONS[spot_market.decimals]
    if precision == 0:
        precision = pow10(19)
    if balance_type == DEPOSIT:
        balance = token_amount * precision // spot_market.cumulative_deposit_interest
    else:
        balance = token_amount * precision // spot_market.cumulative_borrow_interest
    if round_up and (balance != 0 or (token_amount != 0 and spot_market.rulebook == RULEBOOK_VELOCITY)):
        return balance + 1
    return balance


@rule
def get_signed_token_amount(token_amount: int, balance_type: int) -> int:
    """+tokens of a deposit, −tokens of a borrow."""
    if balance_type == DEPOSIT:
        return token_amount
    return -token_amount


@rule
def increase_market_balance(spot_market: SpotMarket, balance_type: int, delta: int) -> None:
    """Add ``delta`` (scaled 1e9) to the market's total of a type."""
    if balance_type == DEPOSIT:
        spot_market.deposit_balance += delta
    else:
        spot_market.borrow_balance += delta


@rule
def decrease_market_balance(spot_market: SpotMarket, balance_type: int, delta: int) -> None:
    """Take ``delta`` (scaled 1e9) from the market's total of a type; ``MathError`` below zero."""
    if balance_type == DEPOSIT:
        spot_market.deposit_balance = sub_checked(spot_market.deposit_balance, delta)
    else:
        spot_market.borrow_balance = sub_checked(spot_market.borrow_balance, delta)


@rule
def check_leaving(spot_market: SpotMarket, direction: int, leaving: bool) -> None:
    """After tokens left: deposits must still cover borrows, else ``SpotMarketInsufficientDeposits``."""
    if leaving and direction == BORROW:
        deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
        borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
        if deposits < borrows:
            raise SettlementError(ErrorCode.SpotMarketInsufficientDeposits)


@rule
def update_spot_position_balance(
    token_amount: int, direction: int, spot_market: SpotMarket, position: SpotPosition, leaving: bool
) -> None:
    """Deposit into or borrow from a user's spot balance (tokens ≥ 0); opposite balances are consumed first.

    Dust of the opposite type worth no token stays and flips its type: deliberate, it is the program's.
    Source: balances.md §3; ``controller/spot_balance.rs::update_spot_balances``.
    """
    if direction == position.balance_type:
        delta = get_spot_balance(token_amount, spot_market, direction, direction == BORROW)
        position.scaled_balance += delta
        increase_market_balance(spot_market, direction, delta)
    else:
        held_type = position.balance_type
        held = get_token_amount(position.scaled_balance, spot_market, held_type)
        if held != 0:
            if held > token_amount:
                delta = get_spot_balance(token_amount, spot_market, held_type, leaving or held_type == BORROW)
                consumed = token_amount
            else:
                delta = position.scaled_balance
                consumed = held
            decrease_market_balance(spot_market, held_type, delta)
            position.scaled_balance = sub_checked(position.scaled_balance, delta)
            token_amount = token_amount - consumed
        if token_amount > 0:
            position.balance_type = direction
            delta = get_spot_balance(token_amount, spot_market, direction, direction == BORROW)
            position.scaled_balance += delta
            increase_market_balance(spot_market, direction, delta)
    check_leaving(spot_market, direction, leaving)


@rule
def deposit_into_pool(token_amount: int, spot_market: SpotMarket, pool: PoolBalance) -> None:
    """Credit a pool with tokens at the stored index (floor). Source: balances.md §3."""
    delta = get_spot_balance(token_amount, spot_market, DEPOSIT, False)
    pool.scaled_balance += delta
    spot_market.deposit_balance += delta


@rule
def withdraw_from_deposit(
    token_amount: int, scaled_balance: int, spot_market: SpotMarket, leaving: bool
) -> tuple[int, int]:
    """Take tokens from a claim that is always a deposit: its scaled balance after, and the tokens it did not cover.

    The market's total falls with it. Taking all its tokens clears its dust too; of a claim that is worth no token
    nothing is taken. ``leaving`` rounds a part up. ``MathError`` below zero. Source: balances.md §3.
    """
    held = get_token_amount(scaled_balance, spot_market, DEPOSIT)
    if held == 0:
        return scaled_balance, token_amount
    delta = scaled_balance
    uncovered = token_amount - held
    if held > token_amount:
        delta = get_spot_balance(token_amount, spot_market, DEPOSIT, leaving)
        uncovered = 0
    decrease_market_balance(spot_market, DEPOSIT, delta)
    return sub_checked(scaled_balance, delta), uncovered


@rule
def withdraw_from_pool(token_amount: int, spot_market: SpotMarket, pool: PoolBalance, leaving: bool = False) -> None:
    """Debit a pool; taking all its tokens clears its dust too.

    Drift: a pool that is short fails with ``CantUpdatePoolBalanceType``.
    Velocity: it fails with ``CantUpdateSpotBalanceType``.
    ``leaving``: the tokens leave the vault, so the debit rounds up, and deposits must still cover borrows
    (``SpotMarketInsufficientDeposits``).
    Source: balances.md §3; ``state/perp_market.rs::PoolBalance::update_balance_type``.
    """
    left, uncovered = withdraw_from_deposit(token_amount, pool.scaled_balance, spot_market, leaving)
    pool.scaled_balance = left
    if uncovered > 0:
        if spot_market.rulebook == RULEBOOK_VELOCITY:
            raise SettlementError(ErrorCode.CantUpdateSpotBalanceType)
        raise SettlementError(ErrorCode.CantUpdatePoolBalanceType)
    check_leaving(spot_market, BORROW, leaving)


@rule
def check_pool_covers_market(spot_market: SpotMarket, pool: PoolBalance) -> None:
    """A transfer out of a deposit needs the market to hold at least it, else ``InvalidSpotMarketState``."""
    if spot_market.deposit_balance < pool.scaled_balance:
        raise SettlementError(ErrorCode.InvalidSpotMarketState)


@rule
def transfer_between_pools(
    token_amount: int, spot_market: SpotMarket, source: PoolBalance, target: PoolBalance
) -> None:
    """Move tokens ≥ 0 from one pool to another of the same market; each leg rounds on its own.

    ``UnequalMarketIndexForSpotTransfer``, ``InvalidSpotMarketState``, and that of ``withdraw_from_pool``.
    Source: balances.md §3.1; ``controller/spot_balance.rs::transfer_spot_balances``.
    """
    if source.market_index != target.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    if token_amount == 0:
        return
    check_pool_covers_market(spot_market, source)
    withdraw_from_pool(token_amount, spot_market, source)
    deposit_into_pool(token_amount, spot_market, target)
