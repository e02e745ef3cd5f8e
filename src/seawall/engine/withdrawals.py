"""What taking tokens out of an account asks of it, under the rulebook of the venue."""

from seawall.engine.transaction import Transaction
from seawall.rules.common.margin import calculate_margin as calculate_margin_of_drift
from seawall.rules.common.margin import calculate_max_withdrawable_amount as max_withdrawable_of_drift
from seawall.rules.common.margin import check_withdraw_margin_requirement as check_margin_of_drift
from seawall.rules.common.margin import validate_user_not_being_liquidated as refuse_liquidation_of_drift
from seawall.rules.drift.user_balances import withdraw_from_user as withdraw_of_drift
from seawall.rules.velocity.interest_age import validate_spot_borrow_interest_fresh_for_margin
from seawall.rules.velocity.margin import calculate_margin as calculate_margin_of_velocity
from seawall.rules.velocity.margin import calculate_max_withdrawable_amount as max_withdrawable_of_velocity
from seawall.rules.velocity.margin import check_withdraw_margin_requirement as check_margin_of_velocity
from seawall.rules.velocity.margin import validate_user_not_being_liquidated as refuse_liquidation_of_velocity
from seawall.rules.velocity.user_balances import withdraw_from_user as withdraw_of_velocity
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

Markets = tuple[list[SpotMarket], list[PerpMarket], list[OraclePriceData], State]
"""What a margin calculation looks at besides the account."""


def markets_of(tx: Transaction) -> Markets:
    """The markets, prices and state as a transaction sees them; check out for writing before."""
    return tx.spot_markets, tx.perp_markets, tx.oracles, tx.state


def withdraw_from_user(amount: int, market_index: int, user: User, markets: Markets, now: int, slot: int) -> None:
    """Take tokens out of an account; the errors of the rule ``withdraw_from_user``."""
    if markets[3].rulebook == RULEBOOK_VELOCITY:
        withdraw_of_velocity(amount, market_index, user, *markets, now, slot)
    else:
        withdraw_of_drift(amount, market_index, user, *markets, slot)


def calculate_max_withdrawable_amount(user: User, market_index: int, markets: Markets) -> int:
    """Tokens of a market that Initial margin lets the account take out."""
    if markets[3].rulebook == RULEBOOK_VELOCITY:
        return max_withdrawable_of_velocity(user, market_index, *markets)
    return max_withdrawable_of_drift(user, market_index, *markets)


def check_withdraw_margin_requirement(user: User, markets: Markets, now: int) -> None:
    """Strict Initial after money left; under Velocity in every scope, of borrows whose interest is not old."""
    if markets[3].rulebook == RULEBOOK_VELOCITY:
        validate_spot_borrow_interest_fresh_for_margin(user, markets[0], now)
        check_margin_of_velocity(user, *markets)
    else:
        check_margin_of_drift(user, *markets)


def validate_user_not_being_liquidated(user: User, markets: Markets) -> None:
    """``UserIsBeingLiquidated`` unless nothing of the account is, or all that is can leave liquidation now."""
    if markets[3].rulebook == RULEBOOK_VELOCITY:
        refuse_liquidation_of_velocity(user, *markets)
    else:
        refuse_liquidation_of_drift(user, *markets)


def calculate_margin(
    user: User, markets: Markets, requirement_type: int, strict: bool, calculation: MarginCalculation
) -> None:
    """Fill ``calculation`` without a buffer; under Velocity its own figures are those of cross margin."""
    if markets[3].rulebook == RULEBOOK_VELOCITY:
        kind = requirement_type
        calculate_margin_of_velocity(user, *markets, kind, kind, -1, kind, strict, 0, calculation)
    else:
        calculate_margin_of_drift(user, *markets, requirement_type, strict, 0, calculation)
