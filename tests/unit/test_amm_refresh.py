"""The refresh: what it touches in which class of the oracle price, and what it does when the peg cannot be paid."""

import pytest
from support.amm import NOW, SLOT, balanced_market, guard_rails, oracle_price, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.records import flatten
from seawall.rules.common.amm_curve import ask_price, bid_price, calculate_terminal_reserves, reserve_price
from seawall.rules.common.amm_k import update_bounds
from seawall.rules.common.amm_refresh import update_amm
from seawall.state.perp_market import PerpMarket


def changed_fields(before: PerpMarket, after: PerpMarket) -> set[str]:
    old = dict(flatten(before))
    return {path.split(".")[-1] for path, value in flatten(after) if value != old[path]}


def test_the_program_s_own_refresh() -> None:
    market = perp_market(
        base_asset_reserve=65_000_000_000, quote_asset_reserve=63_015_384_615, sqrt_k=64_000_000_000,
        peg_multiplier=19_400_000_000, base_asset_amount_with_amm=-1_000_000_000, mark_std=1_000_000,
        last_oracle_price_twap=19_400_000_000, last_oracle_price_twap_5min=18_907_668_639,
        last_oracle_price_twap_ts=9_827, base_spread=250, curve_update_intensity=100, max_spread=55_500,
        concentration_coef=31_020_710, contract_tier=1,
    )  # fmt: skip
    amm = market.amm
    update_bounds(amm)
    amm.terminal_quote_asset_reserve = 64_000_000_000
    rails = guard_rails()
    assert update_amm(market, oracle_price(12_400_000_000, delay=2), rails, 10_000, 81_680_085) == 6_158_609_264
    assert amm.peg_multiplier == 13_145_260_284
    assert amm.long_spread + amm.short_spread == 244_822
    price = reserve_price(amm)
    assert (bid_price(market, price), ask_price(market, price)) == (9_781_849_613, 12_901_837_192)


@pytest.mark.parametrize("status", [7, 8])
def test_settled_markets_are_left_alone(status: int) -> None:
    market = balanced_market(10**12, status=status, curve_update_intensity=100)
    before = market.pack()
    assert update_amm(market, oracle_price(101_000_000), guard_rails(), NOW, SLOT) == 0
    assert market.pack() == before


def test_a_static_curve_keeps_its_peg() -> None:
    market = balanced_market(10**12, base_spread=1_000)
    before = market.copy()
    assert update_amm(market, oracle_price(101_000_000), guard_rails(), NOW, SLOT) == 0
    assert changed_fields(before, market) == {
        "last_oracle_price", "last_oracle_price_twap", "last_oracle_price_twap_5min", "last_oracle_price_twap_ts",
        "last_oracle_normalised_price", "last_oracle_reserve_price_spread_pct", "oracle_std", "last_oracle_valid",
        "last_update_slot", "long_spread", "short_spread", "ask_base_asset_reserve", "ask_quote_asset_reserve",
        "bid_base_asset_reserve", "bid_quote_asset_reserve",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("net", "price"), [(10**12, 101_000_000), (-(10**12), 99_000_000), (10**12, 99_000_000), (0, 101_000_000)]
)
def test_a_moving_curve_follows_the_oracle_and_books_the_cost(net: int, price: int) -> None:
    market = balanced_market(net, curve_update_intensity=100, max_spread=20_000, total_fee_minus_distributions=10**12)
    amm = market.amm
    cost = update_amm(market, oracle_price(price), guard_rails(), NOW, SLOT)
    assert abs(reserve_price(amm) - price) <= 2
    assert amm.total_fee_minus_distributions == 10**12 - cost
    assert amm.net_revenue_since_last_funding == -cost
    assert (cost > 0) == (net * (price - 100_000_000) > 0)
    assert (amm.last_oracle_valid, amm.last_update_slot) == (True, SLOT)
    assert amm.terminal_quote_asset_reserve == calculate_terminal_reserves(amm)[0]


@pytest.mark.parametrize(
    ("oracle", "valid"),
    [
        ({}, True),
        ({"delay": 11}, False),  # StaleForAMM
        ({"delay": 121}, False),  # StaleForMargin
        ({"confidence": 3_000_000}, False),  # TooUncertain
    ],
)
def test_a_doubtful_price_still_moves_peg_and_twaps(oracle: dict[str, int], valid: bool) -> None:
    """Anything positive moves the curve; only a Valid price makes the AMM fit for fills and stamps the slot."""
    market = balanced_market(0, curve_update_intensity=100)
    update_amm(market, oracle_price(101_000_000, **oracle), guard_rails(), NOW, SLOT)
    amm = market.amm
    assert amm.peg_multiplier == 101_000_000
    assert amm.historical_oracle_data.last_oracle_price_twap_ts == NOW
    assert amm.last_oracle_valid == valid
    assert amm.last_update_slot == (SLOT if valid else SLOT - 100)


def unpayable() -> PerpMarket:
    """One unit above the reserved fees: with what lowering k saves, the peg moves further than that unit pays."""
    return balanced_market(
        10**14, curve_update_intensity=100, max_spread=200_000, total_exchange_fee=2 * 10**8,
        total_fee_minus_distributions=10**8 + 1,
    )  # fmt: skip


def test_a_peg_that_the_fees_do_not_pay_is_undone() -> None:
    """k is put back with the peg; the slot stays old although the oracle counts as valid."""
    market = unpayable()
    before = market.copy().amm
    assert update_amm(market, oracle_price(125_000_000), guard_rails(), NOW, SLOT) == 0
    amm = market.amm
    assert (amm.peg_multiplier, amm.sqrt_k) == (before.peg_multiplier, before.sqrt_k)
    assert amm.base_asset_reserve == before.base_asset_reserve
    assert amm.min_base_asset_reserve == before.min_base_asset_reserve
    assert amm.total_fee_minus_distributions == before.total_fee_minus_distributions
    assert (amm.last_oracle_valid, amm.last_update_slot) == (True, SLOT - 100)


@pytest.mark.parametrize(("price", "code"), [(0, ErrorCode.MathError), (-1, ErrorCode.CastingFailure)])
def test_a_price_that_is_not_positive_aborts(price: int, code: ErrorCode) -> None:
    with pytest.raises(SettlementError) as refused:
        update_amm(balanced_market(), oracle_price(price), guard_rails(), NOW, SLOT)
    assert refused.value.code == code
