"""Velocity's interest: the rate, both carve-outs, spans that are paused, dropped or deferred (velocity/balances.md)."""

import pytest
from support.money import ADMIN, ONE_SOL, ONE_USDC, SOL, START, USDC, MoneyVenue

from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketPausedOperations,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.rules.common.balances import get_spot_balance, get_token_amount
from seawall.rules.common.interest import update_historical_oracle_data
from seawall.rules.velocity.interest import (
    calculate_accumulated_interest,
    calculate_borrow_rate,
    split_deposit_interest,
    update_spot_market_cumulative_interest_without_oracle,
)
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    EXCHANGE_ALL_PAUSED,
    EXCHANGE_FUNDING_PAUSED,
    RULEBOOK_DRIFT,
    RULEBOOK_VELOCITY,
    SPOT_UPDATE_CUMULATIVE_INTEREST,
    VELOCITY_EXCHANGE_ALL_PAUSED,
)
from seawall.state.facts import InterestFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.spot_market import SpotMarket

ONE = 10**10
YEAR = 31_536_000


def make_market(**fields: int) -> SpotMarket:
    """1,000 tokens deposited, 500 lent out at 10 % a year."""
    market = SpotMarket(
        **{
            "rulebook": RULEBOOK_VELOCITY,
            "decimals": 6,
            "deposit_balance": 10**12,
            "borrow_balance": 5 * 10**11,
            "cumulative_deposit_interest": ONE,
            "cumulative_borrow_interest": ONE,
            "optimal_utilization": 500_000,
            "optimal_borrow_rate": 100_000,
            "max_borrow_rate": 1_100_000,
            **fields,
        }
    )
    return market


def accrue(market: SpotMarket, now: int, paused: bool = False) -> InterestFacts:
    facts = InterestFacts()
    update_spot_market_cumulative_interest_without_oracle(market, now, paused, facts)
    return facts


@pytest.mark.parametrize(
    ("utilization", "rate"),
    [
        (0, 25_000),  # the minimum
        (400_000, 80_000),
        (500_000, 100_000),
        (850_000, 150_000),  # 5 % of the rise up to 85 %
        (875_000, 200_000),  # half of the next segment's 10 %
        (900_000, 250_000),
        (950_000, 400_000),
        (990_000, 600_000),
        (995_000, 850_000),
        (1_000_000, 1_100_000),
        (1_500_000, 1_100_000),  # and no further
    ],
)
def test_the_rate_has_six_segments_above_the_optimum(utilization: int, rate: int) -> None:
    assert calculate_borrow_rate(make_market(min_borrow_rate=5), utilization) == rate


@pytest.mark.parametrize(
    ("fields", "utilization"),
    [
        ({"optimal_utilization": 850_001}, 850_002),  # the first segment would have a negative width
        ({"max_borrow_rate": 99_999}, 600_000),  # the curve falls
        ({"optimal_utilization": 0}, 0),
    ],
)
def test_curves_that_fail(fields: dict[str, int], utilization: int) -> None:
    with pytest.raises(SettlementError) as caught:
        calculate_borrow_rate(make_market(**fields), utilization)
    assert caught.value.code == ErrorCode.MathError


def test_an_optimum_at_the_first_end_passes_through_an_empty_segment() -> None:
    """An optimum of 85 % gives the whole first segment at once."""
    assert calculate_borrow_rate(make_market(optimal_utilization=850_000), 850_001) == 150_000 + 2


