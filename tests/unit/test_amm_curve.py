"""Curve arithmetic: which side keeps the dust, and the numbers of the program's own tests."""

import pytest
from support.amm import balanced_market, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import (
    SWAP_ADD,
    SWAP_REMOVE,
    ask_price,
    bid_price,
    calculate_base_asset_value,
    calculate_base_swap_output_with_spread,
    calculate_bid_ask_bounds,
    calculate_curve_cost,
    calculate_market_open_bids_asks,
    calculate_price,
    calculate_quote_asset_amount_swapped,
    calculate_swap_output,
    calculate_terminal_price,
    reserve_price,
)


@pytest.mark.parametrize(("net", "terminal"), [(12_295_081_967, 20_076_684_570), (-12_295_081_967, 22_100_000_000)])
def test_terminal_price(net: int, terminal: int) -> None:
    amm = perp_market(
        base_asset_reserve=512_295_081_967,
        quote_asset_reserve=488_000_000_000,
        sqrt_k=500_000_000_000,
        peg_multiplier=22_100_000_000,
        base_asset_amount_with_amm=net,
    ).amm
    assert calculate_terminal_price(amm) == terminal
    assert reserve_price(amm) == 21_051_929_600


def test_swap_floors_the_output_and_refuses_more_than_there_is() -> None:
    assert calculate_swap_output(1, 2, SWAP_ADD, 10) == (33, 3)
    assert calculate_swap_output(1, 4, SWAP_REMOVE, 10) == (33, 3)
    with pytest.raises(SettlementError) as refused:
        calculate_swap_output(5, 4, SWAP_REMOVE, 10)
    assert refused.value.code == ErrorCode.TradeSizeTooLarge
    with pytest.raises(SettlementError) as empty:
        calculate_swap_output(4, 4, SWAP_REMOVE, 10)
    assert empty.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("before", "after", "direction", "quote"),
    [
        (2_000_000_000, 1_999_999_999, SWAP_ADD, 0),  # 1 unit at a peg of 0.5: the seller's half is floored away
        (1_999_999_999, 2_000_000_000, SWAP_REMOVE, 1),  # the buyer pays for 2 units of reserve and one of quote
        (2_000_000_000, 1_000_000_000, SWAP_ADD, 500_000),
        (1_000_000_000, 2_000_000_000, SWAP_REMOVE, 500_001),
    ],
)
def test_quote_of_a_swap(before: int, after: int, direction: int, quote: int) -> None:
    assert calculate_quote_asset_amount_swapped(before, after, direction, 500_000) == quote


def test_quote_of_a_swap_the_wrong_way_is_refused() -> None:
    for before, after, direction in ((1, 2, SWAP_ADD), (2, 1, SWAP_REMOVE)):
        with pytest.raises(SettlementError) as refused:
            calculate_quote_asset_amount_swapped(before, after, direction, 500_000)
        assert refused.value.code == ErrorCode.MathError


def test_price_of_an_empty_reserve_is_refused() -> None:
    with pytest.raises(SettlementError) as refused:
        calculate_price(1, 0, 1)
    assert refused.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("coef", "bounds"),
    [
        (1_414_200, (17_468_968_372_288, 34_937_266_634_951)),
        (1_020_710, (24_203_363_415_750, 25_216_247_650_234)),
    ],
)
def test_liquidity_bounds(coef: int, bounds: tuple[int, int]) -> None:
    assert calculate_bid_ask_bounds(coef, 24_704_615_072_091) == bounds


def test_liquidity_bounds_need_a_coefficient_above_one() -> None:
    with pytest.raises(SettlementError) as refused:
        calculate_bid_ask_bounds(1_000_000, 1)
    assert refused.value.code == ErrorCode.InvalidConcentrationCoef


def test_open_bids_and_asks() -> None:
    assert calculate_market_open_bids_asks(512_295_081_967, 353_556_781_219, 707_100_000_000) == (
        158_738_300_748,
        -194_804_918_033,
    )
    assert calculate_market_open_bids_asks(5, 5, 5) == (0, 0)
    assert calculate_market_open_bids_asks(5, 9, 3) == (0, 0)


@pytest.mark.parametrize(("net", "sign"), [(0, 0), (10**12, -1), (-(10**12), 1)])
def test_cost_of_a_peg_rise_by_net_position(net: int, sign: int) -> None:
    """A higher peg is worth more to users who are long: the protocol pays; with users short it receives."""
    market = balanced_market(net)
    before = calculate_base_asset_value(market.amm)
    market.amm.peg_multiplier += 1_000_000
    cost = calculate_curve_cost(net, before, calculate_base_asset_value(market.amm))
    assert (cost > 0) - (cost < 0) == -sign


def test_quotes_ignore_the_reference_price_offset() -> None:
    market = balanced_market(long_spread=1_000, short_spread=500, reference_price_offset=300)
    assert (bid_price(market, 100_000_001), ask_price(market, 100_000_001)) == (99_950_000, 100_100_001)


def test_swap_with_spread_books_the_difference_as_surplus() -> None:
    """The quote comes from the spread reserves, the new reserves from the plain ones, the surplus is the gap."""
    market = balanced_market(base_spread=1_000)
    amm = market.amm
    amm.ask_base_asset_reserve = amm.base_asset_reserve * 1_000 // 1_001
    amm.ask_quote_asset_reserve = amm.sqrt_k**2 // amm.ask_base_asset_reserve
    base, quote, paid, surplus = calculate_base_swap_output_with_spread(amm, 10**9, SWAP_REMOVE)
    assert base == amm.base_asset_reserve - 10**9
    assert quote == amm.sqrt_k**2 // base
    plain = (quote - amm.quote_asset_reserve) * amm.peg_multiplier // 10**9 + 1
    assert paid > plain
    assert surplus == paid - plain
