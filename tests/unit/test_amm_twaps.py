"""Oracle and mark TWAPs, confidence, volumes: the program's own sequences, second by second."""

import pytest
from support.amm import NOW, balanced_market, oracle_price, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import NO_DIRECTION, NO_PRICE, reserve_price
from seawall.rules.common.amm_twaps import (
    combine_bid_ask,
    estimate_best_bid_ask_price,
    normalise_oracle_price,
    perp_sanitize_clamp_denominator,
    update_mark_twap,
    update_mark_twap_from_estimates,
    update_oracle_price_twap,
    update_volume_24h,
)
from seawall.state.enums import LONG, SHORT
from seawall.state.perp_market import PerpMarket

START = 1_656_682_258


def flat(**fields: int) -> PerpMarket:
    """A market whose AMM has equal reserves, so that the peg is its price."""
    return perp_market(
        base_asset_reserve=2 * 10**9, quote_asset_reserve=2 * 10**9, funding_period=3_600, **fields
    )  # fmt: skip


@pytest.mark.parametrize(("tier", "denominator"), [(0, 10), (1, 5), (2, 2), (3, 3), (4, 3), (5, 3)])
def test_clamp_by_tier(tier: int, denominator: int) -> None:
    assert perp_sanitize_clamp_denominator(tier) == denominator


@pytest.mark.parametrize(
    ("oracle", "confidence", "normalised"),
    [
        (100_000_000, 0, 100_000_000),
        (99_000_000, 500_000, 99_500_000),  # as far as the confidence lets it
        (99_000_000, 5_000_000, 99_975_000),  # to 2.5 basis points from the price
        (101_000_000, 500_000, 100_500_000),
        (101_000_000, 5_000_000, 100_025_000),
    ],
)
def test_normalised_oracle_price(oracle: int, confidence: int, normalised: int) -> None:
    assert normalise_oracle_price(oracle_price(oracle, confidence), 100_000_000) == normalised


def test_oracle_twap_sequence() -> None:
    market = flat(
        peg_multiplier=1_000_000, last_oracle_price_twap=32_000_000, last_oracle_price_twap_ts=START,
        last_mark_price_twap_ts=START, mark_std=1_000_000,
    )  # fmt: skip
    amm = market.amm
    history = amm.historical_oracle_data
    price = reserve_price(amm)
    assert update_oracle_price_twap(market, START + 3_600, oracle_price(34_000_000, 10_000), price, 3) == 33_990_000
    history.last_oracle_price_twap_ts = amm.last_mark_price_twap_ts = START + 3_540
    hour, five, std = [], [], []
    for seconds, oracle in ((3_600, 31_000_000), (3_900, 31_000_000), (3_960, 32_000_000)):
        hour.append(update_oracle_price_twap(market, START + seconds, oracle_price(oracle), price, 3))
        five.append(history.last_oracle_price_twap_5min)
        std.append(amm.oracle_std)
    assert hour[:2] == [33_940_167, 33_695_154]
    assert five == [33_392_001, 31_000_000, 31_200_001]
    assert std == [2_940_167, 2_695_154, 1_666_902]


def test_oracle_twap_once_a_second() -> None:
    """A price ten times the TWAP is let in by a third of it at a time."""
    first = 1_667_387_000
    market = perp_market(
        base_asset_reserve=2 * 10**11, quote_asset_reserve=2 * 10**11, peg_multiplier=13_000_000, funding_period=3_600,
        last_mark_price_twap=13_000_000, last_bid_price_twap=13_000_000, last_ask_price_twap=13_000_000,
        last_mark_price_twap_ts=first, last_oracle_price=13_000_000, last_oracle_price_twap=13_000_000,
        last_oracle_price_twap_5min=13_000_000, last_oracle_price_twap_ts=first,
    )  # fmt: skip
    amm = market.amm
    history = amm.historical_oracle_data
    oracle, samples = oracle_price(130_000_873, 100_000), []
    for now in range(first + 1, 1_667_394_201):
        if now in (1_667_390_600, 1_667_394_200):
            five = history.last_oracle_price_twap_5min
            samples.append((history.last_oracle_price_twap, five, amm.last_oracle_normalised_price))
        update_oracle_price_twap(market, now, oracle, 13_000_000, 3)
    assert samples == [(18_143_130, 23_536_961, 24_188_600), (25_322_529, 32_850_803, 33_760_245)]


