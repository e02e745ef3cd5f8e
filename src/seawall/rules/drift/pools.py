"""A perp market's two pools and the revenue pool: who is served before a winner is paid.

A perp market holds two deposits of the quote token: the fee pool (the AMM's tokens) and the P&L pool (what losers paid
in). ``update_pool_balances`` is the waterfall of a settlement, step by step; the counter-entry on the user's balance
is the caller's. Source: pools-and-pnl.md §3; ``controller/amm.rs``, ``math/amm.rs``.
"""

from typing import Final

from seawall.arithmetic import div_trunc, saturate_i64, sub_saturating, to_u64
from seawall.lanes import rule
from seawall.rules.common.amm_budget import calculate_reserved_fees, get_total_fee_lower_bound
from seawall.rules.common.balances import deposit_into_pool, transfer_between_pools, withdraw_from_pool
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.pools import (
    calculate_pnl_to_settle_with_user,
    get_pool_token_amount,
    reset_revenue_withdraw_for_new_period,
    transfer_pool_to_revenue_pool,
    transfer_revenue_pool_to_pool,
)
from seawall.rules.common.vaults import validate_spot_balances
from seawall.state.facts import PoolUpdateFacts
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket

FEE_POOL_TO_REVENUE_POOL_THRESHOLD: Final = 250_000_000
"""Quote (1e6) that the AMM keeps before anything goes to the revenue pool; below it the AMM draws on that pool."""

LOSS_SHARE_DENOMINATOR: Final = 100
"""A hundredth of a loss goes to the fee pool while that is below its target."""


@rule
def get_fee_pool_target(amm: AMM) -> int:
    """Tokens that the fee pool should hold, signed: earned, plus liquidation fees, less withdrawn."""
    return amm.total_fee_minus_distributions + amm.total_liquidation_fee - amm.total_fee_withdrawn


# --- the waterfall ---------------------------------------------------------------------------------------------


@rule
def update_pool_balances(
    market: PerpMarket,
    spot_market: SpotMarket,
    user_quote_token_amount: int,
    user_unsettled_pnl: int,
    now: int,
    facts: PoolUpdateFacts,
) -> int:
    """Serve the pools in order and book the settlement of a claim; the P&L settled with the user (1e6, signed).

    ``user_quote_token_amount`` is the user's signed quote balance in tokens, ``user_unsettled_pnl`` the claim.
    ``MathError``, ``BlockchainClockInconsistency``, ``CastingFailure``, ``SpotMarketVaultInvariantViolated``.
    Source: pools-and-pnl.md §3; ``controller/amm.rs::update_pool_balances``.
    """
    facts.fee_pool_before = get_pool_token_amount(market.amm.fee_pool, spot_market)
    facts.pnl_pool_before = get_pool_token_amount(market.pnl_pool, spot_market)
    at_target = spill_fee_pool_surplus(market, spot_market, facts)
    refill_fee_pool(market, spot_market, facts)
    reset_revenue_withdraw_for_new_period(market, spot_market, now)
    exchange_with_revenue_pool(market, spot_market, now, facts)
    pnl = calculate_pnl_to_settle_with_user(market, spot_market, user_quote_token_amount, user_unsettled_pnl, facts)
    book_settled_pnl(market, spot_market, pnl, at_target, facts)
    validate_spot_balances(spot_market)
    return pnl


@rule
def spill_fee_pool_surplus(market: PerpMarket, spot_market: SpotMarket, facts: PoolUpdateFacts) -> bool:
    """Step A: what the fee pool (``fee_pool_before``) holds beyond its target goes to the P&L pool; whether it did."""
    target = get_fee_pool_target(market.amm)
    held = facts.fee_pool_before
    if target > held:
        return False
    surplus = held
    if target > 0:
        surplus = held - target
    if surplus > 0:
        transfer_between_pools(surplus, spot_market, market.amm.fee_pool, market.pnl_pool)
        facts.fee_pool_surplus = surplus
    return True


@rule
def refill_fee_pool(market: PerpMarket, spot_market: SpotMarket, facts: PoolUpdateFacts) -> None:
    """Step B: a fee pool below the reserved fees is refilled from the P&L pool, as far as that reaches.

    It can follow step A in the same call. ``MathError`` where more was withdrawn than reserved.
    """
    floor = calculate_reserved_fees(market)
    held = get_pool_token_amount(market.amm.fee_pool, spot_market)
    if held >= floor:
        return
    refill = floor - held
    available = get_pool_token_amount(market.pnl_pool, spot_market)
    if available < refill:
        refill = available
    if refill > 0:
        transfer_between_pools(refill, spot_market, market.pnl_pool, market.amm.fee_pool)
        facts.fee_pool_refill = refill


