"""What an instruction that settles an account's funding does, and asks of the account, in both rulebooks.

Source: instructions.md §2.2; ``instructions/keeper.rs``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.user_status import update_last_active_slot
from seawall.state.enums import USER_CLOSED
from seawall.state.facts import FundingPaymentFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import POSITIONS, User


@rule
def settle_funding_payments(user: User, perp_markets: list[PerpMarket], slot: int, facts: FundingPaymentFacts) -> int:
    """Settle the funding of every perp position in slot order, note the user's activity; the payments' sum (quote 1e6).

    ``facts`` tells of the last payment. ``PerpMarketNotFound``, and the errors of ``settle_funding_payment``.
    """
    total = 0
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if position.base_asset_amount == 0:
            continue
        if position.market_index >= len(perp_markets):
            raise SettlementError(ErrorCode.PerpMarketNotFound)
        facts.settled = False
        settle_funding_payment(user, position, perp_markets[position.market_index], facts)
        if facts.settled:
            total = total + facts.funding_payment
    update_last_active_slot(user, slot)
    return total


@rule
def validate_user_open(user: User) -> None:
    """``UserNotFound`` for an account that was deleted."""
    if user.status == USER_CLOSED:
        raise SettlementError(ErrorCode.UserNotFound)
