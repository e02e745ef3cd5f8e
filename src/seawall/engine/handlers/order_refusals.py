"""Why an order or a fill was refused, in numbers. Asked where the rule failed: the numbers are those it saw."""

from collections.abc import Iterator
from contextlib import contextmanager

from seawall.engine.explain import Explanation
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.perp_fills import FillPerpOrder, PlaceAndTakePerpOrder
from seawall.instructions.revenue_share import SettleRevenueShare
from seawall.rules.common.margin import calculate_margin
from seawall.rules.common.open_orders import signed_base
from seawall.rules.common.perp_orders import open_interest, twap_band_limit
from seawall.rules.common.price_bands import price_band_limit, price_band_spread
from seawall.rules.velocity.isolated import CROSS, scope_of
from seawall.rules.velocity.margin import calculate_margin as calculate_margin_by_scope
from seawall.rules.velocity.margin import meets_margin_requirement as scope_meets_margin_requirement
from seawall.rules.velocity.margin import scope_figures
from seawall.state.enums import (
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    RULEBOOK_VELOCITY,
    MarginRequirementType,
    MarketStatus,
)
from seawall.state.facts import MarginCalculation
from seawall.state.orders import PerpOrder
from seawall.state.perp_market import PerpMarket
from seawall.state.user import POSITIONS, PerpPosition, User


def short_of_margin(
    tx: Transaction,
    user: User,
    name: str,
    requirement_type: int,
    *,
    strict: bool = False,
    market_index: int | None = None,
) -> SettlementError:
    """``InsufficientCollateral`` with what ``name`` has and needs; the shortage goes to the receipt.

    ``market_index`` is where it trades, if it does: Velocity then holds other scopes to Maintenance.
    """
    if tx.state.rulebook == RULEBOOK_VELOCITY:
        requirement_type, scope, collateral, required = _scope_that_is_short(
            tx, user, market_index, requirement_type, strict
        )
        name = f"{name}{scope}"
    else:
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


def _scope_that_is_short(
    tx: Transaction, user: User, market_index: int | None, requirement_type: int, strict: bool
) -> tuple[int, str, int, int]:
    """The first scope that fails its requirement: the type it is held to, its name, collateral and requirement."""
    types = [requirement_type] * (POSITIONS + 1)
    if market_index is not None:
        types = [MARGIN_MAINTENANCE] * (POSITIONS + 1)
        types[scope_of(user, market_index)] = requirement_type
    isolated_type = MARGIN_MAINTENANCE if market_index is not None else requirement_type
    calculation = MarginCalculation()
    calculate_margin_by_scope(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, types[CROSS], isolated_type,
        -1 if market_index is None else market_index, requirement_type, strict, 0, calculation,
    )  # fmt: skip
    short = CROSS
    for row in range(CROSS, POSITIONS):
        if not scope_meets_margin_requirement(calculation, row):
            short = row
            break
    collateral, _, required, _ = scope_figures(calculation, short)
    if short == CROSS:
        return types[short], " (cross margin)", collateral, required
    index = user.perp_positions[short].market_index
    return types[short], f" (isolated position in perp market {index})", collateral, required


@contextmanager
def placing(tx: Transaction, user: User, market_index: int, risk_increasing: bool) -> Iterator[None]:
    """A placement that fails for margin says how much is missing."""
    try:
        yield
    except SettlementError as error:
        if error.code != ErrorCode.InsufficientCollateral or error.detail:
            raise
        kind = MARGIN_INITIAL if risk_increasing else MARGIN_MAINTENANCE
        raise short_of_margin(tx, user, "the account", kind, strict=True, market_index=market_index) from None


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


def explain_price_bands(tx: Transaction, ix: FillPerpOrder | PlaceAndTakePerpOrder | SettleRevenueShare) -> Explanation:
    """What a fill's price, or the price at which a market's money is handed out, may be at most away from."""
    market, rails = tx.perp_market(ix.market_index), tx.state.oracle_guard_rails
    price, twap = tx.perp_oracle(ix.market_index).price, market.amm.historical_oracle_data.last_oracle_price_twap_5min
    where = f"perp market {ix.market_index} has an oracle price of {price} and a 5-minute TWAP of {twap} (1e6)"
    if isinstance(ix, SettleRevenueShare):
        spread, band = price_band_spread(market, price), price_band_limit(rails)
        limit = Limit("mark_oracle_percent_divergence", band, abs(spread), "of the price tested, 1e6")
        message = f"{where}: the oracle or the AMM is {abs(spread)} millionths from the TWAP, more than {band}"
        return message, "the same once the TWAP has caught up with the price (update_amms moves it)", [limit]
    margin, band = market.margin_ratio_initial, twap_band_limit(rails)
    return (
        f"{where}: a fill must be less than {margin} ten-thousandths from the price, {band} millionths from the TWAP",
        "fills at a price nearer to both, or the same once the TWAP has caught up (update_amms moves it)",
        [],
    )
