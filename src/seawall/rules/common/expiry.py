"""The end of a perp market: its last price, closing a position at it, and when its pools may be handed over.

A shortage is shared by all through the expiry price; insurance pays nothing here.
Source: pools-and-pnl.md §7; solvency.md §7; velocity/pools-and-fees.md §10; ``controller/repeg.rs``,
``controller/pnl.rs``, ``instructions/admin.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    TWENTY_FOUR_HOUR,
    checked_i64,
    div_trunc,
    pow10,
    saturate_i64,
    sub_saturating,
    to_i64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import apply_cost_to_market, calculate_fee_pool, calculate_reserved_fees
from seawall.rules.common.amm_k import (
    K_BPS_UPDATE_SCALE,
    adjust_k_cost_and_update,
    calculate_budgeted_k_scale,
    get_update_k_result,
)
from seawall.rules.common.balances import deposit_into_pool, withdraw_from_pool
from seawall.rules.common.perp_positions import (
    calculate_net_user_cost_basis,
    has_open_order,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
    update_settled_pnl,
)
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.vaults import validate_spot_balances
from seawall.state.enums import RULEBOOK_VELOCITY, STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import SettlePnlFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

QUOTE_DECIMALS: Final = 6
LAST_K_FACTOR: Final = 100
"""The last raise of k may multiply it by a hundred."""
MAX_SQRT_K_EXPONENT: Final = 21


# --- the expiry price --------------------------------------------------------------------------------------------


@rule
def settle_expired_market(market: PerpMarket, spot_market: SpotMarket, now: int) -> None:
    """Fix the price at which every position will be closed, and put the market in Settlement.

    The status is not looked at: a second call computes the price again; deliberate, it is the program's.
    ``MarketSettlementAttemptOnActiveMarket``, ``MarketSettlementAttemptTooEarly``, ``MathError``, ``InvalidUpdateK``,
    ``UnsupportedSpotMarket``, ``MarketSettlementTargetPriceInvalid``, ``CastingFailure``.
    Source: pools-and-pnl.md §7.1; velocity/pools-and-fees.md §10.
    """
    if market.expiry_ts == 0:
        raise SettlementError(ErrorCode.MarketSettlementAttemptOnActiveMarket)
    if market.expiry_ts > now:
        raise SettlementError(ErrorCode.MarketSettlementAttemptTooEarly)
    budget = calculate_fee_pool(market)
    release_fee_pool(market, spot_market, budget)
    if budget > 0:
        spend_last_k_budget(market, budget)
    if spot_market.decimals != QUOTE_DECIMALS:
        raise SettlementError(ErrorCode.UnsupportedSpotMarket)
    target = expiry_target_price(market)
    if target <= 0:
        raise SettlementError(ErrorCode.MarketSettlementTargetPriceInvalid)
    market.expiry_price = calculate_expiry_price(market, target, funds_for_expiry(market, spot_market))
    market.status = STATUS_SETTLEMENT


@rule
def release_fee_pool(market: PerpMarket, spot_market: SpotMarket, budget: int) -> None:
    """Move what the fee pool holds beyond the reserved fees, up to the budget, into the P&L pool.

    ``total_fee_minus_distributions`` is not changed by it: deliberate, it is the program's.
    """
    held = get_pool_token_amount(market.amm.fee_pool, spot_market)
    released = min(budget, sub_saturating(held, calculate_reserved_fees(market)))
    if released > 0:
        withdraw_from_pool(released, spot_market, market.amm.fee_pool)
        deposit_into_pool(released, spot_market, market.pnl_pool)


@rule
def spend_last_k_budget(market: PerpMarket, budget: int) -> None:
    """Raise k once with what the AMM has left, the cost booked; ``InvalidUpdateK`` where it cannot be paid."""
    amm = market.amm
    numerator, denominator = calculate_budgeted_k_scale(
        amm.base_asset_reserve,
        amm.quote_asset_reserve,
        budget,
        amm.peg_multiplier,
        amm.base_asset_amount_with_amm,
        LAST_K_FACTOR * K_BPS_UPDATE_SCALE,
        K_BPS_UPDATE_SCALE,
    )
    sqrt_k = min(amm.sqrt_k * numerator // denominator, pow10(MAX_SQRT_K_EXPONENT))
    base_asset_reserve, quote_asset_reserve = get_update_k_result(market, sqrt_k, True)
    cost = adjust_k_cost_and_update(market, base_asset_reserve, quote_asset_reserve, sqrt_k)
    if not apply_cost_to_market(market, cost, True):
        raise SettlementError(ErrorCode.InvalidUpdateK)


@rule
def expiry_target_price(market: PerpMarket) -> int:
    """The price (1e6) at which positions would be closed if the pools could pay everybody.

    Drift: the oracle's 1-hour TWAP.
    Velocity: its 5-minute TWAP.
    """
    if market.rulebook == RULEBOOK_VELOCITY:
        return market.amm.historical_oracle_data.last_oracle_price_twap_5min
    return market.amm.historical_oracle_data.last_oracle_price_twap


@rule
def funds_for_expiry(market: PerpMarket, spot_market: SpotMarket) -> int:
    """What there is to pay all users with (quote 1e6).

    Drift: the P&L pool.
    Velocity: both pools, less what builders and referrers are owed; pending protocol and insurance fees are not
    subtracted: deliberate, it is the program's.
    """
    available = get_pool_token_amount(market.pnl_pool, spot_market)
    if market.rulebook == RULEBOOK_VELOCITY:
        available = available + get_pool_token_amount(market.amm.fee_pool, spot_market)
        return sub_saturating(available, market.pending_revenue_share)
    return available


@rule
def calculate_expiry_price(market: PerpMarket, target_price: int, available: int) -> int:
    """The price (1e6) nearest the target at which ``available`` (1e6) can pay all users together.

    One unit worse than that for the users: deliberate, roundings must not empty the pool. ``CastingFailure``.
    Drift: the target where users are exactly flat; ``MathError`` at the edge of i64.
    Velocity: the target also where their net position is below one order step; saturating.
    Source: pools-and-pnl.md §7.1 step 6; velocity/pools-and-fees.md §10; ``math/amm.rs::calculate_expiry_price``.
    """
    amm = market.amm
    net_base = amm.base_asset_amount_with_amm
    velocity = market.rulebook == RULEBOOK_VELOCITY
    if net_base == 0 or (velocity and abs(net_base) < amm.order_step_size):
        return target_price
    best = to_i64(-div_trunc((amm.quote_asset_amount - available) * AMM_RESERVE_PRECISION, net_base))
    if net_base > 0:
        price = min(best, target_price) - 1
    else:
        price = max(best, target_price) + 1
    if velocity:
        return saturate_i64(price)
    return checked_i64(price)


# --- closing a position ------------------------------------------------------------------------------------------


@rule
def cancel_position_orders(position: PerpPosition) -> None:
    """Release everything that resting orders of a position reserve; the orders themselves are the venue's."""
    position.open_orders = 0
    position.open_bids = 0
    position.open_asks = 0


