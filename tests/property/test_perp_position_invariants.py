"""The market's totals are the sums over its positions, whatever is traded. Rules of pools-and-pnl.md §2."""

from hypothesis import given
from hypothesis import strategies as st

from seawall.rules.common.perp_positions import (
    get_claimable_pnl,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition

STEP = 100
users = st.integers(0, 3)
bases = st.integers(-50, 50).map(lambda n: n * STEP)
quotes = st.integers(-(10**6), 10**6)
trades = st.tuples(st.just("trade"), users, bases, quotes)
fees = st.tuples(st.just("fee"), users, quotes, quotes)
settlements = st.tuples(st.just("settle"), users, quotes, quotes)


@given(st.lists(st.one_of(trades, trades, fees, settlements), max_size=30), st.integers(-5, 5), st.integers(-5, 5))
def test_market_totals_are_sums_of_positions(
    moves: list[tuple[str, int, int, int]], rate_long: int, rate_short: int
) -> None:
    """After any sequence of trades, fees and settlements: longs, shorts, quote, entries and break-evens of the market
    equal the sums over its positions, and it counts exactly the users with a position, and those with base.
    """
    market = PerpMarket()
    amm = market.amm
    amm.order_step_size = STEP
    amm.cumulative_funding_rate_long, amm.cumulative_funding_rate_short = rate_long, rate_short
    positions = [PerpPosition() for _ in range(4)]
    for kind, who, first, second in moves:
        position = positions[who]
        if kind == "trade":
            update_position_and_market(position, market, first, second)
        elif kind == "fee":
            update_quote_asset_and_break_even_amount(position, market, second)
        else:
            update_quote_asset_amount(position, market, second)

        longs = [p for p in positions if p.base_asset_amount > 0]
        shorts = [p for p in positions if p.base_asset_amount < 0]
        assert amm.base_asset_amount_long == sum(p.base_asset_amount for p in longs)
        assert amm.base_asset_amount_short == sum(p.base_asset_amount for p in shorts)
        assert amm.quote_asset_amount == sum(p.quote_asset_amount for p in positions)
        assert amm.quote_entry_amount_long == sum(p.quote_entry_amount for p in longs)
        assert amm.quote_entry_amount_short == sum(p.quote_entry_amount for p in shorts)
        assert amm.quote_break_even_amount_long == sum(p.quote_break_even_amount for p in longs)
        assert amm.quote_break_even_amount_short == sum(p.quote_break_even_amount for p in shorts)
        assert market.number_of_users_with_base == len(longs) + len(shorts)
        assert market.number_of_users == sum(p.base_asset_amount != 0 or p.quote_asset_amount != 0 for p in positions)


@given(st.lists(st.tuples(bases, quotes), max_size=20))
def test_realised_gain_is_quote_less_entry(trades: list[tuple[int, int]]) -> None:
    """Without fees the P&L that trades realised is, to the unit, what the position's quote exceeds its entry by."""
    market = PerpMarket()
    market.amm.order_step_size = STEP
    position = PerpPosition()
    realised = sum(update_position_and_market(position, market, base, quote) for base, quote in trades)
    assert position.quote_asset_amount - position.quote_entry_amount == realised


@given(quotes, quotes, st.integers(-(10**6), 10**6), st.integers(0, 10**6), bases)
def test_a_claim_is_never_more_than_the_pnl(quote: int, entry: int, excess: int, price: int, base: int) -> None:
    """A claim has the sign of the P&L, never exceeds it, and a larger excess never makes it smaller."""
    position = PerpPosition(base_asset_amount=base, quote_asset_amount=quote, quote_entry_amount=entry)
    pnl = get_claimable_pnl(position, price, 10**30)
    claim = get_claimable_pnl(position, price, excess)
    assert claim == pnl or 0 <= claim <= pnl
    assert get_claimable_pnl(position, price, excess + 1) >= claim
