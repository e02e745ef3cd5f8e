"""The two liquidations of P&L: a profit pays for a borrow, a deposit pays for a loss.

A liquidator takes over the borrow (the loss) and is given the profit (the deposit) at a discount. The position itself
must be closed already. Source: liquidation.md §6, §7; ``controller/liquidation.rs``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_liability_transfer_to_cover_margin_shortage,
    is_as_safe_as,
    liquidation_discount,
    liquidation_premium,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.liquidation_steps import (
    FULL_WEIGHT,
    QUOTE_DECIMALS,
    calculate_user_safest_position_tiers,
    cancel_all_orders,
    check_only_quote_of_sign,
    check_perp_liquidation_not_paused,
    check_spot_liquidation_not_paused,
    give_asset_to_liquidator,
    move_borrow_and_pnl,
    note_transfer,
    settle_funding_of_position,
    smallest_transfer,
    take_asset_of_user,
    take_slots,
    tokens_to_liquidate,
    transfer_pnl,
)
from seawall.rules.common.margin import can_exit_liquidation, margin_shortage
from seawall.rules.common.perp_positions import (
    get_perp_position_index,
)
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import enter_liquidation, exit_liquidation
from seawall.rules.drift.liquidation import (
    allow_part,
    calculate_liquidation_margin,
    check_neither_bankrupt,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
    recalculate_after_cancelling,
    update_spot_market_and_check_validity,
)
from seawall.rules.drift.liquidation_math import calculate_asset_transfer_for_liability_transfer
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
)
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

# --- shared by both --------------------------------------------------------------------------------------------


@rule
def size_transfer(
    asset_amount: int,
    asset_multiplier: int,
    asset_decimals: int,
    liability_amount: int,
    multiplier: int,
    liability_decimals: int,
    asked: int,
    facts: LiquidationFacts,
) -> None:
    """Size the transfer at the noted prices and note it; ``InvalidLiquidation`` for one of nothing.

    Source: liquidation.md §6 step 7, §7 step 9.
    """
    price = facts.liability_price
    implied = calculate_liability_transfer_implied_by_asset_amount(
        asset_amount, asset_multiplier, asset_decimals, facts.asset_price, multiplier, liability_decimals, price
    )
    value = get_token_value(liability_amount, liability_decimals, price)
    transfer = smallest_transfer(asked, liability_amount, facts.allowed, implied, value, facts)
    asset_transfer = calculate_asset_transfer_for_liability_transfer(
        asset_amount,
        asset_multiplier,
        asset_decimals,
        facts.asset_price,
        transfer,
        multiplier,
        liability_decimals,
        price,
    )
    note_transfer(asset_transfer, transfer, facts)


# --- a profit pays for a borrow --------------------------------------------------------------------------------


@rule
def calculate_transfer_of_borrow(
    user: User,
    market: PerpMarket,
    spot_market: SpotMarket,
    pnl: int,
    tokens: int,
    asked: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Size the transfer and note it; False where nothing may go yet. Source: liquidation.md §6 step 7."""
    asset_multiplier = liquidation_premium(market.liquidator_fee)
    multiplier = liquidation_discount(spot_market.liquidator_fee)
    shortage = margin_shortage(calculation)
    to_cover = calculate_liability_transfer_to_cover_margin_shortage(
        shortage,
        market.unrealized_pnl_maintenance_asset_weight,
        asset_multiplier,
        spot_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio,
        multiplier,
        spot_market.decimals,
        facts.liability_price,
        0,
    )
    if allow_part(user, shortage, to_cover, state, slot, facts) == 0:
        return False
    size_transfer(pnl, asset_multiplier, QUOTE_DECIMALS, tokens, multiplier, spot_market.decimals, asked, facts)
    return True