def test_a_year_at_half_utilization() -> None:
    assert calculate_accumulated_interest(make_market(), YEAR) == (ONE // 10 + 1, ONE // 20)
    assert calculate_accumulated_interest(make_market(last_interest_ts=YEAR), YEAR) == (0, 0)
    assert calculate_accumulated_interest(make_market(last_interest_ts=YEAR), -1) == (0, 0)


def test_lenders_are_cut_to_what_borrowers_pay() -> None:
    """Where the borrow index is far below the deposit index, utilization overstates what a borrower's tokens yield."""
    market = make_market(borrow_balance=500, cumulative_borrow_interest=10**19)
    borrow, deposit = calculate_accumulated_interest(market, YEAR)
    precision = 10**13
    assert market.deposit_balance * deposit // precision <= market.borrow_balance * borrow // precision


def test_both_pools_get_their_part_at_the_new_index() -> None:
    market = make_market(protocol_fee_factor=100_000)
    market.insurance_fund.if_fee_factor = 200_000
    assert accrue(market, YEAR).accrued
    assert market.cumulative_deposit_interest == ONE + ONE // 20 * 7 // 10
    assert market.cumulative_borrow_interest == ONE + ONE // 10 + 1
    # of 50 tokens of interest 10 go to insurance, 5 to the protocol; each pool rounds its scaled balance down
    deposits = {pool: get_token_amount(getattr(market, pool).scaled_balance, market, DEPOSIT) for pool in POOLS}
    assert deposits == {"revenue_pool": 9_999_999, "protocol_fee_pool": 4_999_999}
    assert market.last_interest_ts == YEAR


POOLS = ("revenue_pool", "protocol_fee_pool")


def test_the_remainders_lie_crossed() -> None:
    """What the lenders' split kept lies on the revenue pool, what insurance and protocol share on the other."""
    market = make_market(protocol_fee_factor=301, deposit_balance=10**12 + 1, borrow_balance=5 * 10**11 + 1)
    market.insurance_fund.if_fee_factor = 202
    _, increment = calculate_accumulated_interest(market, 1_234_567)
    carved_out, kept = divmod(increment * 503, 1_000_000)
    insurance, undecided = divmod(carved_out * 202, 503)
    accrue(market, 1_234_567)
    revenue_pool, protocol_pool = market.revenue_pool, market.protocol_fee_pool
    assert kept == revenue_pool.pending_interest_split_dust > 0
    assert undecided == protocol_pool.pending_interest_split_dust > 0
    # each pool keeps the part of a token that its own cut did not make whole
    assert revenue_pool.pending_interest_dust == (10**12 + 1) * insurance % 10**13 > 0
    assert protocol_pool.pending_interest_dust == (10**12 + 1) * (carved_out - insurance) % 10**13 > 0


def test_a_lower_carve_out_forfeits_less_than_one_unit() -> None:
    """What insurance and the protocol had not shared out is cut to what the new carve-out can decide about."""
    market = make_market(protocol_fee_factor=0)
    market.insurance_fund.if_fee_factor = 100_000
    market.protocol_fee_pool.pending_interest_split_dust = 800_000
    assert split_deposit_interest(1, market) == (1, 0, 0)
    assert market.protocol_fee_pool.pending_interest_split_dust == 99_999
    market.insurance_fund.if_fee_factor = 0
    assert split_deposit_interest(13, market) == (13, 0, 0)
    assert market.protocol_fee_pool.pending_interest_split_dust == 0


def test_a_carve_out_of_all_but_a_millionth_still_accrues() -> None:
    """Nearly everything goes to insurance, and borrowers are charged all the same: nothing freezes."""
    market = make_market()
    market.insurance_fund.if_fee_factor = 999_999
    assert accrue(market, 60).accrued
    assert market.cumulative_deposit_interest == ONE + 1
    assert market.cumulative_borrow_interest > ONE + 1


@pytest.mark.parametrize("bit", [True, False])
def test_a_paused_span_is_dropped_for_good(bit: bool) -> None:
    market = make_market(paused_operations=0 if bit else SPOT_UPDATE_CUMULATIVE_INTEREST)
    assert not accrue(market, YEAR, paused=bit).accrued
    assert (market.cumulative_borrow_interest, market.last_interest_ts) == (ONE, YEAR)
    market.paused_operations = 0
    accrue(market, 2 * YEAR)
    assert market.cumulative_borrow_interest == ONE + ONE // 10 + 1  # one year, not two
    accrue(market, YEAR, paused=True)
    assert market.last_interest_ts == 2 * YEAR  # the clock never goes back


def test_a_span_without_borrows_is_dropped() -> None:
    """Unlike Drift's: who borrows later does not pay for the time before."""
    market = make_market(borrow_balance=0)
    assert not accrue(market, YEAR).accrued
    assert market.last_interest_ts == YEAR


def test_a_span_too_small_to_show_waits() -> None:
    market = make_market(borrow_balance=10**6, optimal_borrow_rate=1, max_borrow_rate=1)
    accrue(market, 1)
    assert market.last_interest_ts == 0


def test_statistics_follow_every_accrual() -> None:
    """Half a day moves an average half of the way, and one unit toward the heavier side."""
    market = make_market()
    accrue(market, 43_200, paused=True)
    assert (market.deposit_token_twap, market.borrow_token_twap) == (499_999_999, 249_999_999)
    assert (market.utilization_twap, market.last_twap_ts) == (249_999, 43_200)


@pytest.mark.parametrize(
    ("rulebook", "token_amount", "scaled"),
    [
        (RULEBOOK_DRIFT, 1, 0),
        (RULEBOOK_VELOCITY, 1, 1),  # dust costs a unit
        (RULEBOOK_VELOCITY, 0, 0),
        (RULEBOOK_DRIFT, 10**10, 2),  # exact, and still one more
        (RULEBOOK_VELOCITY, 10**10, 2),
    ],
)
def test_rounding_up(rulebook: int, token_amount: int, scaled: int) -> None:
    market = SpotMarket(rulebook=rulebook, decimals=19, cumulative_borrow_interest=ONE)
    assert get_spot_balance(token_amount, market, BORROW, True) == scaled


def test_twenty_decimals_fail() -> None:
    market = make_market(decimals=20)
    for call in (
        lambda: get_token_amount(1, market, DEPOSIT),
        lambda: get_spot_balance(1, market, DEPOSIT, False),
    ):
        with pytest.raises(SettlementError) as caught:
            call()
        assert caught.value.code == ErrorCode.MathError


def test_regr_a_clock_below_zero_does_not_fit_the_averages() -> None:
    """Interest waits, but the time of the averages is unsigned: the narrowing fails, not the arithmetic."""
    market = make_market()
    market.last_interest_ts = market.last_twap_ts = 0
    with pytest.raises(SettlementError) as error:
        update_spot_market_cumulative_interest_without_oracle(market, -1, False, InterestFacts())
    assert error.value.code is ErrorCode.CastingFailure


@pytest.mark.parametrize(
    ("seconds", "price", "stored"),
    [
        (59, 999_999, False),  # the average stands still, and too little time passed
        (60, 999_999, True),
        (59, 1_100_000, True),  # the average moves
        (0, 1_100_000, False),
    ],
)
def test_averages_are_stored_when_they_move_or_after_a_minute(seconds: int, price: int, stored: bool) -> None:
    market = make_market()
    history = market.historical_oracle_data
    history.last_oracle_price_twap = history.last_oracle_price_twap_5min = 1_000_000
    history.last_oracle_price_twap_ts = 10_000
    update_historical_oracle_data(market, OraclePriceData(price=price, confidence=7), 10_000 + seconds)
    assert (history.last_oracle_price, history.last_oracle_conf) == (price, 7)
    assert (history.last_oracle_price_twap_ts != 10_000) == stored


# --- the crank -------------------------------------------------------------------------------------------------------


@pytest.fixture
def venue() -> MoneyVenue:
    """Bob lends out 1,000 SOL, Alice borrowed 2 of them; a fifth of interest is carved out."""
    v = MoneyVenue(rulebook="velocity")
    v.ok(UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=150_000, protocol_fee_factor=50_000))
    v.open("@alice", "@bob")
    assert v.deposit("@alice", USDC, 1_000 * ONE_USDC).ok
    assert v.deposit("@bob", SOL, 1_000 * ONE_SOL).ok
    assert v.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    return v


