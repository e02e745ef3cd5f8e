"""A spot order filled by a maker or at an external venue: both users' balances, the fees, the spot fee pool.

Base in the base market's tokens, quote in tokens of market 0 (1e6). Source: fees.md §6;
``controller/orders.rs::fulfill_spot_order_with_match``, ``::fulfill_spot_order_with_external_market``.
"""

from seawall.arithmetic import checked_i64, checked_u64, div_trunc, pow10, sub_checked, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool, get_token_amount, withdraw_from_pool
from seawall.rules.common.fees import update_filler_volume
from seawall.rules.common.perp_fills import does_price_cross
from seawall.rules.common.user_balances import update_spot_balances_and_cumulative_deposits
from seawall.rules.common.user_status import update_last_active_slot
from seawall.state.enums import BORROW, DEPOSIT, LONG
from seawall.state.orders import FillFacts
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User, UserStats


@rule
def validate_spot_fill_price(
    quote_asset_amount: int, base_asset_amount: int, base_decimals: int, direction: int, limit_price: int
) -> None:
    """``InvalidOrderFillPrice`` for a price worse than the limit (0: none); ``MathError`` for no base."""
    if limit_price == 0:
        return
    price = to_u64(div_trunc(quote_asset_amount * pow10(base_decimals), base_asset_amount))
    if not does_price_cross(price, direction, limit_price):
        raise SettlementError(ErrorCode.InvalidOrderFillPrice)


@rule
def book_spot_trade(
    base_market: SpotMarket,
    quote_market: SpotMarket,
    base_position: SpotPosition,
    quote_position: SpotPosition,
    direction: int,
    base_asset_amount: int,
    quote_asset_amount: int,
    cost: int,
    leaving: bool,
) -> None:
    """One user's two legs of a fill. ``cost`` is what the user pays beyond the quote: a fee, or minus a rebate.

    ``cumulative_deposits`` moves by the quote without the cost: deliberate. ``leaving``: the leg that is taken out
    leaves the vaults. ``SpotMarketInsufficientDeposits``, ``MathError``. Source: fees.md §6.
    """
    if direction == LONG:
        base_direction = DEPOSIT
        quote_direction = BORROW
        moved = checked_u64(quote_asset_amount + cost)
    else:
        base_direction = BORROW
        quote_direction = DEPOSIT
        moved = checked_u64(quote_asset_amount - cost)
    update_spot_balances_and_cumulative_deposits(
        base_asset_amount,
        base_direction,
        base_market,
        base_position,
        leaving and base_direction == BORROW,
        base_asset_amount,
    )
    update_spot_balances_and_cumulative_deposits(
        moved, quote_direction, quote_market, quote_position, leaving and quote_direction == BORROW, quote_asset_amount
    )


@rule
def book_spot_user_fees(user: User, stats: UserStats, fee: int, rebate: int) -> None:
    """Fee and rebate (quote 1e6) in an account's and an authority's lifetime figures."""
    user.cumulative_spot_fees = checked_i64(user.cumulative_spot_fees - fee + rebate)
    stats.fees.total_fee_paid = checked_u64(stats.fees.total_fee_paid + fee)
    stats.fees.total_fee_rebate = checked_u64(stats.fees.total_fee_rebate + rebate)


@rule
def pay_spot_filler(
    quote_market: SpotMarket, filler: User, filler_stats: UserStats, facts: FillFacts, now: int, slot: int
) -> None:
    """A filler's reward as a quote deposit; its volume and last active slot even without one. Source: fees.md §6."""
    reward = facts.filler_reward
    if reward > 0:
        update_spot_balances_and_cumulative_deposits(
            reward, DEPOSIT, quote_market, filler.spot_positions[0], False, reward
        )
        filler.cumulative_spot_fees = checked_i64(filler.cumulative_spot_fees + reward)
    update_filler_volume(filler_stats, facts.quote_asset_amount, now)
    update_last_active_slot(filler, slot)


@rule
def book_spot_market_fees(
    base_market: SpotMarket, quote_market: SpotMarket, fee_to_market: int, fee_pool_delta: int, facts: FillFacts
) -> None:
    """What the base market keeps of a fill: its lifetime fees and the change (signed) of its spot fee pool.

    The pool is a quote deposit; an external venue that pays its rebate later makes it shrink. Takes the next fill
    record id. ``CantUpdatePoolBalanceType`` where the pool cannot advance that much.
    """
    base_market.total_spot_fee = base_market.total_spot_fee + fee_to_market
    if fee_pool_delta >= 0:
        deposit_into_pool(fee_pool_delta, quote_market, base_market.spot_fee_pool)
    else:
        withdraw_from_pool(-fee_pool_delta, quote_market, base_market.spot_fee_pool)
    facts.fill_record_id = base_market.next_fill_record_id
    base_market.next_fill_record_id = base_market.next_fill_record_id + 1


@rule
def external_venue_flow(direction: int, quote_asset_amount: int, venue_fee: int, unsettled_referrer_rebate: int) -> int:
    """Quote tokens that a fill at an external venue moves: paid by a buyer's vault, received by a seller's.

    The venue takes its fee and, for now, the rebate that it owes. ``MathError`` where a sale brings less than that.
    """
    fees = venue_fee + unsettled_referrer_rebate
    if direction == LONG:
        return checked_u64(quote_asset_amount + fees)
    return sub_checked(quote_asset_amount, fees)


@rule
def spot_fee_pool_tokens(base_market: SpotMarket, quote_market: SpotMarket) -> int:
    """Quote tokens in a base market's spot fee pool."""
    return to_u64(get_token_amount(base_market.spot_fee_pool.scaled_balance, quote_market, DEPOSIT))