@rule
def liquidate_borrow_for_perp_pnl(
    user: User,
    liquidator: User,
    perp_market_index: int,
    spot_market_index: int,
    liquidator_max_liability_transfer: int,
    limit_price: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    user_funding: FundingPaymentFacts,
    liquidator_funding: FundingPaymentFacts,
    interest: InterestFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Take over a borrow, at most ``liquidator_max_liability_transfer`` tokens, for a profit; often nothing is done.

    ``NO_LIMIT_PRICE`` or a limit (1e6: least profit for a token). Errors in order: ``UserBankrupt``,
    ``InvalidLiquidation``, those of ``take_slots``, ``InvalidPerpPositionToLiquidate``, ``InvalidOracle``,
    ``WrongSpotBalanceType``, ``InvalidSpotPosition``, ``SufficientCollateral``, ``InvalidLiquidation``,
    ``LiquidationDoesntSatisfyLimitPrice``, ``InsufficientCollateral``. No price band is asked: deliberate.
    Source: liquidation.md §6.
    """
    check_neither_bankrupt(user, liquidator)
    market = perp_markets[perp_market_index]
    spot_market = spot_markets[spot_market_index]
    check_perp_liquidation_not_paused(market)
    check_spot_liquidation_not_paused(spot_market)
    take_slots(user, liquidator, perp_market_index, spot_market_index)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    position = user.perp_positions[get_perp_position_index(user, perp_market_index)]
    check_only_quote_of_sign(position, True)
    pnl = position.quote_asset_amount
    oracle = oracles[spot_market.oracle_index]
    update_spot_market_and_check_validity(spot_market, oracle, state.oracle_guard_rails.validity, now, interest)
    debt = user.spot_positions[get_spot_position_index(user, spot_market_index)]
    tokens = tokens_to_liquidate(debt, spot_market, BORROW)
    facts.asset_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    facts.liability_price = oracle.price
    facts.oracle_price = oracles[market.amm.oracle_index].price
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, calculation, facts):
        return
    facts.liquidation_id = enter_liquidation(user, slot)
    if cancel_all_orders(user, slot) and leaves_after_cancelling(
        user, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    asked = liquidator_max_liability_transfer
    if not calculate_transfer_of_borrow(
        user, market, spot_market, pnl, tokens, asked, state, slot, calculation, facts
    ):  # fmt: skip
        return
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, QUOTE_DECIMALS, spot_market.decimals, limit_price
    )
    move_borrow_and_pnl(user, liquidator, market, spot_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(user, liquidator, covered, spot_markets, perp_markets, oracles, state, calculation, facts)


# --- a deposit pays for a loss ---------------------------------------------------------------------------------


@rule
def stops_before_pnl_transfer(
    user: User,
    market: PerpMarket,
    cancelled: bool,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Whether the cancelled orders were enough, or are all that may be done while safer liabilities are left.

    ``TierViolationLiquidatingPerpPnl`` where nothing was cancelled either. Source: liquidation.md §7 steps 7-8.
    """
    spot_tier, perp_tier = calculate_user_safest_position_tiers(user, spot_markets, perp_markets)
    allowed = is_as_safe_as(market.contract_tier, perp_tier, spot_tier)
    if not cancelled:
        if not allowed:
            raise SettlementError(ErrorCode.TierViolationLiquidatingPerpPnl)
        return False
    recalculate_after_cancelling(user, spot_markets, perp_markets, oracles, state, calculation, facts)
    if can_exit_liquidation(calculation):
        exit_liquidation(user)
        facts.exited = True
    elif allowed:
        return False
    facts.recorded = True
    return True


@rule
def calculate_transfer_of_loss(
    user: User,
    market: PerpMarket,
    spot_market: SpotMarket,
    loss: int,
    tokens: int,
    asked: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Size the transfer and note it; False where nothing may go yet. Source: liquidation.md §7 step 9.

    The buffer is left out of the loss's weight, so that no loss would cover against an asset of full weight:
    deliberate, it is the program's.
    """
    asset_multiplier = liquidation_premium(spot_market.liquidator_fee)
    multiplier = liquidation_discount(market.liquidator_fee)
    shortage = margin_shortage(calculation)
    to_cover = calculate_liability_transfer_to_cover_margin_shortage(
        shortage,
        spot_market.maintenance_asset_weight,
        asset_multiplier,
        FULL_WEIGHT,
        multiplier,
        QUOTE_DECIMALS,
        facts.liability_price,
        0,
    )
    if allow_part(user, shortage, to_cover, state, slot, facts) == 0:
        return False
    size_transfer(tokens, asset_multiplier, spot_market.decimals, loss, multiplier, QUOTE_DECIMALS, asked, facts)
    return True


@rule
def move_deposit_and_pnl(
    user: User, liquidator: User, market: PerpMarket, spot_market: SpotMarket, facts: LiquidationFacts
) -> None:
    """The deposit goes over to the liquidator, then the loss. Source: liquidation.md §7 step 10."""
    give_asset_to_liquidator(liquidator, spot_market, facts.asset_transfer)
    take_asset_of_user(user, spot_market, facts.asset_transfer)
    transfer_pnl(user, liquidator, market, -facts.liability_transfer)


@rule
def liquidate_perp_pnl_for_deposit(
    user: User,
    liquidator: User,
    perp_market_index: int,
    spot_market_index: int,
    liquidator_max_pnl_transfer: int,
    limit_price: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    user_funding: FundingPaymentFacts,
    liquidator_funding: FundingPaymentFacts,
    interest: InterestFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Take over a loss, at most ``liquidator_max_pnl_transfer`` (quote 1e6), for a deposit; often nothing is done.

    ``NO_LIMIT_PRICE`` or a limit (1e6: least asset for a quote unit). Errors in order: ``UserBankrupt``,
    ``InvalidLiquidation``, those of ``take_slots``, ``InvalidOracle``, ``WrongSpotBalanceType``,
    ``InvalidSpotPosition``, ``InvalidPerpPositionToLiquidate``, ``SufficientCollateral``,
    ``TierViolationLiquidatingPerpPnl``, ``InvalidLiquidation``, ``LiquidationDoesntSatisfyLimitPrice``,
    ``InsufficientCollateral``. No price band is asked: deliberate. Source: liquidation.md §7.
    """
    check_neither_bankrupt(user, liquidator)
    market = perp_markets[perp_market_index]
    spot_market = spot_markets[spot_market_index]
    check_spot_liquidation_not_paused(spot_market)
    check_perp_liquidation_not_paused(market)
    take_slots(user, liquidator, perp_market_index, spot_market_index)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    oracle = oracles[spot_market.oracle_index]
    update_spot_market_and_check_validity(spot_market, oracle, state.oracle_guard_rails.validity, now, interest)
    deposit = user.spot_positions[get_spot_position_index(user, spot_market_index)]
    tokens = tokens_to_liquidate(deposit, spot_market, DEPOSIT)
    position = user.perp_positions[get_perp_position_index(user, perp_market_index)]
    check_only_quote_of_sign(position, False)
    loss = -position.quote_asset_amount
    facts.asset_price = oracle.price
    facts.liability_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    facts.oracle_price = oracles[market.amm.oracle_index].price
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, calculation, facts):
        return
    facts.liquidation_id = enter_liquidation(user, slot)
    cancelled = cancel_all_orders(user, slot)
    if stops_before_pnl_transfer(
        user, market, cancelled, spot_markets, perp_markets, oracles, state, calculation, facts
    ):  # fmt: skip
        return
    asked = liquidator_max_pnl_transfer
    if not calculate_transfer_of_loss(
        user, market, spot_market, loss, tokens, asked, state, slot, calculation, facts
    ):  # fmt: skip
        return
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, spot_market.decimals, QUOTE_DECIMALS, limit_price
    )
    move_deposit_and_pnl(user, liquidator, market, spot_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(user, liquidator, covered, spot_markets, perp_markets, oracles, state, calculation, facts)
