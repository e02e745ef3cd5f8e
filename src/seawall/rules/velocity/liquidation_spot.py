"""``liquidate_spot``: a liquidator takes over a borrow of the cross margin and is given a deposit at a discount.

Source: velocity/liquidation.md §7.1, §7.2; ``controller/liquidation/{spot,spot_side}.rs``.
"""

from typing import Final

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_spot_if_fee,
    liquidation_discount,
    liquidation_premium,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.liquidation_steps import (
    check_price_near_twap,
    check_spot_liquidation_not_paused,
    note_transfer,
    smallest_transfer,
    tokens_to_liquidate,
    transfer_spot_balances_of_liquidation,
)
from seawall.rules.common.margin import TRACK_SPOT
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.token_values import get_token_value
from seawall.rules.velocity.liquidation import (
    NO_PERP_MARKET,
    accrue_and_price,
    allow_part,
    cancel_orders,
    check_neither_bankrupt,
    check_pool,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
)
from seawall.rules.velocity.liquidation_math import (
    calculate_asset_transfer_for_liability_transfer,
    liability_transfer_to_cover_margin_shortage,
    liquidation_fee_cap,
    split_liquidation_fee,
)
from seawall.rules.velocity.margin import (
    calculate_liquidation_margin,
    margin_shortage,
    tracked_market_margin_shortage,
)
from seawall.rules.velocity.user_status import CROSS, enter_liquidation
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

LST_POOL: Final = 2


# --- before the entry, of this and of the liquidation by a swap --------------------------------------------------


@rule
def check_lst_pool_delays(
    asset_market: SpotMarket,
    liability_market: SpotMarket,
    asset_oracle: OraclePriceData,
    liability_oracle: OraclePriceData,
) -> None:
    """In the pool of liquid staking tokens both prices are of this very slot, else ``InvalidLiquidation``.

    Source: velocity/liquidation.md §7.1.
    """
    both = asset_market.pool_id == LST_POOL and liability_market.pool_id == LST_POOL
    if both and (asset_oracle.delay != 0 or liability_oracle.delay != 0):
        raise SettlementError(ErrorCode.InvalidLiquidation)


