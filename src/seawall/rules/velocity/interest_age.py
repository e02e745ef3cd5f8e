"""How old the interest of a borrow may be where an account's margin lets tokens out.

An instruction accrues the market whose tokens it moves; the account's other borrows are valued at the stored index.
Source: velocity/balances.md §13 (withdraw); ``math/margin.rs``.
"""

from typing import Final

from seawall.arithmetic import ONE_HOUR, ONE_YEAR, pow10
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.user_balances import is_borrow
from seawall.rules.velocity.interest import calculate_accumulated_interest
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, SpotPosition, User

MOST_HIDDEN_INTEREST: Final = 100
"""Part of a borrow (1e6) that may be interest not charged yet: a basis point."""


@rule
def max_spot_interest_staleness_for_margin(spot_market: SpotMarket) -> int:
    """Seconds in which the market's highest rate charges a basis point, an hour at most.

    Source: ``math/margin.rs::max_spot_interest_staleness_for_margin``.
    """
    rate = max(spot_market.max_borrow_rate, spot_market.min_borrow_rate * 5_000)
    if rate == 0:
        return ONE_HOUR
    return min(MOST_HIDDEN_INTEREST * ONE_YEAR // rate, ONE_HOUR)


@rule
def unbooked_debt(position: SpotPosition, spot_market: SpotMarket, now: int) -> int:
    """Tokens (floor) that a borrow owes and the stored index does not tell; 0 while the index is young enough.

    Interest too small to be booked, which no accrual would charge, so never counts. ``MathError``.
    """
    if now - spot_market.last_interest_ts <= max_spot_interest_staleness_for_margin(spot_market):
        return 0
    borrow_interest, _ = calculate_accumulated_interest(spot_market, now)
    return position.scaled_balance * borrow_interest // pow10(19 - spot_market.decimals)


@rule
def validate_spot_borrow_interest_fresh_for_margin(user: User, spot_markets: list[SpotMarket], now: int) -> None:
    """``SpotMarketInterestStaleForMargin`` where old interest hides a token or more of any borrow of the account.

    Deposits are not asked: without their interest they only count for less. Source: velocity/balances.md §13;
    ``math/margin.rs::validate_spot_borrow_interest_fresh_for_margin``.
    """
    for i in range(POSITIONS):
        position = user.spot_positions[i]
        if is_borrow(position) and unbooked_debt(position, spot_markets[position.market_index], now) > 0:
            raise SettlementError(ErrorCode.SpotMarketInterestStaleForMargin)
