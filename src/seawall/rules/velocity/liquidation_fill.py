"""``liquidate_perp_with_fill``: the account's own order closes its position against the AMM and resting orders.

The rules before the fill and after it; between them the order is filled as any other, in liquidation mode.
Source: velocity/liquidation.md §6.2; drift/liquidation.md §10.3; ``controller/liquidation/perp_fill.rs``.
"""

from seawall.arithmetic import U64_MAX, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import standardize_base_asset_amount_ceil
from seawall.rules.common.liquidation_steps import (
    check_price_near_twap,
    largest_perp_transfer,
    note_perp_fees,
    refresh_and_check_validity,
)
from seawall.rules.common.perp_positions import update_quote_asset_and_break_even_amount
from seawall.rules.velocity.fee_ledger import accrue_liquidation_fees
from seawall.rules.velocity.isolated import scope_of
from seawall.rules.velocity.liquidation import (
    cancel_orders,
    check_pool,
    exit_or_enter_bankruptcy,
    leaves_after_cancelling,
    recalculate,
)
from seawall.rules.velocity.liquidation_perp import (
    LIQUIDATORS_POOL,
    allow_perp_part,
    check_perp_market_liquidates,
    enter_liquidation_of_perp,
    note_liquidator_rate,
)
from seawall.rules.velocity.margin import can_exit_liquidation
from seawall.rules.velocity.user_status import is_bankrupt, is_scope_bankrupt
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def check_accounts_of_fill(user: User, row: int, liquidator: User) -> None:
    """``UserBankrupt`` of the user's scope, ``InvalidPoolId``, ``UserBankrupt`` of the liquidator, in this order."""
    if is_scope_bankrupt(user, row):
        raise SettlementError(ErrorCode.UserBankrupt)
    check_pool(liquidator, LIQUIDATORS_POOL)
    if is_bankrupt(liquidator):
        raise SettlementError(ErrorCode.UserBankrupt)


@rule
def open_liquidation_with_fill(
    user: User,
    liquidator: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    user_funding: FundingPaymentFacts,
    liquidator_funding: FundingPaymentFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> tuple[int, int]:
    """The user's row and the base (1e9) that its order is to close; a base of 0: nothing is to be filled.

    The size counts with the plain fee, the order's price with the one that has grown: deliberate, as is that the price
    band is asked in Settlement too. Errors in order: ``UserBankrupt``, ``InvalidPoolId``, ``InvalidLiquidation``, those
    of ``enter_liquidation_of_perp``, ``InvalidOracle``, ``PriceBandsBreached``, ``MathError``.
    Source: velocity/liquidation.md §6.2.
    """
    row = scope_of(user, market_index)
    market = perp_markets[market_index]
    check_accounts_of_fill(user, row, liquidator)
    check_perp_market_liquidates(market, now)
    index = enter_liquidation_of_perp(
        user, liquidator, False, market_index, spot_markets, perp_markets, oracles, state, slot, user_funding,
        liquidator_funding, calculation, facts,
    )  # fmt: skip
    if index < 0:
        return index, 0
    cancelled = cancel_orders(user, row, slot)
    rails = state.oracle_guard_rails
    facts.oracle_price = refresh_and_check_validity(market, oracles[market.amm.oracle_index], rails, now, slot)
    if cancelled and leaves_after_cancelling(
        user, row, spot_markets, perp_markets, oracles, state, calculation, facts
    ):  # fmt: skip
        return index, 0
    position = user.perp_positions[index]
    if position.base_asset_amount == 0:
        return index, 0
    check_price_near_twap(facts.oracle_price, market.amm.historical_oracle_data.last_oracle_price_twap_5min, rails)
    quote_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    note_liquidator_rate(user, market, slot, facts)
    allowed = allow_perp_part(
        user, row, position, market, quote_price, market.liquidator_fee, False, state, slot, calculation, facts
    )
    if allowed == 0:
        return index, 0
    amount = largest_perp_transfer(U64_MAX, facts.held, allowed, facts.oracle_price)
    return index, standardize_base_asset_amount_ceil(amount, market.amm.order_step_size)


@rule
def charge_filled_position(user: User, index: int, market: PerpMarket, facts: LiquidationFacts) -> None:
    """Charge insurance's and the protocol's part of the noted quote; the liquidator gets none, the makers a discount.

    Source: velocity/liquidation.md §4, §6.2.
    """
    note_perp_fees(abs(facts.quote_asset_amount), 0, facts)
    position = user.perp_positions[index]
    update_quote_asset_and_break_even_amount(position, market, -facts.if_fee)
    update_quote_asset_and_break_even_amount(position, market, -facts.protocol_fee)
    accrue_liquidation_fees(market.fee_ledger, facts.if_fee, facts.protocol_fee)


@rule
def note_filled(was_long: bool, base_asset_amount: int, quote_asset_amount: int, facts: LiquidationFacts) -> None:
    """Note what was filled, with the signs of a fill that opens the position: deliberate, it is the program's.

    ``LiquidationOrderFailedToFill`` for nothing. Source: velocity/liquidation.md §6.2.
    """
    if base_asset_amount == 0:
        raise SettlementError(ErrorCode.LiquidationOrderFailedToFill)
    base = to_i64(base_asset_amount)
    quote = to_i64(quote_asset_amount)
    if was_long:
        quote = -quote
    else:
        base = -base
    facts.base_asset_amount = base
    facts.quote_asset_amount = quote


@rule
def finish_liquidation_with_fill(
    user: User,
    row: int,
    index: int,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """After the fill was noted: the fees, what it freed, and whether the scope is through or bankrupt.

    Unlike where a liquidator takes over, only the margin says whether the scope is through. ``row`` is the scope,
    ``index`` the position's row. Source: velocity/liquidation.md §6.2.
    """
    charge_filled_position(user, index, perp_markets[market_index], facts)
    recalculate(user, row, spot_markets, perp_markets, oracles, state, calculation, facts)
    through = can_exit_liquidation(calculation, row)
    exit_or_enter_bankruptcy(user, row, through, market_index, spot_markets, perp_markets, facts)
