"""Why an order or a fill was refused, in numbers. Asked where the rule failed: the numbers are those it saw."""

from collections.abc import Iterator
from contextlib import contextmanager

from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.margin import calculate_margin
from seawall.rules.common.open_orders import signed_base
from seawall.rules.common.perp_orders import open_interest
from seawall.state.enums import MARGIN_INITIAL, MARGIN_MAINTENANCE, MarginRequirementType, MarketStatus
from seawall.state.facts import MarginCalculation
from seawall.state.orders import PerpOrder
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition, User


def short_of_margin(
    tx: Transaction, user: User, name: str, requirement_type: int, *, strict: bool = False
) -> SettlementError:
    """``InsufficientCollateral`` with what ``name`` has and needs; the shortage goes to the receipt."""
    calculation = MarginCalculation()
    calculate_margin(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, requirement_type, strict, 0, calculation
    )
    required, collateral = calculation.margin_requirement, calculation.total_collateral
    kind = MarginRequirementType(requirement_type).name
    note = f"{'strict ' if strict else ''}{kind} margin of {name} would ask for {required} (quote 1e6)"
    tx.limit("margin_requirement", collateral, required, note)
    return SettlementError(
        ErrorCode.InsufficientCollateral,
        f"{note}, the collateral would be {collateral}: {required - collateral} short",
        "a smaller size, or more collateral first",
    )


@contextmanager
def placing(tx: Transaction, user: User, risk_increasing: bool) -> Iterator[None]:
    """A placement that fails for margin says how much is missing."""
    try:
        yield
    except SettlementError as error:
        if error.code != ErrorCode.InsufficientCollateral or error.detail:
            raise
        kind = MARGIN_INITIAL if risk_increasing else MARGIN_MAINTENANCE
        raise short_of_margin(tx, user, "the account", kind, strict=True) from None


@contextmanager
def entering_market(tx: Transaction, market: PerpMarket, position: PerpPosition, order: PerpOrder) -> Iterator[None]:
    """A market that does not admit the order says what it would."""
    try:
        yield
    except SettlementError as error:
        if error.code == ErrorCode.MaxOpenInterest:
            raise too_much_open_interest(tx, market, order.base_asset_amount) from None
        status = MarketStatus(market.status).name
        after = position.base_asset_amount + signed_base(order.direction, order.base_asset_amount)
        raise SettlementError(
            error.code,
            f"the market is {status}: this order may not turn a position of {position.base_asset_amount} into {after}",
            "a reduce-only order against the position",
        ) from None


def too_much_open_interest(tx: Transaction, market: PerpMarket, asked: int) -> SettlementError:
    """``MaxOpenInterest`` with the cap and what is open."""
    cap = market.amm.max_open_interest
    held = open_interest(market.amm)
    tx.limit("max_open_interest", cap, held + asked, "cap on the open interest of the perp market (base 1e9)")
    return SettlementError(
        ErrorCode.MaxOpenInterest,
        f"the open interest is {held}, the cap {cap}, asked for {asked} more (base 1e9)",
        "orders that reduce a position",
    )
