"""A perp market's pools and the revenue pool: what they hold, moving tokens between them and a user, the period.

Source: pools-and-pnl.md §3; velocity/pools-and-fees.md §8; ``controller/spot_balance.rs``, ``controller/amm.rs``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import (
    check_pool_covers_market,
    deposit_into_pool,
    get_token_amount,
    update_spot_position_balance,
    withdraw_from_pool,
)
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.common.withdraw_limits import get_max_withdraw_for_market_with_token_amount
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.facts import PoolUpdateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import User


@rule
def get_pool_token_amount(pool: PoolBalance, spot_market: SpotMarket) -> int:
    """Tokens of a pool (floor)."""
    return get_token_amount(pool.scaled_balance, spot_market, DEPOSIT)


@rule
def reset_revenue_withdraw_for_new_period(market: PerpMarket, spot_market: SpotMarket, now: int) -> None:
    """A revenue settlement since the market's last draw opens a new period; ``BlockchainClockInconsistency``.

    The period is reset lazily, not by elapsed time: deliberate, it is the program's.
    Source: pools-and-pnl.md §3 step C1; velocity/pools-and-fees.md §6 step 1.
    """
    claim = market.insurance_claim
    settled_ts = spot_market.insurance_fund.last_revenue_settle_ts
    if settled_ts > claim.last_revenue_withdraw_ts:
        if now < settled_ts or now < claim.last_revenue_withdraw_ts:
            raise SettlementError(ErrorCode.BlockchainClockInconsistency)
        claim.revenue_withdraw_since_last_settle = 0


@rule
def calculate_pnl_to_settle_with_user(
    market: PerpMarket, spot_market: SpotMarket, user_quote_token_amount: int, claim: int, facts: PoolUpdateFacts
) -> int:
    """What is settled of a claim (1e6, signed).

    A winner gets at most the P&L pool; a loser pays at most the own deposit plus the room to borrow.

    Source: pools-and-pnl.md §3 step D; velocity/pools-and-fees.md §8 step 1.
    """
    available = get_pool_token_amount(market.pnl_pool, spot_market)
    facts.pnl_pool_available = available
    if claim > 0:
        return min(claim, available)
    withdrawable = get_max_withdraw_for_market_with_token_amount(spot_market, user_quote_token_amount, False)
    facts.user_withdrawable = withdrawable
    return max(claim, -withdrawable)


# --- transfers -------------------------------------------------------------------------------------------------


@rule
def transfer_pool_to_revenue_pool(token_amount: int, spot_market: SpotMarket, pool: PoolBalance) -> None:
    """Move tokens of a pool into the market's revenue pool; ``UnequalMarketIndexForSpotTransfer``.

    Source: balances.md §3.1; ``controller/spot_balance.rs::transfer_spot_balance_to_revenue_pool``.
    """
    if pool.market_index != spot_market.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    withdraw_from_pool(token_amount, spot_market, pool)
    deposit_into_pool(token_amount, spot_market, spot_market.revenue_pool)


@rule
def transfer_revenue_pool_to_pool(token_amount: int, spot_market: SpotMarket, pool: PoolBalance) -> None:
    """Move tokens of the market's revenue pool into a pool; ``UnequalMarketIndexForSpotTransfer``.

    Source: balances.md §3.1; ``controller/spot_balance.rs::transfer_revenue_pool_to_spot_balance``.
    """
    if pool.market_index != spot_market.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    withdraw_from_pool(token_amount, spot_market, spot_market.revenue_pool)
    deposit_into_pool(token_amount, spot_market, pool)


@rule
def pay_user_from_pool(token_amount: int, spot_market: SpotMarket, pool: PoolBalance, user: User) -> None:
    """Move tokens of a pool into a user's balance; ``UnequalMarketIndexForSpotTransfer``, ``InvalidSpotMarketState``.

    ``cumulative_deposits`` is not touched. Source: balances.md §3.1; ``transfer_spot_balances``.
    """
    position = user.spot_positions[find_spot_position(user, spot_market.market_index)]
    if pool.market_index != position.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    check_pool_covers_market(spot_market, pool)
    withdraw_from_pool(token_amount, spot_market, pool)
    update_spot_position_balance(token_amount, DEPOSIT, spot_market, position, False)


@rule
def pay_pool_from_user(token_amount: int, spot_market: SpotMarket, pool: PoolBalance, user: User) -> None:
    """Move tokens of a user's balance, who may become a borrower, into a pool; errors as ``pay_user_from_pool``.

    The pool is checked though it receives: deliberate, to the program this is a negative transfer out of it.
    """
    position = user.spot_positions[find_spot_position(user, spot_market.market_index)]
    if pool.market_index != position.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    check_pool_covers_market(spot_market, pool)
    deposit_into_pool(token_amount, spot_market, pool)
    update_spot_position_balance(token_amount, BORROW, spot_market, position, False)


@rule
def update_pnl_pool_and_user_balance(
    market: PerpMarket, spot_market: SpotMarket, user: User, unrealized_pnl: int
) -> int:
    """Settle a claim (1e6, signed) with the P&L pool alone, in full; the amount settled.

    A loss may make the user a borrower. ``InsufficientPerpPnlPool`` where the pool cannot pay a gain in full,
    ``InvalidSpotMarketState``. Source: pools-and-pnl.md §3.2; ``controller/amm.rs::update_pnl_pool_and_user_balance``.
    """
    available = get_pool_token_amount(market.pnl_pool, spot_market)
    if unrealized_pnl > available:
        raise SettlementError(ErrorCode.InsufficientPerpPnlPool)
    if unrealized_pnl == 0:
        return 0
    if unrealized_pnl > 0:
        pay_user_from_pool(unrealized_pnl, spot_market, market.pnl_pool, user)
    else:
        pay_pool_from_user(-unrealized_pnl, spot_market, market.pnl_pool, user)
    return unrealized_pnl