@rule
def leaves_spot_liquidation_at_entry(
    user: User,
    liability_market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """The entry gate of cross margin, with the borrow's market tracked. Source: velocity/liquidation.md §5."""
    calculation.tracked_market_type = TRACK_SPOT
    calculation.tracked_market_index = liability_market_index
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    return leave_or_refuse(user, CROSS, calculation, facts)


# --- fees and size ---------------------------------------------------------------------------------------------


@rule
def note_spot_fee_rates(
    liability_market: SpotMarket,
    tracked_shortage: int,
    token_amount: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_price: int,
    facts: LiquidationFacts,
) -> int:
    """Note what insurance, which comes first, and the protocol are paid (1e6); the sum, which the shortage can bear.

    Source: velocity/liquidation.md §3.7, §4.
    """
    cap = liquidation_fee_cap(liability_market.if_liquidation_fee, liability_market.protocol_liquidation_fee)
    budget = calculate_spot_if_fee(
        tracked_shortage, token_amount, asset_weight, asset_multiplier, liability_weight, liability_multiplier,
        liability_market.decimals, liability_price, cap,
    )  # fmt: skip
    facts.if_rate, facts.protocol_rate = split_liquidation_fee(budget, liability_market.if_liquidation_fee)
    return budget


@rule
def calculate_spot_transfer(
    user: User,
    asset_market: SpotMarket,
    liability_market: SpotMarket,
    asset_tokens: int,
    liability_tokens: int,
    asked: int,
    asset_oracle_price: int,
    price: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Size the transfer and note it; False where nothing may go yet.

    Shortage, fees and values count at the oracles' prices (``asset_oracle_price``, ``price``), what is exchanged for
    what at those noted: deliberate. ``InvalidMarginCalculation`` without a buffer, ``MathError``,
    ``InvalidLiquidation`` for a transfer of nothing. Source: velocity/liquidation.md §7.2.
    """
    asset_multiplier = liquidation_premium(asset_market.liquidator_fee)
    multiplier = liquidation_discount(liability_market.liquidator_fee)
    asset_weight = asset_market.maintenance_asset_weight
    weight = liability_market.maintenance_liability_weight + state.liquidation_margin_buffer_ratio
    decimals = liability_market.decimals
    shortage = margin_shortage(calculation, CROSS)
    tracked = tracked_market_margin_shortage(calculation, shortage, CROSS)
    budget = note_spot_fee_rates(
        liability_market, tracked, liability_tokens, asset_weight, asset_multiplier, weight, multiplier, price, facts
    )
    to_cover = liability_transfer_to_cover_margin_shortage(
        shortage, asset_weight, asset_multiplier, weight, multiplier, decimals, price, budget
    )
    allowed = allow_part(user, CROSS, shortage, to_cover, state, slot, facts)
    if allowed == 0:
        return False
    implied = calculate_liability_transfer_implied_by_asset_amount(
        asset_tokens, asset_multiplier, asset_market.decimals, facts.asset_price, multiplier, decimals,
        facts.liability_price,
    )  # fmt: skip
    value = get_token_value(liability_tokens, decimals, price)
    transfer = smallest_transfer(asked, liability_tokens, allowed, implied, value, facts)
    asset_transfer = calculate_asset_transfer_for_liability_transfer(
        asset_tokens, asset_multiplier, asset_market.decimals, facts.asset_price, transfer, multiplier, decimals,
        facts.liability_price, asset_oracle_price,
    )  # fmt: skip
    note_transfer(asset_transfer, transfer, facts)
    return True


# --- the instruction -------------------------------------------------------------------------------------------


@rule
def check_spot_liquidation(
    user: User, liquidator: User, asset_market: SpotMarket, liability_market: SpotMarket
) -> None:
    """``UserBankrupt``; of asset and liability in turn ``InvalidLiquidation``, ``InvalidPoolId``; then the positions:
    ``CouldNotFindSpotPosition``, ``NoSpotPositionAvailable``. Source: velocity/liquidation.md §7.1.
    """
    check_neither_bankrupt(user, CROSS, liquidator)
    check_spot_liquidation_not_paused(asset_market)
    check_pool(liquidator, asset_market.pool_id)
    check_spot_liquidation_not_paused(liability_market)
    check_pool(liquidator, liability_market.pool_id)
    get_spot_position_index(user, asset_market.market_index)
    get_spot_position_index(user, liability_market.market_index)
    force_get_spot_position_index(liquidator, asset_market.market_index)
    force_get_spot_position_index(liquidator, liability_market.market_index)


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

    ``NO_LIMIT_PRICE`` or a limit (1e6: least asset for a liability token). Errors in order: those of
    ``check_spot_liquidation``, of asset and liability in turn ``InvalidOracle``, ``WrongSpotBalanceType``,
    ``InvalidSpotPosition``; ``InvalidLiquidation``, ``SufficientCollateral``, ``InvalidLiquidation``,
    ``PriceBandsBreached``, ``LiquidationDoesntSatisfyLimitPrice``, ``InsufficientCollateral``.
    Source: velocity/liquidation.md §7.1, §7.2.
    """
    asset_market = spot_markets[asset_market_index]
    liability_market = spot_markets[liability_market_index]
    check_spot_liquidation(user, liquidator, asset_market, liability_market)
    asset_oracle = oracles[asset_market.oracle_index]
    oracle = oracles[liability_market.oracle_index]
    # the bands look at the TWAPs as they were before this instruction: deliberate
    asset_twap = asset_market.historical_oracle_data.last_oracle_price_twap_5min
    twap = liability_market.historical_oracle_data.last_oracle_price_twap_5min
    facts.asset_price = accrue_and_price(asset_market, asset_oracle, True, state, now, asset_interest)
    deposit = user.spot_positions[get_spot_position_index(user, asset_market_index)]
    asset_tokens = tokens_to_liquidate(deposit, asset_market, DEPOSIT)
    facts.liability_price = accrue_and_price(liability_market, oracle, False, state, now, liability_interest)
    debt = user.spot_positions[get_spot_position_index(user, liability_market_index)]
    tokens = tokens_to_liquidate(debt, liability_market, BORROW)
    check_lst_pool_delays(asset_market, liability_market, asset_oracle, oracle)
    if leaves_spot_liquidation_at_entry(
        user, liability_market_index, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    facts.liquidation_id = enter_liquidation(user, CROSS, slot)
    if cancel_orders(user, CROSS, slot) and leaves_after_cancelling(
        user, CROSS, spot_markets, perp_markets, oracles, state, calculation, facts
    ):
        return
    if not calculate_spot_transfer(
        user, asset_market, liability_market, asset_tokens, tokens, liquidator_max_liability_transfer,
        asset_oracle.price, oracle.price, state, slot, calculation, facts,
    ):  # fmt: skip
        return
    check_price_near_twap(oracle.price, twap, state.oracle_guard_rails)
    check_price_near_twap(asset_oracle.price, asset_twap, state.oracle_guard_rails)
    validate_transfer_satisfies_limit_price(
        facts.asset_transfer, facts.liability_transfer, asset_market.decimals, liability_market.decimals, limit_price
    )
    transfer_spot_balances_of_liquidation(user, liquidator, asset_market, liability_market, facts)
    covered = facts.liability_transfer >= facts.to_cover
    conclude(
        user, CROSS, liquidator, covered, False, NO_PERP_MARKET, spot_markets, perp_markets, oracles, state,
        calculation, facts,
    )  # fmt: skip