def test_the_crank_accrues_and_tells(venue: MoneyVenue) -> None:
    venue.now += 86_400 * 30
    receipt = venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), "@anybody")
    ((event, fields),) = receipt.events
    assert event == "SpotInterestRecord"
    market = venue.market(SOL)
    assert fields["cumulative_borrow_interest"] == market.cumulative_borrow_interest > ONE
    assert market.revenue_pool.scaled_balance > market.protocol_fee_pool.scaled_balance > 0


def test_the_crank_forgives_while_funding_pauses(venue: MoneyVenue) -> None:
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_FUNDING_PAUSED))
    venue.now += 86_400
    assert venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), "@anybody").events == []
    assert venue.market(SOL).last_interest_ts == START + 86_400
    assert venue.deposit("@bob", SOL, 1).ok  # every other caller honours the pause too
    assert venue.market(SOL).cumulative_borrow_interest == ONE


def test_the_crank_stops_only_when_all_eight_bits_are_set(venue: MoneyVenue) -> None:
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_ALL_PAUSED))
    venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), "@anybody")
    venue.ok(UpdateExchangeStatus(exchange_status=VELOCITY_EXCHANGE_ALL_PAUSED))
    assert venue.refused(UpdateSpotMarketCumulativeInterest(market_index=SOL), "@anybody") == "ExchangePaused"


def test_the_crank_of_a_market_that_pauses_interest(venue: MoneyVenue) -> None:
    venue.ok(
        UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=SPOT_UPDATE_CUMULATIVE_INTEREST), ADMIN
    )
    venue.now += 86_400
    venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), "@anybody")
    assert venue.market(SOL).last_interest_ts == START + 86_400
    assert venue.market(SOL).cumulative_borrow_interest == ONE
