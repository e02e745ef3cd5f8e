"""How a fill's fees reach Velocity's books: the AMM's own, the fee ledger, the traders. Quote 1e6.

What a fill is apart from its fees: ``rules/common/perp_fills.py``. Source: velocity/pools-and-fees.md §4;
``controller/orders/settle.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.perp_fills import book_traders_of_match
from seawall.rules.velocity.amm_books import apply_fill_fees
from seawall.rules.velocity.fee_ledger import accrue_fill_fees
from seawall.state.orders import FillFacts
from seawall.state.perp_market import FeeLedger, PerpMarket
from seawall.state.user import User, UserStats


@rule
def book_spread_surplus(ledger: FeeLedger, surplus: int) -> None:
    """Count the spread surplus that the AMM booked and the sweep may turn into its tokens; a loss lowers it first.

    Never below 0: what a loss takes beyond it is only in the AMM's equity. Source: the parameter
    ``tokenize_spread_surplus`` (docs/rulebooks.md).
    """
    ledger.pending_amm_surplus = max(0, ledger.pending_amm_surplus + surplus)


@rule
def book_market_fees(market: PerpMarket, facts: FillFacts, tokenize_surplus: bool) -> None:
    """A fill's income in the books of the AMM, then in the fee ledger.

    Drift books the whole rest of the fee as the AMM's income. ``tokenize_surplus``: count what of the surplus the AMM
    booked. ``MathError`` beyond the fields. Source: velocity/pools-and-fees.md §4.
    """
    ledger = market.fee_ledger
    apply_fill_fees(market.amm, facts.fee_to_market, facts.quote_asset_amount_surplus)
    accrue_fill_fees(ledger, facts.user_fee, facts.protocol_fee, facts.if_fee, facts.amm_fee)
    if tokenize_surplus:
        # of a post-only user's fill the AMM books no surplus, only its cut of it
        book_spread_surplus(ledger, facts.fee_to_market - facts.amm_fee)


@rule
def book_match_fees(
    market: PerpMarket, taker: User, taker_stats: UserStats, maker: User, maker_stats: UserStats, facts: FillFacts
) -> None:
    """Market, taker and maker of a match: cuts, fee with the builder's, rebate, lifetime figures.

    Source: velocity/pools-and-fees.md §4.
    """
    book_market_fees(market, facts, False)
    book_traders_of_match(market, taker, taker_stats, maker, maker_stats, facts)