def test_confidence_decays() -> None:
    first = 1_667_387_000
    market = perp_market(
        base_asset_reserve=2 * 10**11, quote_asset_reserve=2 * 10**11, peg_multiplier=13_000_000,
        last_oracle_price_twap_ts=first,
    )  # fmt: skip
    amm = market.amm
    found = []
    for seconds, confidence in ((1, 100_000), (1, 1), (2, 1), (61, 1)):
        update_oracle_price_twap(market, first + seconds, oracle_price(130_000_873, confidence), 13_000_000, 3)
        found.append(amm.last_oracle_conf_pct)
    assert found == [7_692, 7_692, 7_308, 5_847]


def test_no_oracle_price_changes_nothing() -> None:
    market = balanced_market()
    amm = market.amm
    before = amm.pack()
    assert update_oracle_price_twap(market, NOW, oracle_price(-5), 100_000_000, 10) == 100_000_000
    assert amm.pack() == before


def test_oracle_twap_twice_in_a_second_moves_only_the_clamp() -> None:
    """The second update of a moment keeps the TWAPs, but clamps around the one that the first has moved."""
    market = balanced_market(last_oracle_price_twap=80_000_000)
    amm = market.amm
    update_oracle_price_twap(market, NOW, oracle_price(100_000_000), 100_000_000, 10)
    first = (amm.historical_oracle_data.last_oracle_price_twap, amm.last_oracle_normalised_price)
    update_oracle_price_twap(market, NOW, oracle_price(100_000_000), 100_000_000, 10)
    assert first[1] == 88_000_000
    assert amm.historical_oracle_data.last_oracle_price_twap == first[0]
    assert amm.last_oracle_normalised_price == first[0] + first[0] // 10


def test_mark_twap_lagging_behind_the_oracle() -> None:
    market = flat(
        peg_multiplier=22_850_000_000, base_spread=655, mark_std=1_000_000, last_bid_price_twap=21_999_000_000,
        last_ask_price_twap=22_001_000_000, last_mark_price_twap=22_000_000_000, last_mark_price_twap_ts=1_656_678_658,
        last_oracle_price=22_850_000_000, last_oracle_price_twap=22_900_000_000, last_oracle_price_twap_ts=START,
    )  # fmt: skip
    amm = market.amm
    assert update_mark_twap_from_estimates(market, START + 60, 22_850_000_000, LONG, 3) == 22_850_013_657
    assert (amm.last_bid_price_twap, amm.last_ask_price_twap) == (22_850_013_657, 22_850_013_657)


def test_two_hours_of_trades() -> None:
    market = flat(
        peg_multiplier=40_000_000, base_spread=800, last_mark_price_twap=40_000_000, last_bid_price_twap=39_999_999,
        last_ask_price_twap=40_000_000, last_oracle_price=40_000_000, last_oracle_price_twap=40_000_000,
    )  # fmt: skip
    amm = market.amm
    history = amm.historical_oracle_data
    found = {}
    for now in range(1, 7_202):
        if now <= 3_600:
            update_oracle_price_twap(market, now, oracle_price(40_021_280, 10_000), 40_000_000, 3)
            update_mark_twap_from_estimates(market, now, 40_051_280, LONG, 3)
        else:
            update_oracle_price_twap(market, now, oracle_price(39_991_280, 12_500), 40_000_000, 3)
            if now % 200 == 0:
                update_mark_twap_from_estimates(market, now, 39_971_280, SHORT, 3)
        found[now] = (
            history.last_oracle_price_twap, amm.last_bid_price_twap, amm.last_mark_price_twap, amm.last_ask_price_twap,
            amm.mark_std, amm.oracle_std,
        )  # fmt: skip
    assert found[1][1:4] == (40_000_005, 40_000_010, 40_000_015)
    assert found[3_600] == (40_008_161, 40_014_547, 40_024_054, 40_033_561, 27_230, 3_119)
    assert found[7_201] == (39_998_518, 39_989_389, 39_995_089, 40_000_790, 24_467, 7_238)


SPREAD = {"base_spread": 1_000, "long_spread": 1_000, "short_spread": 1_000}


