"""What always holds of the virtual AMM and of funding, stated as sentences."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.amm import NOW, SLOT, balanced_market, guard_rails, oracle_price

from seawall.errors import SettlementError
from seawall.rules.common.amm_curve import (
    SWAP_ADD,
    SWAP_REMOVE,
    calculate_base_swap_output_with_spread,
    calculate_price,
    calculate_terminal_reserves,
    reserve_price,
)
from seawall.rules.common.amm_k import formulaic_update_k
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.amm_spread import calculate_max_target_spread, calculate_spread, update_spread_reserves
from seawall.rules.common.amm_validation import validate_perp_market_curve
from seawall.rules.common.funding import calculate_funding_payment, settle_funding_payment
from seawall.rules.drift.funding import update_funding_rate
from seawall.state.facts import CurveFacts, FundingPaymentFacts, FundingRateFacts
from seawall.state.user import User

nets = st.integers(-(10**14), 10**14)
prices = st.integers(50_000_000, 200_000_000)
spreads = st.integers(0, 100_000)
fees = st.integers(-(10**12), 10**12)


@given(net=nets, base=st.integers(1, 10**13), long=spreads, short=spreads)
def test_nobody_profits_from_buying_and_selling_back(net: int, base: int, long: int, short: int) -> None:
    """What a buyer pays is at least what selling the same base at once would bring; the surplus is the AMM's."""
    market = balanced_market(net, long_spread=long, short_spread=short)
    amm = market.amm
    update_spread_reserves(market)
    new_base, new_quote, paid, surplus = calculate_base_swap_output_with_spread(amm, base, SWAP_REMOVE)
    assert surplus >= 0
    amm.base_asset_reserve, amm.quote_asset_reserve = new_base, new_quote
    update_spread_reserves(market)
    _, _, received, _ = calculate_base_swap_output_with_spread(amm, base, SWAP_ADD)
    assert received <= paid


@given(net=nets, long=spreads, short=spreads, offset=st.integers(-50_000, 50_000))
def test_the_ask_is_never_below_the_bid(net: int, long: int, short: int, offset: int) -> None:
    """Whatever the spreads and the offset, the stored reserves quote bid ≤ reserve price ≤ ask."""
    market = balanced_market(net, long_spread=long, short_spread=short, reference_price_offset=offset)
    amm = market.amm
    update_spread_reserves(market)
    bid = calculate_price(amm.bid_quote_asset_reserve, amm.bid_base_asset_reserve, amm.peg_multiplier)
    ask = calculate_price(amm.ask_quote_asset_reserve, amm.ask_base_asset_reserve, amm.peg_multiplier)
    assert bid <= reserve_price(amm) <= ask


@given(
    net=nets, total=fees, divergence=st.integers(-900_000, 900_000), conf=st.integers(0, 100_000),
    std=st.integers(0, 10**8), revenue=st.integers(-(10**11), 10**9), volume=st.integers(0, 10**12),
)  # fmt: skip
def test_spreads_stay_below_their_maximum(
    net: int, total: int, divergence: int, conf: int, std: int, revenue: int, volume: int
) -> None:
    """Both spreads together never exceed the maximum that the market, divergence and volatility allow."""
    market = balanced_market(
        net, base_spread=1_000, curve_update_intensity=100, total_fee_minus_distributions=total,
        last_oracle_reserve_price_spread_pct=divergence, last_oracle_conf_pct=conf, mark_std=std,
        net_revenue_since_last_funding=revenue, long_intensity_volume=volume // 3, volume_24h=volume,
    )  # fmt: skip
    amm = market.amm
    price = reserve_price(amm)
    long, short = calculate_spread(market, price)
    assert long >= 0 and short >= 0
    assert long + short <= calculate_max_target_spread(amm, price)