@rule
def note_expired_position(
    position: PerpPosition, market: PerpMarket, spot_market: SpotMarket, facts: SettlePnlFacts
) -> None:
    """What the event tells of a position that is about to be closed."""
    facts.market_index = market.market_index
    facts.settle_price = market.expiry_price
    facts.base_asset_amount = position.base_asset_amount
    facts.quote_entry_amount = position.quote_entry_amount
    facts.pools.pnl_pool_before = get_pool_token_amount(market.pnl_pool, spot_market)
    facts.pools.pnl_pool_available = facts.pools.pnl_pool_before


@rule
def close_position_at_expiry_price(
    position: PerpPosition, market: PerpMarket, state: State, facts: SettlePnlFacts
) -> int:
    """Sell the base at the expiry price and charge the taker fee of the first tier; the fee (quote 1e6).

    ``MathError`` beyond i64. What is left of the position is its quote, the claim.
    Source: pools-and-pnl.md §7.2; velocity/pools-and-fees.md §10.
    """
    base = position.base_asset_amount
    value = to_i64(div_trunc(base * market.expiry_price, AMM_RESERVE_PRECISION))
    update_position_and_market(position, market, -base, value)
    tier = state.perp_fee_structure.fee_tiers[0]
    fee = abs(div_trunc(checked_i64(value * tier.fee_numerator), tier.fee_denominator))
    update_quote_asset_and_break_even_amount(position, market, -fee)
    facts.unrealized_pnl = position.quote_asset_amount
    facts.claimable_pnl = position.quote_asset_amount
    return fee


