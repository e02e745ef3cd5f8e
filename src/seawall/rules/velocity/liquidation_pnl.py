"""The two liquidations of P&L: a profit pays for a borrow, a deposit pays for a loss.

A liquidator takes over the borrow (the loss) and is given the profit (the deposit) at a discount. The position itself
must be closed already. The loss of an isolated position is paid for by its own collateral alone.
Source: velocity/liquidation.md §8; ``controller/liquidation/{borrow_for_perp_pnl,perp_pnl_for_deposit}.rs``.
"""

from seawall.arithmetic import div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    calculate_asset_transfer_for_liability_transfer_exact,
    calculate_liability_transfer_implied_by_asset_amount,
    is_as_safe_as,
    liquidation_discount,
    liquidation_premium,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.liquidation_steps import (
    FULL_WEIGHT,
    QUOTE_DECIMALS,
    calculate_user_safest_position_tiers,
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
from seawall.rules.common.perp_positions import force_get_perp_position_index, get_perp_position_index, is_isolated
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.token_values import get_token_value
from seawall.rules.velocity.isolated import get_isolated_token_amount, scope_of, update_isolated_balance
from seawall.rules.velocity.liquidation import (
    accrue_and_price,
    allow_part,
    cancel_orders,
    check_neither_bankrupt,
    check_pool,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
    recalculate,
)
from seawall.rules.velocity.liquidation_math import (
    calculate_asset_transfer_for_liability_transfer,
    liability_transfer_to_cover_margin_shortage,
)
from seawall.rules.velocity.liquidation_perp import LIQUIDATORS_POOL
from seawall.rules.velocity.margin import (
    calculate_liquidation_margin,
    can_exit_liquidation,
    margin_shortage,
)
from seawall.rules.velocity.user_status import CROSS, enter_liquidation, exit_liquidation
from seawall.state.enums import BORROW, DEPOSIT, STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

# --- a profit pays for a borrow --------------------------------------------------------------------------------


@rule
def calculate_transfer_of_borrow(
    user: User,
    market: PerpMarket,
    spot_market: SpotMarket,
    pnl: int,
    tokens: int,
    asked: int,
    price: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Size the transfer and note it; False where nothing may go yet. ``price``: the oracle's of the borrow.

    Source: velocity/liquidation.md §8.1.
    """
    asset_multiplier = liquidation_premium(market.liquidator_fee)
    multiplier = liquidation_discount(spot_market.liquidator_fee)
    decimals = spot_market.decimals
    shortage = margin_shortage(calculation, CROSS)
    to_cover = liability_transfer_to_cover_margin_shortage(
        shortage,
        market.unrealized_pnl_maintenance_asset_weight,
        asset_multiplier,
        spot_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio,
        multiplier,
        decimals,
        price,
        0,
    )
    allowed = allow_part(user, CROSS, shortage, to_cover, state, slot, facts)
    if allowed == 0:
        return False
    implied = calculate_liability_transfer_implied_by_asset_amount(
        pnl, asset_multiplier, QUOTE_DECIMALS, facts.asset_price, multiplier, decimals, facts.liability_price
    )
    value = get_token_value(tokens, decimals, price)
    transfer = smallest_transfer(asked, tokens, allowed, implied, value, facts)
    asset_transfer = calculate_asset_transfer_for_liability_transfer(
        pnl, asset_multiplier, QUOTE_DECIMALS, facts.asset_price, transfer, multiplier, decimals,
        facts.liability_price, facts.asset_price,
    )  # fmt: skip
    note_transfer(asset_transfer, transfer, facts)
    return True


@rule
def check_profit_of_cross_margin(user: User, perp_market_index: int) -> int:
    """The profit (quote 1e6) of a closed position that is not isolated; ``InvalidPerpPositionToLiquidate``."""
    position = user.perp_positions[get_perp_position_index(user, perp_market_index)]
    check_only_quote_of_sign(position, True)
    if is_isolated(position):
        raise SettlementError(ErrorCode.InvalidPerpPositionToLiquidate)
    return position.quote_asset_amount


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

    ``NO_LIMIT_PRICE`` or a limit (1e6: least profit for a token). Errors in order: ``UserBankrupt``, ``InvalidPoolId``,
    ``InvalidLiquidation``, those of ``take_slots``, ``InvalidPerpPositionToLiquidate``, ``InvalidOracle``,
    ``WrongSpotBalanceType``, ``InvalidSpotPosition``, ``SufficientCollateral``, ``InvalidLiquidation``,
    ``LiquidationDoesntSatisfyLimitPrice``, ``InsufficientCollateral``. No price band is asked: deliberate.
    Source: velocity/liquidation.md §8.1.
    """
    check_neither_bankrupt(user, CROSS, liquidator)
    check_pool(liquidator, LIQUIDATORS_POOL)
    market = perp_markets[perp_market_index]
    spot_market = spot_markets[spot_market_index]
    check_perp_liquidation_not_paused(market)
    check_spot_liquidation_not_paused(spot_market)
    take_slots(user, liquidator, perp_market_index, spot_market_index)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    pnl = check_profit_of_cross_margin(user, perp_market_index)
    oracle = oracles[spot_market.oracle_index]
    facts.liability_price = accrue_and_price(spot_market, oracle, False, state, now, interest)
    debt = user.spot_positions[get_spot_position_index(user, spot_market_index)]
    tokens = tokens_to_liquidate(debt, spot_market, BORROW)
    facts.asset_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    facts.oracle_price = oracles[market.amm.oracle_index].price
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, CROSS, calculation, facts):
        return
    facts.liquidation_id = enter_liquidation(user, CROSS, slot)
    if cancel_orders(user, CROSS, slot) and leaves_after_cancelling(
        user, CROSS, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    asked = liquidator_max_liability_transfer
    if not calculate_transfer_of_borrow(
        user, market, spot_market, pnl, tokens, asked, oracle.price, state, slot, calculation, facts
    ):
        return
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, QUOTE_DECIMALS, spot_market.decimals, limit_price
    )
    move_borrow_and_pnl(user, liquidator, market, spot_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(
        user, CROSS, liquidator, covered, False, perp_market_index, spot_markets, perp_markets, oracles, state,
        calculation, facts,
    )  # fmt: skip


# --- a deposit pays for a loss ---------------------------------------------------------------------------------


@rule
def take_slots_of_scope(user: User, row: int, liquidator: User, perp_market_index: int, spot_market_index: int) -> None:
    """As ``take_slots``; an isolated position's asset is its own collateral, in market 0: ``CouldNotFindSpotPosition``.

    Source: velocity/isolated.md §6.
    """
    if row == CROSS:
        take_slots(user, liquidator, perp_market_index, spot_market_index)
        return
    get_perp_position_index(user, perp_market_index)
    if spot_market_index != 0:
        raise SettlementError(ErrorCode.CouldNotFindSpotPosition)
    force_get_perp_position_index(liquidator, perp_market_index)
    force_get_spot_position_index(liquidator, spot_market_index)


@rule
def asset_tokens_of_scope(user: User, row: int, spot_market: SpotMarket) -> int:
    """Tokens of the deposit (``WrongSpotBalanceType``) or the isolated collateral; none: ``InvalidSpotPosition``."""
    if row == CROSS:
        deposit = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
        return tokens_to_liquidate(deposit, spot_market, DEPOSIT)
    tokens = get_isolated_token_amount(user.perp_positions[row], spot_market)
    if tokens == 0:
        raise SettlementError(ErrorCode.InvalidSpotPosition)
    return tokens


@rule
def is_loss_in_turn(
    user: User, row: int, market: PerpMarket, spot_markets: list[SpotMarket], perp_markets: list[PerpMarket]
) -> bool:
    """Whether no safer liability comes before this loss; an isolated position has no other.

    Source: velocity/liquidation.md §8.2; velocity/isolated.md §6.
    """
    if row != CROSS:
        return True
    spot_tier, perp_tier = calculate_user_safest_position_tiers(user, spot_markets, perp_markets)
    return is_as_safe_as(market.contract_tier, perp_tier, spot_tier)


@rule
def stops_before_pnl_transfer(
    user: User,
    row: int,
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

    ``TierViolationLiquidatingPerpPnl`` where nothing was cancelled either. Source: velocity/liquidation.md §8.2.
    """
    in_turn = is_loss_in_turn(user, row, market, spot_markets, perp_markets)
    if not cancelled:
        if not in_turn:
            raise SettlementError(ErrorCode.TierViolationLiquidatingPerpPnl)
        return False
    recalculate(user, row, spot_markets, perp_markets, oracles, state, calculation, facts)
    if can_exit_liquidation(calculation, row):
        exit_liquidation(user, row)
        facts.exited = True
    elif in_turn:
        return False
    facts.recorded = True
    return True


@rule
def check_transfer_helps(
    market: PerpMarket, asset_weight: int, asset_multiplier: int, liability_weight: int, multiplier: int
) -> None:
    """``LiquidationWorsensAccountHealth`` where the deposit given weighs as much as the loss taken; not in Settlement.

    Source: velocity/liquidation.md §8.2.
    """
    if market.status == STATUS_SETTLEMENT:
        return
    if div_trunc(asset_weight * 10 * asset_multiplier, multiplier) >= liability_weight * 10:
        raise SettlementError(ErrorCode.LiquidationWorsensAccountHealth)


@rule
def calculate_transfer_of_loss(
    user: User,
    row: int,
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
    """Size the transfer and note it; False where nothing may go yet. What pays for all of the deposit takes all of it.

    ``LiquidationWorsensAccountHealth``, ``InvalidLiquidation``. Source: velocity/liquidation.md §8.2.
    """
    asset_multiplier = liquidation_premium(spot_market.liquidator_fee)
    multiplier = liquidation_discount(market.liquidator_fee)
    asset_weight = spot_market.maintenance_asset_weight
    weight = FULL_WEIGHT + state.liquidation_margin_buffer_ratio
    decimals = spot_market.decimals
    price = facts.liability_price
    shortage = margin_shortage(calculation, row)
    check_transfer_helps(market, asset_weight, asset_multiplier, weight, multiplier)
    to_cover = liability_transfer_to_cover_margin_shortage(
        shortage, asset_weight, asset_multiplier, weight, multiplier, QUOTE_DECIMALS, price, 0
    )
    allowed = allow_part(user, row, shortage, to_cover, state, slot, facts)
    if allowed == 0:
        return False
    implied = calculate_liability_transfer_implied_by_asset_amount(
        tokens, asset_multiplier, decimals, facts.asset_price, multiplier, QUOTE_DECIMALS, price
    )
    value = get_token_value(loss, QUOTE_DECIMALS, price)
    transfer = smallest_transfer(asked, loss, allowed, implied, value, facts)
    asset_transfer = tokens
    if transfer != implied:
        exact = calculate_asset_transfer_for_liability_transfer_exact(
            asset_multiplier, decimals, facts.asset_price, transfer, multiplier, QUOTE_DECIMALS, price
        )
        asset_transfer = min(exact, tokens)
    note_transfer(asset_transfer, transfer, facts)
    return True


@rule
def move_deposit_and_pnl(
    user: User, row: int, liquidator: User, market: PerpMarket, spot_market: SpotMarket, facts: LiquidationFacts
) -> None:
    """The deposit, or the isolated position's collateral, goes over to the liquidator, then the loss.

    Source: velocity/liquidation.md §8.2.
    """
    give_asset_to_liquidator(liquidator, spot_market, facts.asset_transfer)
    if row == CROSS:
        take_asset_of_user(user, spot_market, facts.asset_transfer)
    else:
        update_isolated_balance(facts.asset_transfer, BORROW, spot_market, user.perp_positions[row], False)
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
    ``InvalidPoolId``, ``InvalidLiquidation``, those of ``take_slots_of_scope``, ``InvalidOracle``,
    ``WrongSpotBalanceType``, ``InvalidSpotPosition``, ``InvalidPerpPositionToLiquidate``, ``SufficientCollateral``,
    ``TierViolationLiquidatingPerpPnl``, ``LiquidationWorsensAccountHealth``, ``InvalidLiquidation``,
    ``LiquidationDoesntSatisfyLimitPrice``, ``LiquidationWorsensAccountHealth``, ``InsufficientCollateral``. No price
    band is asked: deliberate. Source: velocity/liquidation.md §8.2.
    """
    row = scope_of(user, perp_market_index)
    check_neither_bankrupt(user, row, liquidator)
    check_pool(liquidator, LIQUIDATORS_POOL)
    market = perp_markets[perp_market_index]
    spot_market = spot_markets[spot_market_index]
    check_spot_liquidation_not_paused(spot_market)
    check_perp_liquidation_not_paused(market)
    take_slots_of_scope(user, row, liquidator, perp_market_index, spot_market_index)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    oracle = oracles[spot_market.oracle_index]
    facts.asset_price = accrue_and_price(spot_market, oracle, True, state, now, interest)
    tokens = asset_tokens_of_scope(user, row, spot_market)
    position = user.perp_positions[get_perp_position_index(user, perp_market_index)]
    check_only_quote_of_sign(position, False)
    loss = -position.quote_asset_amount
    facts.liability_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    facts.oracle_price = oracles[market.amm.oracle_index].price
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, row, calculation, facts):
        return
    facts.liquidation_id = enter_liquidation(user, row, slot)
    cancelled = cancel_orders(user, row, slot)
    if stops_before_pnl_transfer(
        user, row, market, cancelled, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    asked = liquidator_max_pnl_transfer
    if not calculate_transfer_of_loss(
        user, row, market, spot_market, loss, tokens, asked, state, slot, calculation, facts
    ):
        return
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, spot_market.decimals, QUOTE_DECIMALS, limit_price
    )
    move_deposit_and_pnl(user, row, liquidator, market, spot_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(
        user, row, liquidator, covered, market.status != STATUS_SETTLEMENT, perp_market_index, spot_markets,
        perp_markets, oracles, state, calculation, facts,
    )  # fmt: skip
