"""The end of a perp market under Drift: closing every position at the last price, handing over the pools.

Source: pools-and-pnl.md §7; solvency.md §7; ``controller/pnl.rs``, ``instructions/admin.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, checked_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.expiry import (
    book_expired_pnl,
    cancel_position_orders,
    check_pools_release,
    close_position_at_expiry_price,
    note_expired_position,
    release_pools,
)
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_maintenance_margin_requirement
from seawall.rules.common.perp_positions import find_perp_position
from seawall.rules.common.pools import update_pnl_pool_and_user_balance
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.drift.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.state.enums import STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


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

    note_expired_position(position, market, spot_market, facts)
    # the fee enters no counter: it stays in the pool as a smaller claim; deliberate, it is the program's
    close_position_at_expiry_price(position, market, state, facts)
    pnl = update_pnl_pool_and_user_balance(market, spot_market, user, position.quote_asset_amount)
    book_expired_pnl(user, position, market, pnl, facts)
    return pnl


@rule
def settle_expired_market_pools_to_revenue_pool(
    market: PerpMarket, spot_market: SpotMarket, settlement_duration: int, now: int
) -> int:
    """Hand fee pool and P&L pool of a market without users to the revenue pool and delist it; the tokens moved.

    ``DefaultError`` unless the market is in Settlement, all positions are closed, nobody is owed anything, a
    settlement duration is set and over; ``SpotMarketVaultInvariantViolated``. Source: instructions.md §2.8.
    """
    check_pools_release(market, settlement_duration, now)
    return release_pools(market, spot_market)
