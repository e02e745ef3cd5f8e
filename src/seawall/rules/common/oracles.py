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
    ORACLE_STALE_FOR_AMM_IMMEDIATE,
    ORACLE_STALE_FOR_MARGIN,
    ORACLE_TOO_UNCERTAIN,
    ORACLE_TOO_VOLATILE,
    ORACLE_UNKNOWN,
    ORACLE_VALID,
    RULEBOOK_VELOCITY,
)
from seawall.state.exchange import ValidityGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket

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
ACTION_FILL_ORDER_AMM_LOW_RISK: Final = 10
ACTION_USE_MM_ORACLE_PRICE: Final = 11


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
    """Class of a price against a 1-hour TWAP (1e6) as Drift judges it, afresh; the first that applies.

    A price of 0 raises ``MathError``, a negative one ``CastingFailure``: the confidence is divided by it first.
    """
    confidence = max(1, oracle.confidence)
    fault = price_fault(oracle, oracle.price, confidence, oracle.delay, last_twap, rails, multiplier)
    if fault != ORACLE_VALID:
        return fault
    if oracle.delay > rails.slots_before_stale_for_amm:
        return ORACLE_STALE_FOR_AMM
    return ORACLE_VALID


@rule
def price_fault(
    oracle: OraclePriceData,
    price: int,
    confidence: int,
    delay: int,
    last_twap: int,
    rails: ValidityGuardRails,
    multiplier: int,
) -> int:
    """What is wrong with a price and its confidence (1e6), but for being too old for the AMM; Valid for nothing.

    Errors as ``oracle_validity``. ``oracle`` says only whether it has sufficient data points.
    """
    volatility = div_trunc(max(price, last_twap), max(1, min(price, last_twap)))
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    confidence_pct = confidence * PERCENTAGE_PRECISION // to_u128(price)
    if price <= 0:
        return ORACLE_NON_POSITIVE
    if volatility > rails.too_volatile_ratio:
        return ORACLE_TOO_VOLATILE
    if confidence_pct > rails.confidence_interval_max_size * multiplier:
        return ORACLE_TOO_UNCERTAIN
    if delay > rails.slots_before_stale_for_margin:
        return ORACLE_STALE_FOR_MARGIN
    if not oracle.has_sufficient_number_of_data_points:
        return ORACLE_INSUFFICIENT_DATA_POINTS
    return ORACLE_VALID


@rule
def staleness_for_amm(delay: int, rails: ValidityGuardRails, immediate_override: int, low_risk_override: int) -> int:
    """Whether a price is too old for the AMM's fills: for any, for immediate ones, or for none; only Velocity asks.

    An immediate override (slots) of 0 makes every price too old, a negative one every price of an earlier slot; a
    low-risk override of 0 is none. Source: drift/amm-and-funding.md §9, newer.
    """
    limit = rails.slots_before_stale_for_amm
    if low_risk_override != 0:
        limit = max(low_risk_override, 0)
    if delay > limit:
        return ORACLE_STALE_FOR_AMM
    if immediate_override == 0 or delay > max(immediate_override, 0):
        return ORACLE_STALE_FOR_AMM_IMMEDIATE
    return ORACLE_VALID


@rule
def perp_price_validity(
    market: PerpMarket, oracle: OraclePriceData, price: int, confidence: int, delay: int, rails: ValidityGuardRails
) -> int:
    """Class of a price that stands for a perp market's oracle price, as Velocity judges it."""
    amm: AMM = market.amm
    fault = price_fault(
        oracle,
        price,
        confidence,
        delay,
        amm.historical_oracle_data.last_oracle_price_twap,
        rails,
        perp_confidence_multiplier(market.contract_tier),
    )
    if fault != ORACLE_VALID:
        return fault
    return staleness_for_amm(delay, rails, amm.oracle_slot_delay_override, amm.oracle_low_risk_slot_delay_override)