@settings(deadline=None)
@given(
    net=nets, price=prices, conf=st.integers(0, 10**6), total=fees, intensity=st.integers(0, 200),
    exchange_fee=st.integers(0, 10**9),
)  # fmt: skip
def test_a_refresh_leaves_a_consistent_curve(
    net: int, price: int, conf: int, total: int, intensity: int, exchange_fee: int
) -> None:
    """After a refresh the reserves lie on the curve, the terminal reserve is that of the net position, and what was
    booked as cost left the fees; a second refresh at the same moment moves no TWAP.
    """
    market = balanced_market(
        net, curve_update_intensity=intensity, total_fee_minus_distributions=total, total_exchange_fee=exchange_fee
    )
    amm = market.amm
    oracle = oracle_price(price, conf)
    cost = update_amm(market, oracle, guard_rails(), NOW, SLOT)
    validate_perp_market_curve(amm)
    assert amm.terminal_quote_asset_reserve == calculate_terminal_reserves(amm)[0]
    assert amm.total_fee_minus_distributions == total - cost
    assert amm.net_revenue_since_last_funding == -cost
    history = amm.historical_oracle_data
    twaps = (history.last_oracle_price_twap, history.last_oracle_price_twap_5min)
    update_amm(market, oracle, guard_rails(), NOW, SLOT)
    assert (history.last_oracle_price_twap, history.last_oracle_price_twap_5min) == twaps


@settings(deadline=None)
@given(net=nets, price=prices, total=st.integers(0, 10**12))
def test_a_refresh_moves_the_price_toward_the_oracle(net: int, price: int, total: int) -> None:
    """The reserve price ends no further from the oracle than it began, up to the rounding of the peg."""
    market = balanced_market(net, curve_update_intensity=100, total_fee_minus_distributions=total)
    before = abs(reserve_price(market.amm) - price)
    update_amm(market, oracle_price(price), guard_rails(), NOW, SLOT)
    assert abs(reserve_price(market.amm) - price) <= before + 3


@given(net=nets, cost=st.integers(-(10**10), 10**10), total=st.integers(0, 10**12), intensity=st.integers(1, 200))
def test_k_moves_by_its_step_and_what_it_costs_is_booked(net: int, cost: int, total: int, intensity: int) -> None:
    """A funding update changes √k by at most 0.1 % times the intensity, and books exactly what it cost, or nothing."""
    market = balanced_market(
        net, base_spread=1_000, curve_update_intensity=intensity, total_fee_minus_distributions=total
    )
    amm = market.amm
    depth = amm.sqrt_k
    facts = CurveFacts()
    try:
        formulaic_update_k(market, cost, facts)
    except SettlementError:
        assume(False)
    assert abs(amm.sqrt_k - depth) <= depth * 10 * intensity // 1_000_000 + 1
    assert amm.total_fee_minus_distributions == total - facts.adjustment_cost
    if not facts.updated:
        assert (amm.sqrt_k, facts.adjustment_cost) == (depth, 0)


@given(rate=st.integers(-(10**12), 10**12), base=st.integers(-(10**15), 10**15))
def test_a_payment_is_rounded_toward_zero(rate: int, base: int) -> None:
    """A payment is never larger than its exact value, and less than one unit smaller."""
    payment = calculate_funding_payment(rate, base)
    exact = -rate * base
    assert payment * exact >= 0
    assert 0 <= abs(exact) - abs(payment) * 10**12 < 10**12


@settings(deadline=None)
@given(
    longs=st.lists(st.integers(1, 10**13), min_size=1, max_size=4),
    shorts=st.lists(st.integers(1, 10**13), min_size=1, max_size=4),
    mark=st.integers(98_000_000, 102_000_000),
)
def test_funding_is_a_transfer(longs: list[int], shorts: list[int], mark: int) -> None:
    """When everybody has settled, what users paid and received and the AMM's part cancel out, up to one unit of
    rounding for each position and the AMM.
    """
    market = balanced_market(
        sum(longs) - sum(shorts), base_asset_amount_long=sum(longs), base_asset_amount_short=-sum(shorts),
        last_mark_price_twap=mark, last_bid_price_twap=mark, last_ask_price_twap=mark, number_of_users=8,
        number_of_users_with_base=8, total_fee_minus_distributions=10**15,
    )  # fmt: skip
    amm = market.amm
    facts = FundingRateFacts()
    oracle = oracle_price(100_000_000)
    assert update_funding_rate(market, oracle, guard_rails(), reserve_price(amm), False, NOW, SLOT, facts)
    assume(facts.funding_rate_long == facts.funding_rate_short)
    paid = 0
    for base in longs + [-short for short in shorts]:
        user = User()
        position = user.perp_positions[0]
        position.base_asset_amount = base
        settle_funding_payment(user, position, market, FundingPaymentFacts())
        paid += position.quote_asset_amount
    received_by_amm = amm.total_fee_minus_distributions - 10**15
    parties = len(longs) + len(shorts) + 1
    assert abs(paid + received_by_amm) <= parties
    assert amm.quote_asset_amount == paid
    assert abs(amm.net_unsettled_funding_pnl) <= parties
