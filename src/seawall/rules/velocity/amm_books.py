"""The AMM's own books: its equity, ``total_fee_minus_distributions``, and the income since the last funding update.

All quote 1e6. Costs of its curve go through ``rules/common/amm_budget.py``. Source: velocity/amm-and-funding.md §2;
``vlp/amm/state.rs``, ``vlp/amm/quoter.rs``.
"""

from seawall.arithmetic import checked_i64, to_i64
from seawall.lanes import rule
from seawall.state.perp_market import AMM


@rule
def apply_fill_fees(amm: AMM, fee_to_market: int, surplus: int) -> None:
    """Book what a fill leaves to the AMM, and the spread surplus (signed) that is counted beside it.

    The surplus is part of the equity only where the caller put it into ``fee_to_market``.
    Source: velocity/amm-and-funding.md §2, §3.
    """
    amm.total_fee += fee_to_market
    amm.total_mm_fee += surplus
    record_amm_pnl(amm, fee_to_market)


@rule
def record_amm_pnl(amm: AMM, pnl: int) -> None:
    """Book a profit or loss of the AMM: equity and income since the last funding update. ``MathError`` beyond i64."""
    amm.total_fee_minus_distributions += pnl
    amm.net_revenue_since_last_funding = checked_i64(amm.net_revenue_since_last_funding + to_i64(pnl))


@rule
def record_credit(amm: AMM, amount: int) -> None:
    """Book money put into the AMM that it did not earn: equity only."""
    amm.total_fee_minus_distributions += amount
