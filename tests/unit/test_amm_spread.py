"""Spreads: each part against the numbers of the program's own tests, and the choices that look odd."""

import pytest
from support.amm import balanced_market, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import calculate_price
from seawall.rules.common.amm_spread import (
    NO_SLOT,
    calculate_inventory_liquidity_ratio,
    calculate_long_short_vol_spread,
    calculate_reference_price_offset,
    calculate_spread,
    calculate_spread_inventory_scale,
    calculate_spread_leverage_scale,
    calculate_spread_reserves,
    calculate_spread_revenue_retreat_amount,
    cap_to_max_spread,
    update_spread_reserves,
    update_spreads,
)
from seawall.state.enums import RULEBOOK_DRIFT


@pytest.mark.parametrize(
    ("long", "short", "most", "capped"),
    [
        (3_905_832_905, 3_582_930, 1_000, (1_000, 0)),
        (9_999, 1, 1_000, (1_000, 0)),
        (999, 1, 1_000, (999, 1)),
        (444, 222, 1_000, (444, 222)),
        (150, 2_221, 1_000, (63, 937)),
        (2_490, 11, 2_500, (2_490, 10)),
        (2_510, 110, 2_500, (2_396, 104)),
        (600, 600, 1_000, (500, 500)),  # equal: the short one counts as the larger
    ],
)
def test_cap_to_max_spread(long: int, short: int, most: int, capped: tuple[int, int]) -> None:
    assert cap_to_max_spread(long, short, most, RULEBOOK_DRIFT) == capped


def test_cap_overflows_like_a_u64_product() -> None:
    with pytest.raises(SettlementError) as refused:
        cap_to_max_spread(2**63, 1, 1_000, RULEBOOK_DRIFT)
    assert refused.value.code == ErrorCode.MathError


def test_volatility_spread() -> None:
    assert calculate_long_short_vol_spread(
        0, 34_562_304, 680_000, 226_666, 10**10, 3 * 10**10, 4 * 10**10, RULEBOOK_DRIFT
    ) == (
        1_639,
        4_918,
    )


@pytest.mark.parametrize(("conf", "least"), [(2_500, 250), (2_501, 2_501)])
def test_confidence_counts_fully_above_25_bps(conf: int, least: int) -> None:
    """Without volume the side factor is at its least, a hundredth, so the confidence component decides."""
    assert calculate_long_short_vol_spread(conf, 10**8, 0, 0, 0, 0, 0, RULEBOOK_DRIFT) == (least, least)


@pytest.mark.parametrize(
    ("net", "base", "least", "greatest", "ratio"),
    [
        (10**9, 10**10, 0, 2 * 10**10, 100_000),
        (-(10**9), 10**10, 5_000, 2 * 10**10, 100_000),
        (-(10**9), 10**10, 5_000_000, 2 * 10**10, 100_050),
        (-(10**9), 10**10, 11 * 10**9, 2 * 10**10, 1_000_000),
        (941_291_801_615, 443_370_320_987_941, 435_296_619_793_629, 453_513_306_290_427, 116_587),
        (450_000_000, 1_450_000_000, 100_000_000, 1_900_000_000, 1_000_000),
    ],
)
def test_inventory_liquidity_ratio(net: int, base: int, least: int, greatest: int, ratio: int) -> None:
    assert calculate_inventory_liquidity_ratio(net, base, least, greatest) == ratio


@pytest.mark.parametrize(
    ("arguments", "scale"),
    [
        (
            (
                30_228 * 10**12, 2_496_788_386_034_912_600, 2_443_167_585_342_470_000, 2_545_411_471_321_696_000,
                3_500, 10**5,
            ),
            18_762_285,
        ),
        ((0, 10**9, 10**8, 1_900_000_000, 250, 300_000), 1_000_000),
        ((2 * 10**9, 11 * 10**9, 7 * 10**9, 14 * 10**9, 0, 200_000), 133_334_200_000),
    ],
)  # fmt: skip
def test_inventory_scale(arguments: tuple[int, int, int, int, int, int], scale: int) -> None:
    assert calculate_spread_inventory_scale(*arguments) == scale


