"""``liquidate_spot``: a liquidator takes over a borrow and is given a deposit at a discount.

Source: liquidation.md §5; ``controller/liquidation.rs::liquidate_spot``.
"""

from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_liability_transfer_to_cover_margin_shortage,
    calculate_spot_if_fee,
    liquidation_discount,
    liquidation_premium,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.liquidation_steps import (
    cancel_all_orders,
    check_price_near_twap,
    check_spot_liquidation_not_paused,
    note_transfer,
    smallest_transfer,
    tokens_to_liquidate,
    transfer_spot_balances_of_liquidation,
)
from seawall.rules.common.margin import TRACK_SPOT, margin_shortage, tracked_market_margin_shortage
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import enter_liquidation
from seawall.rules.drift.liquidation import (
    allow_part,
    calculate_liquidation_margin,
    check_neither_bankrupt,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
    update_spot_market_and_check_validity,
)
from seawall.rules.drift.liquidation_math import calculate_asset_transfer_for_liability_transfer
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def calculate_spot_transfer(
    user: User,
    asset_market: SpotMarket,
    liability_market: SpotMarket,
    asset_tokens: int,
    liability_tokens: int,
    asked: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Size the transfer and note it; False where nothing may go yet. Source: liquidation.md §5 steps 9-14.

    ``InvalidMarginCalculation`` without a buffer, ``MathError``, ``InvalidLiquidation`` for a transfer of nothing.
    """
    asset_multiplier = liquidation_premium(asset_market.liquidator_fee)
    multiplier = liquidation_discount(liability_market.liquidator_fee)
    asset_weight = asset_market.maintenance_asset_weight
    weight = liability_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio
    price = facts.liability_price
    decimals = liability_market.decimals
    shortage = margin_shortage(calculation)
    facts.if_rate = calculate_spot_if_fee(
        tracked_market_margin_shortage(calculation, shortage),
        liability_tokens,
        asset_weight,
        asset_multiplier,
        weight,
        multiplier,
        decimals,
        price,
        liability_market.if_liquidation_fee,
    )
    to_cover = calculate_liability_transfer_to_cover_margin_shortage(
        shortage, asset_weight, asset_multiplier, weight, multiplier, decimals, price, facts.if_rate
    )
    allowed = allow_part(user, shortage, to_cover, state, slot, facts)
    if allowed == 0:
        return False
    implied = calculate_liability_transfer_implied_by_asset_amount(
        asset_tokens, asset_multiplier, asset_market.decimals, facts.asset_price, multiplier, decimals, price
    )
    value = get_token_value(liability_tokens, decimals, price)
    transfer = smallest_transfer(asked, liability_tokens, allowed, implied, value, facts)
    asset_transfer = calculate_asset_transfer_for_liability_transfer(
        asset_tokens, asset_multiplier, asset_market.decimals, facts.asset_price, transfer, multiplier, decimals, price
    )
    note_transfer(asset_transfer, transfer, facts)
    return True


@rule
def liquidate_spot(
    user: User,
    liquidator: User,
    asset_market_index: int,
    liability_market_index: int,
    liquidator_max_liability_transfer: int,
    limit_price: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    asset_interest: InterestFacts,
    liability_interest: InterestFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Take over a borrow, at most ``liquidator_max_liability_transfer`` tokens, for a deposit; often nothing is done.

    ``NO_LIMIT_PRICE`` or a limit (1e6: least asset for a liability token). Errors in order: ``UserBankrupt``,
    ``InvalidLiquidation``, ``CouldNotFindSpotPosition``, ``NoSpotPositionAvailable``, of asset and liability in turn
    ``InvalidOracle``, ``WrongSpotBalanceType``, ``InvalidSpotPosition``; ``SufficientCollateral``,
    ``InvalidLiquidation``, ``PriceBandsBreached``, ``LiquidationDoesntSatisfyLimitPrice``, ``InsufficientCollateral``.
    Source: liquidation.md §5.
    """
    check_neither_bankrupt(user, liquidator)
    asset_market = spot_markets[asset_market_index]
    liability_market = spot_markets[liability_market_index]
    check_spot_liquidation_not_paused(asset_market)
    check_spot_liquidation_not_paused(liability_market)
    asset_index = get_spot_position_index(user, asset_market_index)
    liability_index = get_spot_position_index(user, liability_market_index)
    force_get_spot_position_index(liquidator, asset_market_index)
    force_get_spot_position_index(liquidator, liability_market_index)
    rails = state.oracle_guard_rails
    asset_oracle = oracles[asset_market.oracle_index]
    update_spot_market_and_check_validity(asset_market, asset_oracle, rails.validity, now, asset_interest)
    asset_tokens = tokens_to_liquidate(user.spot_positions[asset_index], asset_market, DEPOSIT)
    oracle = oracles[liability_market.oracle_index]
    update_spot_market_and_check_validity(liability_market, oracle, rails.validity, now, liability_interest)
    tokens = tokens_to_liquidate(user.spot_positions[liability_index], liability_market, BORROW)
    facts.asset_price = asset_oracle.price
    facts.liability_price = oracle.price
    calculation.tracked_market_type = TRACK_SPOT
    calculation.tracked_market_index = liability_market_index
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, calculation, facts):
        return
    facts.liquidation_id = enter_liquidation(user, slot)
    if cancel_all_orders(user, slot) and leaves_after_cancelling(
        user, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    if not calculate_spot_transfer(
        user, asset_market, liability_market, asset_tokens, tokens, liquidator_max_liability_transfer, state, slot,
        calculation, facts,
    ):  # fmt: skip
        return
    check_price_near_twap(oracle.price, liability_market.historical_oracle_data.last_oracle_price_twap_5min, rails)
    check_price_near_twap(asset_oracle.price, asset_market.historical_oracle_data.last_oracle_price_twap_5min, rails)
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, asset_market.decimals, liability_market.decimals, limit_price
    )
    transfer_spot_balances_of_liquidation(user, liquidator, asset_market, liability_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(user, liquidator, covered, spot_markets, perp_markets, oracles, state, calculation, facts)
