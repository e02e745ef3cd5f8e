"""What a liquidation pays an asset out by. Source: liquidation.md §2.4; ``math/liquidation.rs``."""

from seawall.arithmetic import PRICE_PRECISION, pow10, sub_checked, to_u128
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import DUST_VALUE, calculate_asset_transfer_for_liability_transfer_exact


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
) -> int:
    """Tokens of the asset that pay for a liability, at least 1; all of it where the difference is dust.

    The dust is scaled the wrong way round beyond 6 decimals: deliberate, it is the program's, as is a result above
    ``asset_amount``. ``MathError`` below 6 decimals. Source: liquidation.md §2.4.
    """
    transfer = calculate_asset_transfer_for_liability_transfer_exact(
        asset_multiplier, asset_decimals, asset_price, liability_transfer, liability_multiplier, liability_decimals,
        liability_price,
    )  # fmt: skip
    rest = abs(transfer - asset_amount) * to_u128(asset_price) // PRICE_PRECISION
    rest = rest * pow10(sub_checked(asset_decimals, 6))
    if rest < DUST_VALUE:
        return asset_amount
    return transfer