def test_inventory_scale_saturates_its_product() -> None:
    """scale · ratio beyond u64 counts as the largest u64: the factor no longer follows the inventory."""
    scale = calculate_spread_inventory_scale(99, 1_000, 0, 2_000, 1, 100_000_000)
    assert scale == 1_000_000 + (99 * 10**6 // 1_000) * 10**14 // 10**6
    assert calculate_spread_inventory_scale(999, 1_000, 0, 2_000, 1, 10_000_000_000) == 1_000_000 + (2**64 - 1) // 10**6


@pytest.mark.parametrize(
    ("arguments", "scale"),
    [
        ((10**9, 10**9, 12_000_000, 10**9, 12_500_000, 1_000_000), 10_000_000),
        ((10**9, 10**9, 12_000_000, 10**9, 12_500_000, 100_000_000), 1_125_000),
        ((10**9, 10**9, 12_000_000, 10**7, 12_500_000, 1_000_000), 1_125_000),
        ((10**12, 999_900_000, 12_000_000, 10**9, 12_100_000, 1_000_000), 1_000_001),
        ((455_362_349_720_024, 454_386_986_330_347, 11_760_127, 968_409_950_546, 11_869_992, 7_978_239_165), 1_003_087),
    ],
)
def test_leverage_scale(arguments: tuple[int, int, int, int, int, int], scale: int) -> None:
    assert calculate_spread_leverage_scale(*arguments) == scale


@pytest.mark.parametrize(
    ("base_spread", "revenue", "amount"),
    [
        (250, 15_000_835, 0),
        (340, -1, 0),
        (250, -10_000_000, 0),
        (250, -25_000_000, 0),
        (250, -91_000_000, 910),
        (250, -14_000_000_000, 3_000),
        (0, -25_000_000_001, 3_000),  # far below, the base spread no longer matters
    ],
)
def test_revenue_retreat(base_spread: int, revenue: int, amount: int) -> None:
    assert calculate_spread_revenue_retreat_amount(base_spread, 30_000, revenue) == amount


FLAT = {
    "base_spread": 1_000,
    "max_spread": 20_000,
    "quote_asset_reserve": 10**10,
    "terminal_quote_asset_reserve": 10**10,
    "base_asset_reserve": 10**10,
    "max_base_asset_reserve": 10**14,
    "peg_multiplier": 34_000_000,
}


@pytest.mark.parametrize(
    ("changes", "spreads"),
    [
        ({"max_spread": 200_000}, (5_000, 5_000)),
        ({"terminal_quote_asset_reserve": 9 * 10**9, "base_asset_amount_with_amm": 10**9}, (16_667, 3_333)),
        ({"total_fee_minus_distributions": 1}, (500, 500)),
        ({"total_fee_minus_distributions": 1, "last_oracle_reserve_price_spread_pct": 3_000}, (500, 3_000)),
        ({"total_fee_minus_distributions": 1, "last_oracle_reserve_price_spread_pct": -3_000}, (3_000, 500)),
        ({"total_fee_minus_distributions": 1, "net_revenue_since_last_funding": -25_000_001}, (1_000, 1_000)),
    ],
)
def test_calculate_spread(changes: dict[str, int], spreads: tuple[int, int]) -> None:
    assert calculate_spread(perp_market(**{**FLAT, **changes}), 34_562_304) == spreads


def test_a_losing_amm_widens_both_sides_tenfold() -> None:
    market = perp_market(**FLAT, total_fee_minus_distributions=-1)
    assert calculate_spread(market, 34_562_304) == (5_000, 5_000)


@pytest.mark.parametrize(
    ("offset", "ask", "bid", "ask_price", "bid_price"),
    [
        (0, (1_972_972_973, 2_027_397_260), (2_000_500_125, 1_999_500_000), 1_027_584, 999_500),
        (1_000, (1_971_830_986, 2_028_571_428), (1_999_500_124, 2_000_500_000), 1_028_775, 1_000_500),
        (-1_000, (1_974_025_974, 2_026_315_789), (2_001_501_501, 1_998_499_625), 1_026_488, 998_500),
    ],
)
def test_spread_reserves(
    offset: int, ask: tuple[int, int], bid: tuple[int, int], ask_price: int, bid_price: int
) -> None:
    amm = perp_market(base_asset_reserve=2 * 10**9, quote_asset_reserve=2 * 10**9, sqrt_k=2 * 10**9).amm
    assert calculate_spread_reserves(amm, 27_270 + offset) == ask
    assert calculate_spread_reserves(amm, -500 + offset) == bid
    assert calculate_price(ask[1], ask[0], 1_000_000) == ask_price
    assert calculate_price(bid[1], bid[0], 1_000_000) == bid_price


@pytest.mark.parametrize("spread", [-1, 0, 1])
def test_spreads_below_two_are_none(spread: int) -> None:
    amm = balanced_market(10**12).amm
    assert calculate_spread_reserves(amm, spread)[1] == amm.quote_asset_reserve


def test_spread_too_wide_to_quote_is_refused() -> None:
    """1e6 / (spread/2) is 0 beyond 2e6; a bid spread of 2e6 would empty the quote reserve."""
    amm = balanced_market().amm
    for spread in (2_000_002, -2_000_002, -2_000_000):
        with pytest.raises(SettlementError) as refused:
            calculate_spread_reserves(amm, spread)
        assert refused.value.code == ErrorCode.MathError


def test_spread_reserves_never_lie_inside_the_plain_ones() -> None:
    """An offset above the short spread would put the bid above the reserve price: the plain reserves are stored."""
    market = balanced_market(long_spread=500, short_spread=500, reference_price_offset=1_000)
    amm = market.amm
    update_spread_reserves(market)
    assert (amm.bid_base_asset_reserve, amm.bid_quote_asset_reserve) == (
        amm.base_asset_reserve,
        amm.quote_asset_reserve,
    )
    assert amm.ask_quote_asset_reserve > amm.quote_asset_reserve


@pytest.mark.parametrize(("base_spread", "half"), [(0, 0), (101, 50), (1_000, 500)])
def test_static_curve_halves_the_base_spread(base_spread: int, half: int) -> None:
    market = balanced_market(base_spread=base_spread, curve_update_intensity=0, oracle_std=10**9)
    amm = market.amm
    update_spreads(market, 100_000_000, NO_SLOT)
    assert (amm.long_spread, amm.short_spread) == (half, half)


LEANING = {
    "curve_update_intensity": 200,
    "max_spread": 50_000,
    "last_24h_avg_funding_rate": 1_000,
    "last_mark_price_twap": 100_600_000,
    "last_mark_price_twap_5min": 100_600_000,
}


@pytest.mark.parametrize(
    ("net", "changes", "offset"),
    [
        (0, {}, 4_000),  # (0.6 + 0.6 + 0)/3 = 0.4 %
        (10**9, {}, 10_000),  # the inventory alone asks for the maximum
        (-(10**9), {}, 0),  # inventory and premium disagree
        (-(10**9), {"last_mark_price_twap": 10**8, "last_mark_price_twap_5min": 10**8}, -10_000),
        (0, {"curve_update_intensity": 100}, 0),
        (0, {"last_24h_avg_funding_rate": 0}, 0),
    ],
)
def test_reference_price_offset(net: int, changes: dict[str, int], offset: int) -> None:
    market = balanced_market(net, **{**LEANING, **changes})
    assert calculate_reference_price_offset(market, 100_000_000) == offset
