"""``liquidate_spot_with_swap``: a deposit of the cross margin is swapped outside, and what it fetched repays a borrow.

The program's begin and end as one, at the amounts that the swap was made of. The liquidator takes nothing over; its
gain is what the swap fetched beyond the amount out. Source: velocity/liquidation.md §7.3, §7.4;
``controller/liquidation/spot_swap.rs``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_FEE_PRECISION,
    calculate_asset_transfer_for_liability_transfer_exact,
    liquidation_discount,
    liquidation_premium,
)
from seawall.rules.common.liquidation_steps import (
    check_price_near_twap,
    check_spot_liquidation_not_paused,
    repay_borrow_of_user,
    take_asset_of_user,
    tokens_to_liquidate,
)
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.liquidation import (
    NO_PERP_MARKET,
    allow_part,
    cancel_orders,
    check_neither_bankrupt,
    exchange_price,
    exit_or_enter_bankruptcy,
    leaves_after_cancelling,
    recalculate,
)
from seawall.rules.velocity.liquidation_math import (
    liability_transfer_to_cover_margin_shortage,
    liquidation_fee_cap,
    validate_swap_within_liquidation_boundaries,
)
from seawall.rules.velocity.liquidation_spot import (
    check_lst_pool_delays,
    leaves_spot_liquidation_at_entry,
    note_spot_fee_rates,
)
from seawall.rules.velocity.margin import (
    can_exit_liquidation,
    margin_shortage,
    tracked_market_margin_shortage,
)
from seawall.rules.velocity.user_status import CROSS, enter_liquidation
from seawall.state.enums import BORROW, DEPOSIT, EXCHANGE_FUNDING_PAUSED
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def accrue_and_price_of_swap(
    spot_market: SpotMarket, oracle: OraclePriceData, is_asset: bool, state: State, now: int, facts: InterestFacts
) -> int:
    """Accrue interest but leave the TWAPs; the price (1e6) of the exchange. ``InvalidOracle``.

    Source: velocity/liquidation.md §7.3.
    """
    funding_paused = state.exchange_status & EXCHANGE_FUNDING_PAUSED != 0
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, facts)
    twap_5min = spot_market.historical_oracle_data.last_oracle_price_twap_5min
    return exchange_price(spot_market, oracle, twap_5min, is_asset, state.oracle_guard_rails.validity)


@rule
def check_swap_liquidation(
    user: User, liquidator: User, asset_market: SpotMarket, liability_market: SpotMarket
) -> None:
    """``UserBankrupt``, ``InvalidLiquidation`` of asset and liability, ``InvalidPoolId`` for markets of two pools,
    ``CouldNotFindSpotPosition``. Source: velocity/liquidation.md §7.3.
    """
    check_neither_bankrupt(user, CROSS, liquidator)
    check_spot_liquidation_not_paused(asset_market)
    check_spot_liquidation_not_paused(liability_market)
    if asset_market.pool_id != liability_market.pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)
    get_spot_position_index(user, asset_market.market_index)
    get_spot_position_index(user, liability_market.market_index)


@rule
def check_swap_amount_in(
    user: User,
    asset_market: SpotMarket,
    liability_market: SpotMarket,
    asset_tokens: int,
    amount_in: int,
    liability_oracle_price: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """No more of the deposit may be swapped than the part of the shortage that may be covered by now is worth.

    The full rates of insurance and protocol count, without premium or discount: deliberate, the end charges what the
    swap bears. ``InvalidLiquidation``. Source: velocity/liquidation.md §7.3.
    """
    shortage = margin_shortage(calculation, CROSS)
    rate = liquidation_fee_cap(liability_market.if_liquidation_fee, liability_market.protocol_liquidation_fee)
    to_cover = liability_transfer_to_cover_margin_shortage(
        shortage,
        asset_market.maintenance_asset_weight,
        LIQUIDATION_FEE_PRECISION,
        liability_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio,
        LIQUIDATION_FEE_PRECISION,
        liability_market.decimals,
        liability_oracle_price,
        rate,
    )
    allowed = allow_part(user, CROSS, shortage, to_cover, state, slot, facts)
    if allowed == 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)
    bound = calculate_asset_transfer_for_liability_transfer_exact(
        LIQUIDATION_FEE_PRECISION,
        asset_market.decimals,
        facts.asset_price,
        allowed,
        LIQUIDATION_FEE_PRECISION,
        liability_market.decimals,
        facts.liability_price,
    )
    facts.held = asset_tokens
    facts.implied = bound
    if amount_in > bound or amount_in > asset_tokens:
        raise SettlementError(ErrorCode.InvalidLiquidation)


@rule
def repay_with_swap(
    user: User,
    asset_market: SpotMarket,
    liability_market: SpotMarket,
    amount_in: int,
    amount_out: int,
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Judge the swap's price, split the fees that it bears, and book both amounts with the user.

    ``InvalidLiquidation`` below a liquidator's discount. The fees count on what was repaid and at the noted price, not
    on the whole borrow at the oracle's: deliberate. Source: velocity/liquidation.md §7.4.
    """
    asset_multiplier = liquidation_premium(asset_market.liquidator_fee)
    multiplier = liquidation_discount(liability_market.liquidator_fee)
    validate_swap_within_liquidation_boundaries(
        amount_in, amount_out, asset_market.decimals, liability_market.decimals, facts.asset_price,
        facts.liability_price, asset_multiplier, multiplier,
    )  # fmt: skip
    shortage = margin_shortage(calculation, CROSS)
    note_spot_fee_rates(
        liability_market,
        tracked_market_margin_shortage(calculation, shortage, CROSS),
        amount_out,
        asset_market.maintenance_asset_weight,
        asset_multiplier,
        liability_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio,
        multiplier,
        facts.liability_price,
        facts,
    )
    facts.asset_transfer = amount_in
    facts.liability_transfer = amount_out
    repay_borrow_of_user(user, liability_market, facts)
    take_asset_of_user(user, asset_market, amount_in)