@pytest.mark.parametrize(
    ("trade", "direction", "estimates"),
    [
        (100_050_000, LONG, (99_999_500, 100_050_000)),  # the spread fractions are taken as price units
        (99_990_000, LONG, (99_990_000, 99_990_000)),
        (99_000_000, LONG, (99_900_000, 99_900_000)),  # not below the AMM's bid
        (99_950_000, SHORT, (99_950_000, 100_000_500)),
        (101_000_000, SHORT, (100_100_000, 100_100_000)),  # not above the AMM's ask
        (100_050_000, NO_DIRECTION, (100_050_000, 100_050_000)),
        (200_000_000, NO_DIRECTION, (100_100_000, 100_100_000)),
        (NO_PRICE, NO_DIRECTION, (100_000_000, 100_000_000)),
    ],
)
def test_estimates(trade: int, direction: int, estimates: tuple[int, int]) -> None:
    assert estimate_best_bid_ask_price(balanced_market(**SPREAD), trade, direction) == estimates


@pytest.mark.parametrize(("oracle", "code"), [(0, ErrorCode.InvalidOracle), (-1, ErrorCode.CastingFailure)])
def test_estimates_need_an_oracle_price(oracle: int, code: ErrorCode) -> None:
    with pytest.raises(SettlementError) as refused:
        estimate_best_bid_ask_price(balanced_market(last_oracle_price=oracle), 1, LONG)
    assert refused.value.code == code


def test_mark_twap_refuses_a_clamped_bid_above_the_ask() -> None:
    market = balanced_market(last_bid_price_twap=200_000_000, last_ask_price_twap=100_000_000)
    with pytest.raises(SettlementError) as refused:
        update_mark_twap(market, NOW, 100_000_000, 100_000_000, NO_PRICE, 10)
    assert refused.value.code == ErrorCode.InvalidMarkTwapUpdateDetected


def test_mark_deviation_without_a_trade_is_that_of_the_middle() -> None:
    market = balanced_market()
    amm = market.amm
    update_mark_twap(market, NOW, 100_000_000, 100_500_001, NO_PRICE, 10)
    assert amm.mark_std == 250_000


@pytest.mark.parametrize(
    ("best", "oracle", "quotes"),
    [
        ((NO_PRICE, NO_PRICE), 100, (90, 110)),
        ((95, 105), 100, (95, 105)),
        ((80, 120), 100, (90, 110)),
        ((115, NO_PRICE), 100, (110, 110)),  # crossing at or above the oracle price: the bid gives way
        ((NO_PRICE, 80), 100, (90, 90)),  # …below it: the ask
    ],
)
def test_combined_quotes(best: tuple[int, int], oracle: int, quotes: tuple[int, int]) -> None:
    assert combine_bid_ask(90, 110, *best, oracle) == quotes


def test_volumes_after_a_trade() -> None:
    market = balanced_market(
        last_trade_ts=NOW - 1_800, volume_24h=86_400_000_000, long_intensity_volume=1_000_000_000,
        short_intensity_volume=2_000_000_000, long_intensity_count=10, short_intensity_count=10,
    )  # fmt: skip
    amm = market.amm
    update_volume_24h(market, 5_000_000, LONG, NOW)
    assert amm.volume_24h == 84_600_000_000 + 5_000_000
    assert amm.long_intensity_volume == 500_000_000 + 5_000_000
    assert amm.short_intensity_volume == 1_000_000_000
    # (10·1800 + 5·3600)/5400 = 6, the products equal; 10·1800/5400 = 3, less the bias of one
    assert (amm.long_intensity_count, amm.short_intensity_count) == (6, 2)
    assert amm.last_trade_ts == NOW


def test_a_trade_of_nothing_still_decays_the_volumes() -> None:
    market = balanced_market(last_trade_ts=NOW - 43_200, volume_24h=1_000)
    amm = market.amm
    update_volume_24h(market, 0, SHORT, NOW)
    assert (amm.volume_24h, amm.last_trade_ts) == (500, NOW)


def test_count_beyond_u32_is_refused() -> None:
    with pytest.raises(SettlementError) as refused:
        update_volume_24h(balanced_market(), 2**63, LONG, NOW)
    assert refused.value.code == ErrorCode.CastingFailure
