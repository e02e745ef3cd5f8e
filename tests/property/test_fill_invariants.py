"""What holds for every perp fill, whatever its size, side, price, fees and rewards."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.arithmetic import BASE_PRECISION
from seawall.instructions.perp_fills import AmmFill
from seawall.rules.common.fees import calculate_maker_rebate
from seawall.rules.common.perp_fills import calculate_max_base_asset_amount_to_trade
from seawall.rules.common.perp_orders import calculate_quote_asset_amount_for_maker_order
from seawall.rules.drift.fees import calculate_fee_for_fulfillment_with_match, calculate_taker_fee
from seawall.state.enums import LONG, SHORT
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure
from seawall.state.orders import FillFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import UserStats
from tests.support.amm import balanced_market
from tests.support.trading import B, P, TradingVenue, fills_of

ALICE, BOB, MAKER, FILLER, REFERRER = "@alice", "@bob", "@maker", "@filler", "@referrer"
quotes = st.integers(0, 10**16)
adjustments = st.integers(-100, 100)


def make_tier(fee: int, rebate: int, reward: int = 15, discount: int = 5) -> FeeTier:
    return FeeTier(
        fee_numerator=fee,
        fee_denominator=100_000,
        maker_rebate_numerator=rebate,
        maker_rebate_denominator=100_000,
        referrer_reward_numerator=reward,
        referrer_reward_denominator=100,
        referee_fee_numerator=discount,
        referee_fee_denominator=100,
    )


@given(quotes, adjustments, st.integers(20, 100))
def test_the_fee_covers_the_rebate(quote: int, adjustment: int, numerator: int) -> None:
    """Where the taker's rate is at least the maker's, no adjustment and no rounding makes the rebate exceed the fee."""
    tier = make_tier(numerator, 20)
    assert calculate_maker_rebate(quote, tier, adjustment) <= calculate_taker_fee(quote, tier, adjustment)


@given(quotes, st.integers(0, 10**6), st.integers(1_000, 100_000), st.booleans())
def test_a_fee_is_split_without_remainder(quote: int, age: int, multiplier: int, referred: bool) -> None:
    """What the taker pays is what the maker, the filler, the referrer and the market get together."""
    structure = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        referrer_reward_epoch_upper_bound=10**12,
    )
    structure.fee_tiers = [make_tier(100, 20) for _ in range(10)]
    facts = FillFacts(quote_asset_amount=quote)
    calculate_fee_for_fulfillment_with_match(
        facts, UserStats(), UserStats(), structure, 0, 0, age, multiplier, UserStats(), referred
    )
    paid = facts.maker_rebate + facts.filler_reward + facts.referrer_reward + facts.fee_to_market
    assert facts.user_fee == paid
    assert facts.fee_to_market >= 0


@given(st.integers(0, 10**15), st.integers(1, 10**12))
def test_the_maker_rounds_in_its_favour(base: int, price: int) -> None:
    """A maker that buys pays the floor, one that sells gets the ceiling: never more than one unit apart."""
    low = calculate_quote_asset_amount_for_maker_order(base, price, 9, LONG)
    high = calculate_quote_asset_amount_for_maker_order(base, price, 9, SHORT)
    assert low * BASE_PRECISION <= base * price <= high * BASE_PRECISION
    assert high - low <= 1


@given(st.integers(-(10**14), 10**14), st.integers(50 * P, 200 * P))
def test_the_amm_is_traded_to_the_limit_and_not_beyond(net: int, limit: int) -> None:
    """After the largest trade up to a limit the curve's price is not beyond it, by more than a unit of rounding."""
    amm = balanced_market(net).amm
    for direction in (LONG, SHORT):
        size = calculate_max_base_asset_amount_to_trade(amm, limit, direction)
        if size == 0:
            continue
        base = amm.base_asset_reserve - size if direction == LONG else amm.base_asset_reserve + size
        price = amm.sqrt_k**2 * amm.peg_multiplier // base // base
        assert abs(price - limit) <= 1


