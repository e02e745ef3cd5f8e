"""Bounds of Velocity's parameters. Source: velocity/protocol-fees-and-roles.md §5; ``instructions/admin``."""

from typing import Final

from seawall.arithmetic import PERCENTAGE_PRECISION
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.market_validation import (
    FEE_DENOMINATOR,
    FEE_PERCENTAGE_DENOMINATOR,
    MAX_LIQUIDATION_IF_FEE,
    MAX_MAKER_REBATE_NUMERATOR,
    validate_filler_rewards,
)
from seawall.state.exchange import FeeStructure, FeeTier

MAX_FEE_NUMERATOR: Final = 300
FEE_PRECISION: Final = 1_000_000
"""What taker fee and rebate are compared in."""

MAX_PROTOCOL_LIQUIDATION_FEE: Final = 100_000
"""A tenth (1e6)."""


@rule
def validate_if_factor(if_fee_factor: int, protocol_fee_factor: int) -> None:
    """Both carve-outs of deposit interest (1e6) leave the lenders something; ``DefaultError``.

    Source: velocity/balances.md §14; ``admin/lending.rs::handle_update_spot_market_if_factor``.
    """
    if if_fee_factor + protocol_fee_factor >= PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_liquidation_fees(liquidator_fee: int, if_liquidation_fee: int, protocol_liquidation_fee: int) -> None:
    """Liquidation fees (1e6) together below 1, the protocol's at most a tenth; ``DefaultError``.

    Source: velocity/protocol-fees-and-roles.md §5.
    """
    if liquidator_fee + if_liquidation_fee + protocol_liquidation_fee >= PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.DefaultError)
    if protocol_liquidation_fee > MAX_PROTOCOL_LIQUIDATION_FEE:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_spot_liquidation_fees(liquidator_fee: int, if_liquidation_fee: int, protocol_liquidation_fee: int) -> None:
    """As ``validate_liquidation_fees``; of a spot market insurance's is at most a tenth too; ``DefaultError``."""
    validate_liquidation_fees(liquidator_fee, if_liquidation_fee, protocol_liquidation_fee)
    if if_liquidation_fee > MAX_LIQUIDATION_IF_FEE:
        raise SettlementError(ErrorCode.DefaultError)


@rule
def validate_fee_tier(tier: FeeTier, filler_reward_numerator: int) -> None:
    """One fee tier leaves something for the market, and at least the rebate; ``InvalidFeeStructure``.

    Drift asks for fixed denominators and for rewards of at most a fifth. Source: velocity/pools-and-fees.md §2;
    ``validation/fee_structure.rs::validate_fee_tier``.
    """
    if tier.fee_numerator > MAX_FEE_NUMERATOR or tier.fee_denominator < FEE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if tier.maker_rebate_numerator > MAX_MAKER_REBATE_NUMERATOR or tier.maker_rebate_denominator < FEE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    one = FEE_PERCENTAGE_DENOMINATOR
    if tier.referee_fee_numerator > one or tier.referee_fee_denominator != one:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    if tier.referrer_reward_numerator > one or tier.referrer_reward_denominator != one:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    taker = tier.fee_numerator * (one - tier.referee_fee_numerator) // one
    to_market = taker - taker * (tier.referrer_reward_numerator + filler_reward_numerator) // one
    if to_market < 0 or to_market > tier.fee_numerator:
        raise SettlementError(ErrorCode.InvalidFeeStructure)
    rebate = tier.maker_rebate_numerator * FEE_PRECISION // tier.maker_rebate_denominator
    if to_market * FEE_PRECISION // tier.fee_denominator < rebate:
        raise SettlementError(ErrorCode.InvalidFeeStructure)


@rule
def validate_fee_structure(structure: FeeStructure) -> None:
    """Ten fee tiers, the filler's reward, the flat filler fee, and the split; ``InvalidFeeStructure``.

    Source: velocity/pools-and-fees.md §2; ``validation/fee_structure.rs``.
    """
    for i in range(10):
        validate_fee_tier(structure.fee_tiers[i], structure.filler_reward_structure.reward_numerator)
    validate_filler_rewards(structure)
    if structure.amm_fee_numerator + structure.if_fee_numerator > FEE_PERCENTAGE_DENOMINATOR:
        raise SettlementError(ErrorCode.InvalidFeeStructure)


@rule
def highest_populated_tier(structure: FeeStructure) -> int:
    """The last tier that charges anything, 0 where none does. Source: velocity/protocol-fees-and-roles.md §5."""
    highest = 0
    for i in range(10):
        if structure.fee_tiers[i].fee_numerator > 0:
            highest = i
    return highest
