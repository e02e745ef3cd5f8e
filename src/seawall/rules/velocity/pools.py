"""A perp market's pools when P&L is settled: the user's turn first, then the sweep takes what is left over.

The fee pool is the AMM's own: it is never a buffer of settlements, and nothing moves between it and the P&L pool here.
Source: velocity/pools-and-fees.md §8; ``controller/perp_pools.rs``.
"""

from seawall.arithmetic import sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import check_pool_covers_market, deposit_into_pool, withdraw_from_pool
from seawall.rules.common.perp_positions import is_isolated
from seawall.rules.common.pools import (
    calculate_pnl_to_settle_with_user,
    get_pool_token_amount,
    reset_revenue_withdraw_for_new_period,
    transfer_revenue_pool_to_pool,
    update_pnl_pool_and_user_balance,
)
from seawall.rules.common.vaults import validate_spot_balances
from seawall.rules.velocity.isolated import get_isolated_token_amount, update_isolated_balance
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.facts import PoolUpdateFacts, SweepFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import PerpPosition, User


@rule
def update_pool_balances(
    market: PerpMarket,
    spot_market: SpotMarket,
    user_quote_token_amount: int,
    claimable_pnl: int,
    net_user_pnl: int,
    now: int,
    draw_for_pnl: bool,
    tokenize_surplus: bool,
    facts: PoolUpdateFacts,
    sweep: SweepFacts,
) -> int:
    """Settle a claim with the P&L pool, then sweep what it holds beyond all claims; what was settled (1e6, signed).

    ``user_quote_token_amount``: the user's signed quote tokens, or those of the isolated position. ``draw_for_pnl``:
    the venue lets a pool that is short draw on the revenue pool first. The user's own balance is the caller's.
    ``BlockchainClockInconsistency``, ``SpotMarketVaultInvariantViolated``, the errors of transfers.
    Source: ``controller/perp_pools.rs::update_pool_balances``.
    """
    facts.fee_pool_before = get_pool_token_amount(market.amm.fee_pool, spot_market)
    facts.pnl_pool_before = get_pool_token_amount(market.pnl_pool, spot_market)
    if draw_for_pnl:
        shortfall = sub_saturating(claimable_pnl, facts.pnl_pool_before)
        facts.pnl_pool_draw = draw_on_revenue_pool(market, spot_market, market.pnl_pool, shortfall, now)
    pnl = calculate_pnl_to_settle_with_user(market, spot_market, user_quote_token_amount, claimable_pnl, facts)
    if pnl > 0:
        withdraw_from_pool(pnl, spot_market, market.pnl_pool)
    else:
        deposit_into_pool(-pnl, spot_market, market.pnl_pool)
    # after the settlement, so that the sweep cannot starve it
    sweep_market_fees(market, spot_market, net_user_pnl - pnl, now, False, tokenize_surplus, sweep)
    validate_spot_balances(spot_market)
    return pnl


@rule
def draw_on_revenue_pool(
    market: PerpMarket, spot_market: SpotMarket, pool: PoolBalance, shortfall: int, now: int
) -> int:
    """Move up to ``shortfall`` (quote 1e6) from the revenue pool into a pool, within the period's cap; what was moved.

    Seawall's, where the venue has ``revenue_pool_draw_for_pnl`` or ``revenue_pool_draw_for_funding``; never in a
    bankruptcy. The period resets as in the sweep. ``BlockchainClockInconsistency``. Source: spec/README.md.
    """
    if shortfall <= 0:
        return 0
    reset_revenue_withdraw_for_new_period(market, spot_market, now)
    claim = market.insurance_claim
    room = sub_saturating(claim.max_revenue_withdraw_per_period, claim.revenue_withdraw_since_last_settle)
    draw = min(min(shortfall, room), get_pool_token_amount(spot_market.revenue_pool, spot_market))
    if draw == 0:
        return 0
    transfer_revenue_pool_to_pool(draw, spot_market, pool)
    claim.revenue_withdraw_since_last_settle += draw
    claim.last_revenue_withdraw_ts = now
    return draw


@rule
def update_pnl_pool_and_position_balance(
    market: PerpMarket, spot_market: SpotMarket, user: User, position: PerpPosition, unrealized_pnl: int
) -> int:
    """Settle a claim (1e6, signed) with the P&L pool alone, in full; the amount settled.

    A cross position settles against the user's quote balance, an isolated one against its own collateral, which must
    cover a loss: ``InsufficientCollateral``. ``InsufficientPerpPnlPool`` where the pool cannot pay a gain in full.
    Source: velocity/pools-and-fees.md §8; ``controller/perp_pools.rs::update_pnl_pool_and_user_balance``.
    """
    if not is_isolated(position):
        return update_pnl_pool_and_user_balance(market, spot_market, user, unrealized_pnl)
    if unrealized_pnl > get_pool_token_amount(market.pnl_pool, spot_market):
        raise SettlementError(ErrorCode.InsufficientPerpPnlPool)
    if unrealized_pnl == 0:
        return 0
    if unrealized_pnl < -get_isolated_token_amount(position, spot_market):
        raise SettlementError(ErrorCode.InsufficientCollateral)
    if market.pnl_pool.market_index != spot_market.market_index:
        raise SettlementError(ErrorCode.UnequalMarketIndexForSpotTransfer)
    check_pool_covers_market(spot_market, market.pnl_pool)
    if unrealized_pnl > 0:
        withdraw_from_pool(unrealized_pnl, spot_market, market.pnl_pool)
        update_isolated_balance(unrealized_pnl, DEPOSIT, spot_market, position, False)
    else:
        deposit_into_pool(-unrealized_pnl, spot_market, market.pnl_pool)
        update_isolated_balance(-unrealized_pnl, BORROW, spot_market, position, False)
    return unrealized_pnl
