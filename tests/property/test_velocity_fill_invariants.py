"""What holds for every fill under Velocity, whatever its size, fees and rewards (invariants A10, A11)."""

from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.rules.velocity.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_match,
    calculate_taker_fee,
    determine_perp_fee_tier,
    split_remainder,
)
from seawall.rules.velocity.market_validation import validate_fee_structure
from seawall.rules.velocity.perp_fills import book_market_fees, book_spread_surplus
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure
from seawall.state.orders import FillFacts, FillTerms
from seawall.state.perp_market import FeeLedger, PerpMarket
from seawall.state.user import UserStats

NOW = 1_700_000_000
quotes = st.integers(0, 10**15)
percent = st.integers(0, 100)


@st.composite
def structures(draw: st.DrawFn) -> FeeStructure:
    """A schedule that the venue admits, with any split and taker fees that never rise with the tier."""
    made = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=draw(st.integers(0, 20)), reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        amm_fee_numerator=draw(percent),
    )
    made.if_fee_numerator = draw(st.integers(0, 100 - made.amm_fee_numerator))
    referrer, referee = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    numerators = sorted(draw(st.lists(st.integers(20, 300), min_size=10, max_size=10)), reverse=True)
    rebate = draw(st.integers(0, 20))
    made.fee_tiers = [
        FeeTier(
            fee_numerator=numerator,
            fee_denominator=100_000,
            maker_rebate_numerator=rebate,
            maker_rebate_denominator=1_000_000,
            referrer_reward_numerator=referrer,
            referrer_reward_denominator=100,
            referee_fee_numerator=referee,
            referee_fee_denominator=100,
        )
        for numerator in numerators
    ]
    validate_fee_structure(made)
    return made


@st.composite
def all_terms(draw: st.DrawFn) -> FillTerms:
    return FillTerms(
        now=NOW,
        slot=draw(st.integers(0, 10**6)),
        fee_adjustment=draw(st.integers(-99, 100)),
        taker_fee_addon_tenth_bps=draw(percent),
        promo_fee_tier=draw(st.integers(0, 3)),
        vamm_maker_rebate=draw(st.booleans()),
        reward_referrer=draw(st.booleans()),
        reward_filler=draw(st.booleans()),
        filler_multiplier=draw(st.sampled_from([0, 1_000, 100_000])),
        filler_reward_paid=draw(st.integers(0, 10**6)),
        builder_fee_tenth_bps=draw(st.integers(0, 1_000)),
    )


@given(st.integers(0, 10**18), percent, percent)
def test_a10_the_fee_split_is_exact(remainder: int, amm: int, insurance: int) -> None:
    """The AMM's, insurance's and the protocol's parts sum to the remainder, and none exceeds it."""
    assume(amm + insurance <= 100)
    facts = FillFacts()
    split_remainder(facts, remainder, FeeStructure(amm_fee_numerator=amm, if_fee_numerator=insurance))
    parts = facts.amm_fee, facts.if_fee, facts.protocol_fee
    assert sum(parts) == remainder
    assert all(0 <= part <= remainder for part in parts)


@given(structures(), quotes, st.integers(0, 3 * 10**14), st.integers(0, 3 * 10**14), percent, st.integers(0, 3))
def test_a11_the_fee_never_rises_with_volume(
    structure: FeeStructure, quote: int, less: int, more: int, addon: int, promo: int
) -> None:
    """Where the schedule's fees do not rise with the tier, more 30-day volume never makes a fill dearer."""
    fees = []
    for volume in (less, less + more):
        stats = UserStats(taker_volume_30d=volume, last_taker_volume_30d_ts=NOW)
        tier = structure.fee_tiers[determine_perp_fee_tier(stats, promo, NOW)]
        fees.append(calculate_taker_fee(quote, tier, addon, 0))
    assert fees[1] <= fees[0]


@given(st.integers(0, 10**15), st.integers(0, 3 * 2_592_000), st.integers(0, 3 * 2_592_000))
def test_a_tier_is_only_lost_by_waiting(volume: int, age: int, longer: int) -> None:
    """Volumes decay: time without a trade never lifts anybody into a better tier."""
    stats = UserStats(taker_volume_30d=volume, last_taker_volume_30d_ts=NOW)
    assert determine_perp_fee_tier(stats, 0, NOW + age + longer) <= determine_perp_fee_tier(stats, 0, NOW + age)


@given(structures(), all_terms(), quotes)
def test_what_a_match_costs_is_what_others_get(structure: FeeStructure, terms: FillTerms, quote: int) -> None:
    """The taker's fee is the rebate, both rewards and the three cuts together; the builder's fee comes on top."""
    facts = FillFacts(quote_asset_amount=quote)
    calculate_fee_for_fulfillment_with_match(facts, UserStats(), UserStats(), structure, terms)
    cuts = facts.amm_fee + facts.if_fee + facts.protocol_fee
    assert facts.user_fee == facts.maker_rebate + facts.filler_reward + facts.referrer_reward + cuts
    assert facts.fee_to_market == facts.amm_fee


@given(structures(), all_terms(), quotes, st.integers(-(10**9), 10**12), st.booleans())
def test_the_books_hold_what_a_fill_brought(
    structure: FeeStructure, terms: FillTerms, quote: int, surplus: int, post_only: bool
) -> None:
    """AMM equity and pending cuts grow by the net fee and the surplus; a post-only fill keeps its rest uncounted."""
    terms.post_only = post_only
    if post_only:
        surplus = abs(surplus) + quote // 1_000
    facts = FillFacts(quote_asset_amount=quote, quote_asset_amount_surplus=surplus)
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), structure, terms)
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    book_market_fees(market, facts, True)
    ledger = market.fee_ledger
    booked = market.amm.total_fee_minus_distributions + ledger.pending_protocol_fee + ledger.pending_if_fee
    paid = facts.maker_rebate + facts.filler_reward + facts.referrer_reward
    assert booked == facts.user_fee + surplus - paid
    assert ledger.pending_amm_provision == ledger.amm_protocol_fees_received == facts.amm_fee
    assert market.amm.total_mm_fee == surplus
    assert ledger.pending_amm_surplus == (0 if post_only else max(0, surplus))


@given(st.lists(st.integers(-(10**9), 10**9), max_size=20))
def test_the_counted_surplus_is_never_negative_nor_more_than_was_earned(surpluses: list[int]) -> None:
    """Losses lower the counter first; it stays between 0 and everything that fills ever brought."""
    ledger = FeeLedger()
    for surplus in surpluses:
        before = ledger.pending_amm_surplus
        book_spread_surplus(ledger, surplus)
        assert ledger.pending_amm_surplus == max(0, before + surplus)
    assert 0 <= ledger.pending_amm_surplus <= sum(x for x in surpluses if x > 0)
