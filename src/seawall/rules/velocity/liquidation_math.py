"""What Velocity's liquidations add to the shared arithmetic: the fee ramp, the fee split, protective prices, swaps.

Fees, rates and multipliers 1e6, prices 1e6, times in slots and in whole periods of 400 ms.
Source: velocity/liquidation.md §1, §3, §4; ``math/liquidation.rs``.
"""

from typing import Final

from seawall.arithmetic import PRICE_PRECISION, U32_MAX, div_trunc, pow10, sub_checked, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import (
    DUST_VALUE,
    FEE_PER_MARGIN_RATIO,
    calculate_asset_transfer_for_liability_transfer_exact,
    calculate_liability_transfer_to_cover_margin_shortage,
)
from seawall.state.perp_market import PerpMarket

PERIOD_MS: Final = 400
SLOT_MS: Final = 400
"""How long a slot of the venue lasts: the baseline, in which a slot is a period."""

LIQUIDATION_FEE_GRACE_PERIODS: Final = 1_500
"""600 seconds in which a liquidator's fee does not grow."""

LIQUIDATION_FEE_INCREASE_PER_PERIOD: Final = 1
MAX_LIQUIDATION_MULTIPLIER: Final = 3


# --- time ------------------------------------------------------------------------------------------------------


@rule
def elapsed_periods(since_slot: int, slot: int, slot_ms: int) -> int:
    """Whole periods of 400 ms between two slots; ``MathError`` for a slot before the first.

    Source: velocity/liquidation.md §1.
    """
    return sub_checked(slot, since_slot) * slot_ms // PERIOD_MS


@rule
def get_liquidation_fee(
    base_liquidation_fee: int, max_liquidation_fee: int, last_active_slot: int, slot: int, slot_ms: int
) -> int:
    """The liquidator's fee (1e6): the longer a liquidation takes, the higher, up to a maximum.

    All periods count, those of the grace included, so that it jumps when the grace is over; before that a fee above
    the maximum stays as it is: both deliberate, they are the program's. ``MathError``.
    Source: velocity/liquidation.md §3.9; ``math/liquidation.rs::get_liquidation_fee``.
    """
    elapsed = elapsed_periods(last_active_slot, slot, slot_ms)
    if elapsed < LIQUIDATION_FEE_GRACE_PERIODS:
        return base_liquidation_fee
    grown = min(base_liquidation_fee + elapsed * LIQUIDATION_FEE_INCREASE_PER_PERIOD, U32_MAX)
    return min(max_liquidation_fee, grown)


@rule
def get_max_liquidation_fee(market: PerpMarket) -> int:
    """Most that a perp liquidator's fee grows to: three times the fee, or the maintenance ratio; ``MathError``.

    Source: velocity/liquidation.md §3.9; ``state/perp_market.rs::get_max_liquidation_fee``.
    """
    multiplied = market.liquidator_fee * MAX_LIQUIDATION_MULTIPLIER
    if multiplied > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    return min(multiplied, min(market.margin_ratio_maintenance * FEE_PER_MARGIN_RATIO, U32_MAX))


# --- the fee split ---------------------------------------------------------------------------------------------


@rule
def split_liquidation_fee(budget: int, if_liquidation_fee: int) -> tuple[int, int]:
    """Rates (1e6) of insurance, which comes first, and of the protocol, of what a liquidation can bear of both.

    Source: velocity/liquidation.md §4.
    """
    if_rate = min(budget, if_liquidation_fee)
    return if_rate, budget - if_rate


@rule
def liquidation_fee_cap(if_liquidation_fee: int, protocol_liquidation_fee: int) -> int:
    """The rates of insurance and protocol together; ``MathError`` beyond u32."""
    cap = if_liquidation_fee + protocol_liquidation_fee
    if cap > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    return cap


# --- prices ----------------------------------------------------------------------------------------------------


@rule
def calculate_user_protective_asset_price(price: int, confidence: int, twap_5min: int) -> int:
    """The highest of price, TWAP and price plus confidence: at it the user gives least of an asset.

    Source: velocity/liquidation.md §3.10.
    """
    return max(price, max(twap_5min, price + confidence))


@rule
def calculate_user_protective_liability_price(price: int, confidence: int, twap_5min: int) -> int:
    """The lowest of price, TWAP and price less confidence, at least 1: at it a liability costs the user least.

    Source: velocity/liquidation.md §3.10.
    """
    return max(1, min(price, min(twap_5min, price - confidence)))


# --- transfers -------------------------------------------------------------------------------------------------


@rule
def liability_transfer_to_cover_margin_shortage(
    margin_shortage: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    if_liquidation_fee: int,
) -> int:
    """Tokens of a liability, at least 1, whose transfer covers a shortage; ``UNLIMITED``, ``MathError`` as shared.

    Source: velocity/liquidation.md §3.2.
    """
    amount = calculate_liability_transfer_to_cover_margin_shortage(
        margin_shortage, asset_weight, asset_multiplier, liability_weight, liability_multiplier, liability_decimals,
        liability_price, if_liquidation_fee,
    )  # fmt: skip
    return max(1, amount)


@rule
def whole_asset_if_dust_is_left(asset_amount: int, transfer: int, asset_decimals: int, asset_price: int) -> int:
    """The transfer, or all of the asset where the difference is dust, in either direction.

    The dust is scaled the wrong way round: deliberate, it is the program's, as is a result above ``asset_amount``.
    Source: velocity/liquidation.md §3.4.
    """
    rest = abs(transfer - asset_amount) * to_u128(asset_price) // PRICE_PRECISION
    if asset_decimals > 6:
        rest = rest * pow10(asset_decimals - 6)
    else:
        rest = rest // pow10(6 - asset_decimals)
    if rest < DUST_VALUE:
        return asset_amount
    return transfer


@rule
def calculate_asset_transfer_for_liability_transfer(
    asset_amount: int,
    asset_multiplier: int,
    asset_decimals: int,
    asset_price: int,
    liability_transfer: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    dust_price: int,
) -> int:
    """Tokens of the asset that pay for a liability, at least 1; all of it where the difference is dust.

    ``dust_price`` is the oracle's, where the exchange rate is made of protective prices.
    Source: velocity/liquidation.md §3.4, §3.10.
    """
    transfer = calculate_asset_transfer_for_liability_transfer_exact(
        asset_multiplier, asset_decimals, asset_price, liability_transfer, liability_multiplier, liability_decimals,
        liability_price,
    )  # fmt: skip
    return whole_asset_if_dust_is_left(asset_amount, transfer, asset_decimals, dust_price)


@rule
def validate_swap_within_liquidation_boundaries(
    asset_transfer: int,
    liability_transfer: int,
    asset_decimals: int,
    liability_decimals: int,
    asset_price: int,
    liability_price: int,
    asset_multiplier: int,
    liability_multiplier: int,
) -> None:
    """``InvalidLiquidation`` for a swap that pays less of the liability than a liquidator's discount would.

    Source: velocity/liquidation.md §3.12.
    """
    paid = liability_transfer * PRICE_PRECISION // pow10(liability_decimals) * pow10(asset_decimals)
    least = to_u128(asset_price) * PRICE_PRECISION * liability_multiplier
    least = div_trunc(div_trunc(least, to_u128(liability_price)), asset_multiplier)
    if div_trunc(paid, asset_transfer) < least:
        raise SettlementError(ErrorCode.InvalidLiquidation)
