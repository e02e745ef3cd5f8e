"""What the admin may set: ratios, weights, rates, fees, factors, insurance caps. Source: instructions.md §2.9, §3."""

from typing import Final

from seawall.arithmetic import MARGIN_PRECISION, PERCENTAGE_PRECISION, SPOT_IMF_PRECISION, SPOT_WEIGHT_PRECISION
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import CONTRACT_TIER_A, CONTRACT_TIER_B, CONTRACT_TIER_C, RULEBOOK_VELOCITY
from seawall.state.exchange import FeeStructure, FeeTier
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket

MINIMUM_MARGIN_RATIO: Final = 200
MARGIN_RATIO_TO_FEE: Final = 100
"""A margin ratio (1e4) times 100 is in the precision of fees and spreads (1e6)."""

FEE_DENOMINATOR: Final = 100_000
FEE_PERCENTAGE_DENOMINATOR: Final = 100
MAX_FEE_NUMERATOR: Final = 100
MAX_MAKER_REBATE_NUMERATOR: Final = 30
MAX_FEE_PERCENTAGE: Final = 20
MAX_FLAT_FILLER_FEE: Final = 10_000
"""Quote 1e6: what an open order counts in margin. Source: fees.md §1."""

INSURANCE_A_MAX: Final = 100_000_000_000_000
INSURANCE_B_MAX: Final = 1_000_000_000_000
INSURANCE_C_MAX: Final = 100_000_000_000
"""Quote 1e6. Source: insurance.md §1.4."""

MINIMUM_MAX_REVENUE_WITHDRAW: Final = 250_000_000
"""Quote 1e6: admitted for every tier. Source: solvency.md §1.3."""

MAX_LIQUIDATION_IF_FEE: Final = 100_000
"""A spot market's ``if_liquidation_fee``, 1e6. Source: instructions.md §2.9."""

MAX_FEE_ADJUSTMENT: Final = 100
MAX_CURVE_INTENSITY: Final = 200


@rule
def validate_margin(
    margin_ratio_initial: int, margin_ratio_maintenance: int, liquidator_fee: int, max_spread: int
) -> None:
    """Margin ratios (1e4) against each other, the liquidation fee and the largest spread (1e6).

    ``InvalidMarginRatio``. Source: instructions.md §2.9; ``validation/margin.rs::validate_margin``.
    """
    if margin_ratio_initial < MINIMUM_MARGIN_RATIO or margin_ratio_initial > MARGIN_PRECISION:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    if margin_ratio_initial <= margin_ratio_maintenance:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    if margin_ratio_maintenance < MINIMUM_MARGIN_RATIO or margin_ratio_maintenance > MARGIN_PRECISION:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    if margin_ratio_maintenance * MARGIN_RATIO_TO_FEE <= liquidator_fee:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    if margin_ratio_initial * MARGIN_RATIO_TO_FEE <= max_spread:
        raise SettlementError(ErrorCode.InvalidMarginRatio)


@rule
def validate_borrow_rate(
    optimal_utilization: int, optimal_borrow_rate: int, max_borrow_rate: int, min_borrow_rate: int
) -> None:
    """A borrow-rate curve (1e6; the minimum in half percents) rises; ``InvalidSpotMarketInitialization``.

    Source: balances.md §4.1; ``validation/spot_market.rs::validate_borrow_rate``.
    """
    if optimal_utilization > PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
    if optimal_borrow_rate > max_borrow_rate:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
    if optimal_borrow_rate < min_borrow_rate * 5_000:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)


@rule
def validate_margin_weights(
    market_index: int,
    initial_asset_weight: int,
    maintenance_asset_weight: int,
    initial_liability_weight: int,
    maintenance_liability_weight: int,
    imf_factor: int,
) -> None:
    """Spot weights (1e4): the quote token counts in full, every other asset less and every other debt more.

    ``InvalidSpotMarketInitialization``.
    Source: instructions.md §2.9; ``validation/margin.rs::validate_margin_weights``.
    """
    one = SPOT_WEIGHT_PRECISION
    if market_index == 0:
        valid = (
            initial_asset_weight == one
            and maintenance_asset_weight == one
            and initial_liability_weight == one
            and maintenance_liability_weight == one
        )
    else:
        valid = (
            initial_asset_weight < one
            and initial_asset_weight <= maintenance_asset_weight
            and maintenance_asset_weight > 0
            and maintenance_asset_weight < one
            and initial_liability_weight > one
            and initial_liability_weight >= maintenance_liability_weight
            and maintenance_liability_weight > one
        )
    if not valid or imf_factor >= SPOT_IMF_PRECISION:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)