@rule
def calculate_revenue_pool_transfer(market: PerpMarket, fee_pool_tokens: int, revenue_pool_tokens: int) -> int:
    """Step C2: tokens to move from the fee pool to the revenue pool (positive) or back (negative).

    Sent: at most what the fee pool holds above its threshold and the market's social losses, what exchange and
    liquidation fees allow, and the period's cap. Drawn: at most the period's cap, while less than the threshold is
    left. ``CastingFailure`` when more was drawn than the cap. Source: ``math/amm.rs::calculate_revenue_pool_transfer``.
    """
    amm = market.amm
    claim = market.insurance_claim
    above = amm.total_fee_minus_distributions - amm.total_fee_withdrawn - FEE_POOL_TO_REVENUE_POOL_THRESHOLD
    since_last = claim.revenue_withdraw_since_last_settle
    per_period = claim.max_revenue_withdraw_per_period
    if above > 0:
        available = sub_saturating(fee_pool_tokens, FEE_POOL_TO_REVENUE_POOL_THRESHOLD + amm.total_social_loss)
        liquidation_fees = min(amm.total_liquidation_fee, claim.quote_settled_insurance + claim.quote_max_insurance)
        earned = sub_saturating(get_total_fee_lower_bound(amm) + liquidation_fees, amm.total_fee_withdrawn)
        # money sent counts negative, so the room of the period is the sum, not the difference: deliberate
        room = min(since_last + per_period, amm.net_revenue_since_last_funding)
        if room < 0:
            room = 0
        return min(min(earned, available), room)
    if above < 0:
        room = to_u64(saturate_i64(per_period - since_last))
        room = min(min(room, revenue_pool_tokens), per_period)
        return -min(-above, room)
    return 0


@rule
def exchange_with_revenue_pool(market: PerpMarket, spot_market: SpotMarket, now: int, facts: PoolUpdateFacts) -> None:
    """Steps C2 to C4: send to the revenue pool, or draw on it, and count the movement.

    Sending lowers the market's surplus twice (less earned, more withdrawn): deliberate, it is the program's.
    """
    amm = market.amm
    fee_pool_tokens = get_pool_token_amount(amm.fee_pool, spot_market)
    revenue_pool_tokens = get_pool_token_amount(spot_market.revenue_pool, spot_market)
    transfer = calculate_revenue_pool_transfer(market, fee_pool_tokens, revenue_pool_tokens)
    if transfer == 0:
        return
    if transfer > 0:
        transfer_pool_to_revenue_pool(transfer, spot_market, amm.fee_pool)
        amm.total_fee_withdrawn += transfer
    else:
        transfer_revenue_pool_to_pool(-transfer, spot_market, amm.fee_pool)
    amm.total_fee_minus_distributions -= transfer
    claim = market.insurance_claim
    claim.revenue_withdraw_since_last_settle -= transfer
    claim.last_revenue_withdraw_ts = now
    facts.revenue_pool_transfer = transfer


@rule
def book_settled_pnl(
    market: PerpMarket, spot_market: SpotMarket, pnl: int, fee_pool_at_target: bool, facts: PoolUpdateFacts
) -> None:
    """Step E: a gain leaves the P&L pool; a loss enters it, less a hundredth for a fee pool below its target."""
    to_fee_pool = 0
    if pnl < 0 and not fee_pool_at_target:
        # toward zero: losses below 100 units leave the fee pool nothing
        to_fee_pool = -div_trunc(pnl, LOSS_SHARE_DENOMINATOR)
        deposit_into_pool(to_fee_pool, spot_market, market.amm.fee_pool)
    to_pnl_pool = -pnl - to_fee_pool
    if to_pnl_pool >= 0:
        deposit_into_pool(to_pnl_pool, spot_market, market.pnl_pool)
    else:
        withdraw_from_pool(-to_pnl_pool, spot_market, market.pnl_pool)
    facts.pnl_to_fee_pool = to_fee_pool


# --- the AMM's own account -------------------------------------------------------------------------------------


@rule
def recalculate_amm_summary_stats(market: PerpMarket, spot_market: SpotMarket, price: int) -> int:
    """Set what the AMM has earned to what both pools hold beyond the users' net P&L; the change (1e6, signed).

    ``InvalidOracle`` unless the price (1e6) is positive. Source: pools-and-pnl.md §3.1;
    ``admin.rs::handle_update_perp_market_amm_summary_stats``.
    """
    amm = market.amm
    held = get_pool_token_amount(market.pnl_pool, spot_market) + get_pool_token_amount(amm.fee_pool, spot_market)
    earned = held - calculate_net_user_pnl(amm, price)
    change = earned - amm.total_fee_minus_distributions
    amm.total_fee += change
    amm.total_mm_fee += change
    amm.total_fee_minus_distributions = earned
    return change