# --- whole orders ----------------------------------------------------------------------------------------------


def check_totals(venue: TradingVenue) -> None:
    """The market's totals are the sums over its users, and the AMM holds the other side of their net position."""
    market: PerpMarket = venue.perp
    positions = [venue.perp_position(name) for name in (ALICE, BOB, MAKER, FILLER, REFERRER)]
    amm = market.amm
    assert amm.base_asset_amount_long == sum(max(p.base_asset_amount, 0) for p in positions)
    assert amm.base_asset_amount_short == sum(min(p.base_asset_amount, 0) for p in positions)
    assert amm.base_asset_amount_with_amm == amm.base_asset_amount_long + amm.base_asset_amount_short
    assert amm.quote_asset_amount == sum(p.quote_asset_amount for p in positions)
    longs = [p for p in positions if p.base_asset_amount > 0]
    shorts = [p for p in positions if p.base_asset_amount < 0]
    assert amm.quote_entry_amount_long == sum(p.quote_entry_amount for p in longs)
    assert amm.quote_entry_amount_short == sum(p.quote_entry_amount for p in shorts)
    assert amm.quote_break_even_amount_long == sum(p.quote_break_even_amount for p in longs)
    assert amm.quote_break_even_amount_short == sum(p.quote_break_even_amount for p in shorts)
    assert market.number_of_users_with_base == len(longs) + len(shorts)
    assert market.number_of_users == sum(p.base_asset_amount != 0 or p.quote_asset_amount != 0 for p in positions)
    for position in positions:
        assert position.open_bids >= 0 >= position.open_asks
        assert (position.open_orders == 0) == (position.open_bids == 0 == position.open_asks)


trades = st.lists(
    st.tuples(
        st.sampled_from([ALICE, BOB]),
        st.sampled_from(["Long", "Short"]),
        st.integers(1, 200_000),
        st.sampled_from(["amm", "match", "both", "keeper"]),
        st.integers(-800, 800),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(trades, adjustments)
def test_books_balance_after_any_trades(orders: list[tuple[Any, ...]], adjustment: int) -> None:
    """Whatever is traded, refused fills included, the market's totals stay the sums over its users."""
    venue = TradingVenue()
    venue.trader(REFERRER, BOB, MAKER, FILLER)
    venue.trader(ALICE, referrer=REFERRER)
    venue.change_perp(fee_adjustment=adjustment)
    for user, direction, size, kind, offset in orders:
        base = size * B // 1_000
        other: Any = "Short" if direction == "Long" else "Long"
        price = 100 * P + offset * 1_000 // 100 * 100
        if kind == "keeper":
            slot = venue.clock.slot
            venue.now += 3
            venue.post("SOL", 100 * P)
            if venue.reserve(user, direction, base).ok:
                venue.fill(user, direction, base, AmmFill(), order_slot=slot, filler=FILLER)
        elif kind == "amm":
            venue.take(user, direction, base, immediate_or_cancel=size % 2 == 0)
        else:
            venue.reserve(MAKER, other, base)
            fills: list[Any] = [AmmFill(price=price)] if kind == "both" else []
            venue.take(user, direction, base * 2, *fills, venue.match(MAKER, price, base))
        check_totals(venue)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["Long", "Short"]), st.integers(1, 5_000), st.integers(0, 300))
def test_trading_back_and_forth_with_the_amm_never_pays(direction: Any, size: int, offset: int) -> None:
    """Opening and closing against the AMM at an unchanged price always costs at least the two fees."""
    venue = TradingVenue(market={"base_spread": 2 * offset, "max_spread": 90_000})
    venue.trader(ALICE)
    base = size * B // 10
    opened = fills_of(venue.take(ALICE, direction, base))
    closed = fills_of(venue.take(ALICE, "Short" if direction == "Long" else "Long", base))
    assert opened and closed
    position = venue.perp_position(ALICE)
    assert position.base_asset_amount == 0
    assert position.quote_asset_amount <= -(opened[0]["taker_fee"] + closed[0]["taker_fee"])