@rule
def perp_oracle_validity(market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> int:
    """Class of a perp market's oracle price against its 1-hour TWAP, judged afresh; errors as ``oracle_validity``.

    Drift: a confidence of 0 counts as one unit, and one limit says when a price is too old for the AMM.
    Velocity: the confidence as it is; the market's own limits for immediate and for low-risk fills.
    """
    if market.rulebook == RULEBOOK_VELOCITY:
        return perp_price_validity(market, oracle, oracle.price, oracle.confidence, oracle.delay, rails)
    return oracle_validity(
        oracle,
        market.amm.historical_oracle_data.last_oracle_price_twap,
        rails,
        perp_confidence_multiplier(market.contract_tier),
    )


@rule
def spot_oracle_validity(market: SpotMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> int:
    """Class of a spot market's oracle price against its 1-hour TWAP, judged afresh; errors as ``oracle_validity``.

    Drift: a confidence of 0 counts as one unit.
    Velocity: the confidence as it is. A spot market has no limit of its own for immediate fills, so that every price
    is too old for them.
    """
    twap = market.historical_oracle_data.last_oracle_price_twap
    multiplier = spot_confidence_multiplier(market.asset_tier)
    if market.rulebook == RULEBOOK_VELOCITY:
        fault = price_fault(oracle, oracle.price, oracle.confidence, oracle.delay, twap, rails, multiplier)
        if fault != ORACLE_VALID:
            return fault
        return staleness_for_amm(oracle.delay, rails, 0, 0)
    return oracle_validity(oracle, twap, rails, multiplier)


@rule
def cached_perp_oracle_validity(market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> int:
    """The class that the first question of this instruction got, whoever asked. The quote token is always Valid.

    Deliberate: a later asker's own TWAP and tier are ignored (``state/oracle_map.rs``).
    """
    if market.amm.oracle_index == 0:
        return ORACLE_VALID
    if oracle.validity == ORACLE_UNKNOWN:
        oracle.validity = perp_oracle_validity(market, oracle, rails)
    return oracle.validity


@rule
def cached_spot_oracle_validity(market: SpotMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> int:
    """As ``cached_perp_oracle_validity``, where a spot market asks."""
    if market.oracle_index == 0:
        return ORACLE_VALID
    if oracle.validity == ORACLE_UNKNOWN:
        oracle.validity = spot_oracle_validity(market, oracle, rails)
    return oracle.validity


@rule
def is_oracle_valid_for_action(validity: int, action: int) -> bool:
    """Whether a class is good enough for an action. Source: the table of amm-and-funding.md §9.

    Drift: the AMM fills at a valid price only.
    Velocity: it fills low-risk orders (``ACTION_FILL_ORDER_AMM_LOW_RISK``) also at a price too old for immediate fills.
    """
    stale_for_amm = validity == ORACLE_STALE_FOR_AMM or validity == ORACLE_STALE_FOR_AMM_IMMEDIATE
    if action == ACTION_MARGIN_CALC or action == ACTION_ORACLE_ORDER_PRICE:
        return validity == ORACLE_VALID or stale_for_amm or validity == ORACLE_INSUFFICIENT_DATA_POINTS
    if action == ACTION_SETTLE_PNL or action == ACTION_UPDATE_FUNDING:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE and validity != ORACLE_TOO_UNCERTAIN
    if action == ACTION_FILL_ORDER_MATCH:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE and validity != ORACLE_TOO_UNCERTAIN
    if action == ACTION_LIQUIDATE or action == ACTION_TRIGGER_ORDER or action == ACTION_USE_MM_ORACLE_PRICE:
        return validity != ORACLE_NON_POSITIVE and validity != ORACLE_TOO_VOLATILE
    if action == ACTION_UPDATE_TWAP or action == ACTION_UPDATE_AMM_CURVE:
        return validity != ORACLE_NON_POSITIVE
    if action == ACTION_FILL_ORDER_AMM_LOW_RISK:
        return validity == ORACLE_VALID or validity == ORACLE_STALE_FOR_AMM_IMMEDIATE
    return validity == ORACLE_VALID
