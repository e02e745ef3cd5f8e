"""Revenue that the insurance fund is owed but that still lies in the spot vault; only with ``revenue_receivable``.

The receivable is a scaled deposit inside the market's deposits: it earns interest and belongs to the fund's value.
Without the parameter it is always 0, and the fund is worth what its vault holds.
Source: velocity/insurance.md §2, §9; ``controller/insurance.rs``.
"""

from seawall.arithmetic import checked_u64, sub_checked
from seawall.lanes import rule
from seawall.rules.common.balances import decrease_market_balance, deposit_into_pool, get_spot_balance, get_token_amount
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import PoolBalance, SpotMarket


@rule
def get_revenue_receivable(spot_market: SpotMarket) -> int:
    """Tokens (floor) that the fund is owed, at the present deposit index. Source: velocity/insurance.md §2."""
    return get_token_amount(spot_market.insurance_fund_revenue_receivable_scaled, spot_market, DEPOSIT)


@rule
def get_insurance_fund_nav(spot_market: SpotMarket, insurance_vault_amount: int) -> int:
    """What the fund is worth in tokens: its vault and the receivable. ``MathError`` beyond u64.

    Source: velocity/insurance.md §2; ``controller/insurance.rs::get_insurance_fund_nav``.
    """
    return checked_u64(insurance_vault_amount + get_revenue_receivable(spot_market))


@rule
def book_revenue_receivable(amount: int, spot_market: SpotMarket) -> int:
    """Make ``amount`` tokens of the revenue pool the fund's; returns the tokens booked, the floor of what moved.

    The market's deposits stay as they are. Source: velocity/insurance.md §9.
    """
    pool = spot_market.revenue_pool
    delta = pool.scaled_balance
    if get_token_amount(delta, spot_market, DEPOSIT) > amount:
        delta = get_spot_balance(amount, spot_market, DEPOSIT, True)
    pool.scaled_balance = sub_checked(pool.scaled_balance, delta)
    spot_market.insurance_fund_revenue_receivable_scaled += delta
    return get_token_amount(delta, spot_market, DEPOSIT)


@rule
def pay_out_revenue_receivable(spot_market: SpotMarket) -> int:
    """Clear the receivable; returns the tokens (floor) to move to the insurance vault, the dust stays behind.

    Source: velocity/insurance.md §9.
    """
    tokens = get_revenue_receivable(spot_market)
    decrease_market_balance(spot_market, DEPOSIT, spot_market.insurance_fund_revenue_receivable_scaled)
    spot_market.insurance_fund_revenue_receivable_scaled = 0
    return tokens


@rule
def consume_revenue_receivable(max_amount: int, spot_market: SpotMarket) -> int:
    """Give up to ``max_amount`` tokens of the receivable to the market's lenders; returns the tokens given (floor).

    Source: velocity/insurance.md §9; the spot bankruptcy's tranche after the revenue pool.
    """
    delta = spot_market.insurance_fund_revenue_receivable_scaled
    if get_revenue_receivable(spot_market) > max_amount:
        delta = get_spot_balance(max_amount, spot_market, DEPOSIT, False)
    decrease_market_balance(spot_market, DEPOSIT, delta)
    spot_market.insurance_fund_revenue_receivable_scaled = sub_checked(
        spot_market.insurance_fund_revenue_receivable_scaled, delta
    )
    return get_token_amount(delta, spot_market, DEPOSIT)


@rule
def pay_pool_from_insurance(amount: int, spot_market: SpotMarket, pool: PoolBalance) -> int:
    """Credit a pool with ``amount`` tokens of the fund; returns what the insurance vault must transfer for it.

    The receivable pays first; one credit of the whole. Source: velocity/insurance.md §9; the perp resolvers.
    """
    deposit_into_pool(amount, spot_market, pool)
    from_receivable = min(amount, get_revenue_receivable(spot_market))
    delta = min(
        get_spot_balance(from_receivable, spot_market, DEPOSIT, True),
        spot_market.insurance_fund_revenue_receivable_scaled,
    )
    decrease_market_balance(spot_market, DEPOSIT, delta)
    spot_market.insurance_fund_revenue_receivable_scaled = sub_checked(
        spot_market.insurance_fund_revenue_receivable_scaled, delta
    )
    return amount - from_receivable