@rule
def book_expired_pnl(user: User, position: PerpPosition, market: PerpMarket, pnl: int, facts: SettlePnlFacts) -> None:
    """What was settled leaves the position, the AMM is no longer its counterparty, and nothing may be left of it.

    ``UnableToSettleExpiredUserPosition``. An isolated position's collateral is no part of that.
    """
    update_quote_asset_amount(position, market, -pnl)
    update_settled_pnl(user, position, pnl)
    market.amm.base_asset_amount_with_amm -= facts.base_asset_amount
    facts.settled = True
    facts.pnl = pnl
    facts.quote_asset_amount_after = position.quote_asset_amount
    if position.base_asset_amount != 0 or position.quote_asset_amount != 0 or has_open_order(position):
        raise SettlementError(ErrorCode.UnableToSettleExpiredUserPosition)


# --- what the pools still hold -----------------------------------------------------------------------------------


@rule
def check_pools_release(market: PerpMarket, settlement_duration: int, now: int) -> None:
    """``DefaultError`` unless the market is in Settlement, empty of positions and claims, and its waiting time is over.

    Source: instructions.md §2.8; velocity/pools-and-fees.md §10.
    """
    amm = market.amm
    if market.status != STATUS_SETTLEMENT:
        raise SettlementError(ErrorCode.DefaultError)
    if amm.base_asset_amount_long != 0 or amm.base_asset_amount_short != 0 or market.number_of_users_with_base != 0:
        raise SettlementError(ErrorCode.DefaultError)
    if calculate_net_user_cost_basis(amm) != 0:
        raise SettlementError(ErrorCode.DefaultError)
    if settlement_duration == 0:
        raise SettlementError(ErrorCode.DefaultError)
    if now <= pools_release_ts(market.expiry_ts, settlement_duration):
        raise SettlementError(ErrorCode.DefaultError)


@rule
def release_pools(market: PerpMarket, spot_market: SpotMarket) -> int:
    """Hand fee pool and P&L pool of a market to the revenue pool and delist it; the tokens moved.

    ``SpotMarketVaultInvariantViolated``.
    """
    fee_pool = get_pool_token_amount(market.amm.fee_pool, spot_market)
    pnl_pool = get_pool_token_amount(market.pnl_pool, spot_market)
    # scaled dust that is worth no token stays in its pool
    withdraw_from_pool(fee_pool, spot_market, market.amm.fee_pool)
    withdraw_from_pool(pnl_pool, spot_market, market.pnl_pool)
    deposit_into_pool(fee_pool + pnl_pool, spot_market, spot_market.revenue_pool)
    validate_spot_balances(spot_market)
    market.status = STATUS_DELISTED
    return fee_pool + pnl_pool


@rule
def pools_release_ts(expiry_ts: int, settlement_duration: int) -> int:
    """The last second (unix) in which the pools of an expired market must stay; ``MathError`` beyond i64.

    A duration of one second waits for no day: deliberate, it is the program's.
    """
    wait = settlement_duration
    if settlement_duration > 1:
        wait = TWENTY_FOUR_HOUR + settlement_duration - 1
    return checked_i64(expiry_ts + wait)