@rule
def validate_if_factor(user_if_factor: int, total_if_factor: int) -> None:
    """Stakers' part (1e6) ≤ the whole insurance part ≤ 1; ``DefaultError``. Source: insurance.md §8."""
    if user_if_factor > total_if_factor or total_if_factor > PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_spot_liquidation_fee(liquidator_fee: int, if_liquidation_fee: int) -> None:
    """Liquidation fees (1e6) of a spot market; ``DefaultError``. Source: instructions.md §2.9."""
    if liquidator_fee + if_liquidation_fee >= PERCENTAGE_PRECISION or if_liquidation_fee > MAX_LIQUIDATION_IF_FEE:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_perp_liquidation_fee(liquidator_fee: int, if_liquidation_fee: int) -> None:
    """Liquidation fees (1e6) of a perp market; ``DefaultError``. Source: instructions.md §2.9."""
    if liquidator_fee + if_liquidation_fee >= PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_fee_tier(tier: FeeTier, filler_reward_numerator: int) -> None:
    """One fee tier leaves something for the market; ``InvalidFeeStructure``.

    Source: fees.md §1; ``validation/fee_structure.rs::validate_fee_tier``.
    """
    if tier.fee_numerator > MAX_FEE_NUMERATOR or tier.fee_denominator != FEE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if tier.maker_rebate_numerator > MAX_MAKER_REBATE_NUMERATOR or tier.maker_rebate_denominator != FEE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if tier.referee_fee_numerator > MAX_FEE_PERCENTAGE or tier.referee_fee_denominator != FEE_PERCENTAGE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if (
        tier.referrer_reward_numerator > MAX_FEE_PERCENTAGE
        or tier.referrer_reward_denominator != FEE_PERCENTAGE_DENOMINATOR
    ):
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    taker_fee = tier.fee_numerator * (FEE_PERCENTAGE_DENOMINATOR - tier.referee_fee_numerator)
    taker_fee = taker_fee // FEE_PERCENTAGE_DENOMINATOR
    rewards = taker_fee * (tier.referrer_reward_numerator + filler_reward_numerator) // FEE_PERCENTAGE_DENOMINATOR
    if taker_fee - tier.maker_rebate_numerator - rewards < 0:
        raise SettlementError(ErrorCode.InvalidFeeStructure)


@rule
def validate_fee_structure(structure: FeeStructure) -> None:
    """Ten fee tiers, the filler's reward and the flat filler fee; ``InvalidFeeStructure``. Source: fees.md §1."""
    for i in range(10):
        validate_fee_tier(structure.fee_tiers[i], structure.filler_reward_structure.reward_numerator)
    validate_filler_rewards(structure)


@rule
def validate_filler_rewards(structure: FeeStructure) -> None:
    """The filler's percentage and the flat filler fee; ``InvalidFeeStructure``. Source: fees.md §1."""
    reward = structure.filler_reward_structure
    if reward.reward_numerator > MAX_FEE_PERCENTAGE or reward.reward_denominator != FEE_PERCENTAGE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if structure.flat_filler_fee > MAX_FLAT_FILLER_FEE:
        raise SettlementError(ErrorCode.InvalidFeeStructure)


@rule
def max_insurance_for_tier(contract_tier: int) -> int:
    """Quote (1e6) that a perp market of a tier may be promised from insurance. Source: insurance.md §1.4."""
    if contract_tier == CONTRACT_TIER_A:
        return INSURANCE_A_MAX
    if contract_tier == CONTRACT_TIER_B:
        return INSURANCE_B_MAX
    if contract_tier == CONTRACT_TIER_C:
        return INSURANCE_C_MAX
    return 0


@rule
def validate_max_imbalances(
    market: PerpMarket,
    unrealized_pnl_max_imbalance: int,
    max_revenue_withdraw_per_period: int,
    quote_max_insurance: int,
) -> None:
    """Insurance caps (quote 1e6) of a perp market against its tier; ``DefaultError``. Source: solvency.md §1.3."""
    cap = max_insurance_for_tier(market.contract_tier)
    if max_revenue_withdraw_per_period > max(cap, MINIMUM_MAX_REVENUE_WITHDRAW):
        raise SettlementError(ErrorCode.DefaultError)
    if unrealized_pnl_max_imbalance > cap + 1:
        raise SettlementError(ErrorCode.DefaultError)
    if quote_max_insurance > cap or market.insurance_claim.quote_settled_insurance > quote_max_insurance:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_spot_market_oracle(market: SpotMarket) -> None:
    """The quote oracle goes with market 0 and 6 decimals; any other market needs another oracle.

    Drift: a token has at least 6 decimals.
    Velocity: a token has at least 5 decimals.
    ``InvalidSpotMarketInitialization``. Source: instructions.md §3.2; balances.md §1 (newer).
    """
    is_quote = market.market_index == 0
    if (market.oracle_index == 0) != is_quote:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
    if is_quote and market.decimals != 6:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
    least = 6
    if market.rulebook == RULEBOOK_VELOCITY:
        least = 5
    if market.decimals < least:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
