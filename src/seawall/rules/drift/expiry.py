"""The end of a perp market: its last price, closing every position at it, and what the pools still hold.

A shortage is shared by all through the expiry price; insurance pays nothing here.
Source: pools-and-pnl.md §7; solvency.md §7; ``controller/repeg.rs``, ``controller/pnl.rs``, ``instructions/admin.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    QUOTE_SPOT_MARKET_INDEX,
    TWENTY_FOUR_HOUR,
    checked_i64,
    div_trunc,
    pow10,
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
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_maintenance_margin_requirement
from seawall.rules.common.perp_positions import (
    calculate_net_user_cost_basis,
    find_perp_position,
    is_perp_position_available,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
    update_settled_pnl,
)
from seawall.rules.common.pools import get_pool_token_amount, update_pnl_pool_and_user_balance
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.common.vaults import validate_spot_balances
from seawall.rules.drift.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.state.enums import STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
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
    Source: pools-and-pnl.md §7.1.
    """
    if market.expiry_ts == 0:
        raise SettlementError(ErrorCode.MarketSettlementAttemptOnActiveMarket)
    if market.expiry_ts > now:
        raise SettlementError(ErrorCode.MarketSettlementAttemptTooEarly)
    budget = calculate_fee_pool(market.amm)
    release_fee_pool(market, spot_market, budget)
    if budget > 0:
        spend_last_k_budget(market, budget)
    if spot_market.decimals != QUOTE_DECIMALS:
        raise SettlementError(ErrorCode.UnsupportedSpotMarket)
    target = market.amm.historical_oracle_data.last_oracle_price_twap
    if target <= 0:
        raise SettlementError(ErrorCode.MarketSettlementTargetPriceInvalid)
    available = get_pool_token_amount(market.pnl_pool, spot_market)
    market.expiry_price = calculate_expiry_price(market.amm, target, available)
    market.status = STATUS_SETTLEMENT


@rule
def release_fee_pool(market: PerpMarket, spot_market: SpotMarket, budget: int) -> None:
    """Move what the fee pool holds beyond the reserved fees, up to the budget, into the P&L pool.

    ``total_fee_minus_distributions`` is not changed by it: deliberate, it is the program's.
    """
    held = get_pool_token_amount(market.amm.fee_pool, spot_market)
    released = min(budget, sub_saturating(held, calculate_reserved_fees(market.amm)))
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
    cost = adjust_k_cost_and_update(amm, base_asset_reserve, quote_asset_reserve, sqrt_k)
    if not apply_cost_to_market(amm, cost, True):
        raise SettlementError(ErrorCode.InvalidUpdateK)


@rule
def calculate_expiry_price(amm: AMM, target_price: int, pnl_pool_amount: int) -> int:
    """The price (1e6) nearest the target at which the pool (1e6) can pay all users together.

    One unit worse than that for the users: deliberate, roundings must not empty the pool. ``CastingFailure``.
    Source: pools-and-pnl.md §7.1 step 6; ``math/amm.rs::calculate_expiry_price``.
    """
    net_base = amm.base_asset_amount_with_amm
    if net_base == 0:
        return target_price
    best = to_i64(-div_trunc((amm.quote_asset_amount - pnl_pool_amount) * AMM_RESERVE_PRECISION, net_base))
    if net_base > 0:
        return checked_i64(min(best, target_price) - 1)
    return checked_i64(max(best, target_price) + 1)


# --- closing a position ------------------------------------------------------------------------------------------


@rule
def settle_expired_position(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> int:
    """Close the user's position at the expiry price and settle all of it; the amount (quote 1e6, signed).

    No position is a success. ``UserBankrupt``, ``InsufficientCollateralForSettlingPNL``,
    ``PerpMarketNotInSettlement``, ``PerpMarketSettlementBufferNotReached``, ``InsufficientPerpPnlPool`` (a winner is
    paid in full or not at all), ``UnableToSettleExpiredUserPosition``. Source: pools-and-pnl.md §7.2.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    if not meets_maintenance_margin_requirement(user, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.InsufficientCollateralForSettlingPNL)
    spot_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, interest)
    index = find_perp_position(user, market_index)
    if index >= 0:
        settle_funding_payment(user, user.perp_positions[index], market, funding)
        cancel_position_orders(user.perp_positions[index])
        index = find_perp_position(user, market_index)
    if index < 0:
        return 0
    position = user.perp_positions[index]
    if market.status != STATUS_SETTLEMENT:
        raise SettlementError(ErrorCode.PerpMarketNotInSettlement)
    if now <= checked_i64(market.expiry_ts + state.settlement_duration):
        raise SettlementError(ErrorCode.PerpMarketSettlementBufferNotReached)

    facts.market_index = market_index
    facts.settle_price = market.expiry_price
    facts.base_asset_amount = position.base_asset_amount
    facts.quote_entry_amount = position.quote_entry_amount
    facts.pools.pnl_pool_before = get_pool_token_amount(market.pnl_pool, spot_market)
    close_position_at_expiry_price(position, market, state)
    facts.unrealized_pnl = position.quote_asset_amount
    facts.claimable_pnl = position.quote_asset_amount
    facts.pools.pnl_pool_available = facts.pools.pnl_pool_before
    pnl = update_pnl_pool_and_user_balance(market, spot_market, user, position.quote_asset_amount)
    update_quote_asset_amount(position, market, -pnl)
    update_settled_pnl(user, position, pnl)
    market.amm.base_asset_amount_with_amm -= facts.base_asset_amount
    facts.settled = True
    facts.pnl = pnl
    facts.quote_asset_amount_after = position.quote_asset_amount
    if not is_perp_position_available(position):
        raise SettlementError(ErrorCode.UnableToSettleExpiredUserPosition)
    return pnl


@rule
def cancel_position_orders(position: PerpPosition) -> None:
    """Release everything that resting orders of a position reserve; the orders themselves are the venue's."""
    position.open_orders = 0
    position.open_bids = 0
    position.open_asks = 0


@rule
def close_position_at_expiry_price(position: PerpPosition, market: PerpMarket, state: State) -> None:
    """Sell the base at the expiry price and charge the taker fee of the first tier; ``MathError`` beyond i64.

    The fee enters no counter: it stays in the pool as a smaller claim; deliberate, it is the program's.
    """
    base = position.base_asset_amount
    value = to_i64(div_trunc(base * market.expiry_price, AMM_RESERVE_PRECISION))
    update_position_and_market(position, market, -base, value)
    tier = state.perp_fee_structure.fee_tiers[0]
    fee = abs(div_trunc(checked_i64(value * tier.fee_numerator), tier.fee_denominator))
    update_quote_asset_and_break_even_amount(position, market, -fee)


# --- what the pools still hold -----------------------------------------------------------------------------------


@rule
def settle_expired_market_pools_to_revenue_pool(
    market: PerpMarket, spot_market: SpotMarket, settlement_duration: int, now: int
) -> int:
    """Hand fee pool and P&L pool of a market without users to the revenue pool and delist it; the tokens moved.

    ``DefaultError`` unless the market is in Settlement, all positions are closed, nobody is owed anything, a
    settlement duration is set and over; ``SpotMarketVaultInvariantViolated``. Source: instructions.md §2.8.
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
    fee_pool = get_pool_token_amount(amm.fee_pool, spot_market)
    pnl_pool = get_pool_token_amount(market.pnl_pool, spot_market)
    # scaled dust that is worth no token stays in its pool
    withdraw_from_pool(fee_pool, spot_market, amm.fee_pool)
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
