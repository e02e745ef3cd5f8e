"""How far an oracle price can be trusted, and for what.

Source: amm-and-funding.md §9; margin.md §7; ``math/oracle.rs``.
"""

from typing import Final

from seawall.arithmetic import PERCENTAGE_PRECISION, div_trunc, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import (
    ASSET_TIER_COLLATERAL,
    ASSET_TIER_CROSS,
    ASSET_TIER_PROTECTED,
    CONTRACT_TIER_A,
    CONTRACT_TIER_B,
    CONTRACT_TIER_C,
    CONTRACT_TIER_SPECULATIVE,
    ORACLE_INSUFFICIENT_DATA_POINTS,
    ORACLE_NON_POSITIVE,
    ORACLE_STALE_FOR_AMM,
    ORACLE_STALE_FOR_MARGIN,
    ORACLE_TOO_UNCERTAIN,
    ORACLE_TOO_VOLATILE,
    ORACLE_UNKNOWN,
    ORACLE_VALID,
)
from seawall.state.exchange import ValidityGuardRails
from seawall.state.oracle import OraclePriceData

ACTION_MARGIN_CALC: Final = 0
ACTION_SETTLE_PNL: Final = 1
ACTION_UPDATE_FUNDING: Final = 2
ACTION_FILL_ORDER_AMM: Final = 3
ACTION_FILL_ORDER_MATCH: Final = 4
ACTION_ORACLE_ORDER_PRICE: Final = 5
ACTION_LIQUIDATE: Final = 6
ACTION_TRIGGER_ORDER: Final = 7
ACTION_UPDATE_TWAP: Final = 8
ACTION_UPDATE_AMM_CURVE: Final = 9


@rule
def spot_confidence_multiplier(asset_tier: int) -> int:
    """Factor on the largest admitted confidence interval by asset tier."""
    if asset_tier == ASSET_TIER_COLLATERAL or asset_tier == ASSET_TIER_PROTECTED:
        return 1
    if asset_tier == ASSET_TIER_CROSS:
        return 5
    return 50


@rule
def perp_confidence_multiplier(contract_tier: int) -> int:
    """Factor on the largest admitted confidence interval by contract tier."""
    if contract_tier == CONTRACT_TIER_A or contract_tier == CONTRACT_TIER_B:
        return 1
    if contract_tier == CONTRACT_TIER_C:
        return 2
    if contract_tier == CONTRACT_TIER_SPECULATIVE:
        return 10
    return 50


@rule
def oracle_validity(oracle: OraclePriceData, last_twap: int, rails: ValidityGuardRails, multiplier: int) -> int:
    """Class of a price against a 1-hour TWAP (1e6), judged afresh; the first that applies.

    A price of 0 raises ``MathError``, a negative one ``CastingFailure``: the confidence is divided by it first.
    """
    price = oracle.price
    larger = price
    smaller = last_twap
    if last_twap > price:
        larger = last_twap
        smaller = price
    if smaller < 1:
        smaller = 1
    volatility = div_trunc(larger, smaller)
    confidence = oracle.confidence
    if confidence < 1:
        confidence = 1
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    confidence_pct = confidence * PERCENTAGE_PRECISION // to_u128(price)
    if price <= 0:
        return ORACLE_NON_POSITIVE
    if volatility > rails.too_volatile_ratio:
        return ORACLE_TOO_VOLATILE
    if confidence_pct > rails.confidence_interval_max_size * multiplier:
        return ORACLE_TOO_UNCERTAIN
    if oracle.delay > rails.slots_before_stale_for_margin:
        return ORACLE_STALE_FOR_MARGIN
    if not oracle.has_sufficient_number_of_data_points:
        return ORACLE_INSUFFICIENT_DATA_POINTS
    if oracle.delay > rails.slots_before_stale_for_amm:
        return ORACLE_STALE_FOR_AMM
    return ORACLE_VALID


@rule
def cached_oracle_validity(
    oracle_index: int, oracle: OraclePriceData, last_twap: int, rails: ValidityGuardRails, multiplier: int
) -> int:
    """The class that the first question of this instruction got, whoever asked. The quote token is always Valid.

    Deliberate: a later asker's own TWAP and tier are ignored (``state/oracle_map.rs``).
    """
    if oracle_index == 0:
        return ORACLE_VALID
    if oracle.validity == ORACLE_UNKNOWN:
        oracle.validity = oracle_validity(oracle, last_twap, rails, multiplier)
    return oracle.validity


@rule
def is_oracle_valid_for_action(validity: int, action: int) -> bool:
    """Whether a class is good enough for an action. Source: the table of amm-and-funding.md §9."""
    if action == ACTION_MARGIN_CALC or action == ACTION_ORACLE_ORDER_PRICE:
        return (
            validity == ORACLE_VALID or validity == ORACLE_STALE_FOR_AMM or validity == ORACLE_INSUFFICIENT_DATA_POINTS
        )
    if action == ACTION_SETTLE_PNL or action == ACTION_UPDATE_FUNDING:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE and validity != ORACLE_TOO_UNCERTAIN
    if action == ACTION_FILL_ORDER_MATCH:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE and validity != ORACLE_TOO_UNCERTAIN
    if action == ACTION_LIQUIDATE or action == ACTION_TRIGGER_ORDER:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE
    if action == ACTION_UPDATE_TWAP or action == ACTION_UPDATE_AMM_CURVE:
        return validity != ORACLE_NON_POSITIVE
    return validity == ORACLE_VALID