@rule
def liquidate_spot_with_swap(
    user: User,
    liquidator: User,
    asset_market_index: int,
    liability_market_index: int,
    amount_in: int,
    amount_out: int,
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
    """Swap ``amount_in`` tokens of a deposit for ``amount_out`` tokens of a borrow's market, and repay it with them.

    A latched account that could leave is refused, as is one for which cancelling its orders is enough: the tokens are
    out already. Errors in order: those of ``check_swap_liquidation``, of asset and liability in turn
    ``InvalidOracle``, ``WrongSpotBalanceType``, ``InvalidSpotPosition``; ``InvalidLiquidation``,
    ``SufficientCollateral``, ``InvalidLiquidation``, ``PriceBandsBreached``, ``InvalidLiquidation``.
    Source: velocity/liquidation.md §7.3, §7.4.
    """
    asset_market = spot_markets[asset_market_index]
    liability_market = spot_markets[liability_market_index]
    check_swap_liquidation(user, liquidator, asset_market, liability_market)
    asset_oracle = oracles[asset_market.oracle_index]
    oracle = oracles[liability_market.oracle_index]
    facts.asset_price = accrue_and_price_of_swap(asset_market, asset_oracle, True, state, now, asset_interest)
    deposit = user.spot_positions[get_spot_position_index(user, asset_market_index)]
    asset_tokens = tokens_to_liquidate(deposit, asset_market, DEPOSIT)
    facts.liability_price = accrue_and_price_of_swap(liability_market, oracle, False, state, now, liability_interest)
    debt = user.spot_positions[get_spot_position_index(user, liability_market_index)]
    tokens_to_liquidate(debt, liability_market, BORROW)
    check_lst_pool_delays(asset_market, liability_market, asset_oracle, oracle)
    if leaves_spot_liquidation_at_entry(
        user, liability_market_index, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        raise SettlementError(ErrorCode.InvalidLiquidation)
    facts.liquidation_id = enter_liquidation(user, CROSS, slot)
    if cancel_orders(user, CROSS, slot) and leaves_after_cancelling(
        user, CROSS, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        raise SettlementError(ErrorCode.InvalidLiquidation)
    check_swap_amount_in(
        user, asset_market, liability_market, asset_tokens, amount_in, oracle.price, state, slot, calculation, facts
    )
    rails = state.oracle_guard_rails
    check_price_near_twap(oracle.price, liability_market.historical_oracle_data.last_oracle_price_twap_5min, rails)
    check_price_near_twap(asset_oracle.price, asset_market.historical_oracle_data.last_oracle_price_twap_5min, rails)
    repay_with_swap(user, asset_market, liability_market, amount_in, amount_out, state, calculation, facts)
    recalculate(user, CROSS, spot_markets, perp_markets, oracles, state, calculation, facts)
    through = can_exit_liquidation(calculation, CROSS)
    exit_or_enter_bankruptcy(user, CROSS, through, NO_PERP_MARKET, spot_markets, perp_markets, facts)
