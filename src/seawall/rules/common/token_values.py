"""What a token amount is worth in quote. Source: balances.md §2; ``math/spot_balance.rs``."""

from seawall.arithmetic import pow10
from seawall.lanes import rule


@rule
def get_token_value(token_amount: int, decimals: int, price: int) -> int:
    """Value (quote 1e6) of signed tokens at a price (1e6): rounded toward −∞, so a debt is never understated.

    Source: margin.md §2; ``math/spot_balance.rs::get_token_value``.
    """
    precision = pow10(decimals)
    product = token_amount * price
    if product >= 0:
        return product // precision
    return -((precision - 1 - product) // precision)


@rule
def get_strict_token_value(token_amount: int, decimals: int, low_price: int, high_price: int) -> int:
    """``get_token_value`` at the less favourable of two prices: a deposit's at the lower, a debt's at the higher one.

    Source: margin.md §2; ``math/spot_balance.rs::get_strict_token_value``.
    """
    if token_amount > 0:
        return get_token_value(token_amount, decimals, low_price)
    return get_token_value(token_amount, decimals, high_price)
