"""Velocity's invariants of liquidations (C4–C7, C11, C12, E9), whatever the prices, weights, fees and sizes."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seawall.arithmetic import U32_MAX, U64_MAX
from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition
from seawall.instructions.liquidation import LiquidatePerp, LiquidatePerpPnlForDeposit
from seawall.rules.common.liquidation_math import (
    calculate_asset_transfer_for_liability_transfer_exact,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_perp_if_fee,
    calculate_spot_if_fee,
    liquidation_discount,
    liquidation_premium,
)
from seawall.rules.common.liquidation_steps import note_perp_fees
from seawall.rules.velocity.liquidation_math import (
    calculate_user_protective_asset_price,
    calculate_user_protective_liability_price,
    get_liquidation_fee,
    get_max_liquidation_fee,
)
from seawall.rules.velocity.liquidation_perp import note_perp_fee_rates
from seawall.rules.velocity.liquidation_spot import note_spot_fee_rates
from seawall.rules.velocity.margin import calculate_liquidation_margin, margin_shortage
from seawall.state.facts import LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from tests.support.money import ONE_USDC, SOL, USDC
from tests.support.trading import PERP, P, TradingVenue

VERA, LISA = "@vera", "@lisa"
shortages = st.integers(0, 10**13)
ratios = st.integers(100, 10_000)
fees = st.integers(0, 100_000)
prices = st.integers(1, 10**12)
quote_prices = st.integers(900_000, 1_100_000)


def base_to_cover(*arguments: int) -> int | None:
    """The base, or None where closing frees nothing, or more than fits."""
    try:
        return calculate_base_asset_amount_to_cover_margin_shortage(*arguments)
    except SettlementError:
        return None


# --- C4 --------------------------------------------------------------------------------------------------------


@given(shortages, st.integers(0, 10**12), ratios, fees, fees, prices, quote_prices)
def test_c4_base_to_cover_grows_with_the_shortage(
    shortage: int, more: int, ratio: int, fee: int, insurance: int, price: int, quote: int
) -> None:
    """No shortage needs no base, unless none covers any; a larger shortage never needs less."""
    rest = (ratio, fee, insurance, price, quote)
    small, large = base_to_cover(shortage, *rest), base_to_cover(shortage + more, *rest)
    assume(small is not None and large is not None)
    assert small is not None and large is not None
    assert small <= large
    assert base_to_cover(0, *rest) in (0, U64_MAX)


# --- C5 --------------------------------------------------------------------------------------------------------


@given(st.integers(0, U32_MAX // 3), st.integers(1, 10_000), st.integers(0, 10**9), st.integers(0, 10**7),
       st.sampled_from([200, 350, 400]))  # fmt: skip
def test_c5_the_ramped_fee_is_between_base_and_maximum(
    fee: int, ratio: int, since: int, elapsed: int, slot_ms: int
) -> None:
    """For every market whose fee is not above its maximum, and it never falls with time."""
    market = PerpMarket(liquidator_fee=fee, margin_ratio_maintenance=ratio)
    largest = get_max_liquidation_fee(market)
    assume(fee <= largest)
    now = get_liquidation_fee(fee, largest, since, since + elapsed, slot_ms)
    later = get_liquidation_fee(fee, largest, since, since + elapsed + 1, slot_ms)
    assert fee <= now <= later <= largest


# --- C6 --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
def test_c6_a_discount_is_at_most_one_and_a_premium_at_least(fee: int) -> None:
    """Discount ≤ 10^6 ≤ premium."""
    assert liquidation_discount(fee) <= 10**6 <= liquidation_premium(fee)


# --- C7, E9 ----------------------------------------------------------------------------------------------------


@given(shortages, st.integers(0, 10**15), ratios, fees, st.integers(1_000, 10**12), quote_prices, fees)
def test_c7_perp_fees_stay_below_their_cap(
    shortage: int, base: int, ratio: int, fee: int, price: int, quote: int, cap: int
) -> None:
    """Whatever could be borne, no more than the cap is charged."""
    assert 0 <= calculate_perp_if_fee(shortage, base, ratio, fee, price, quote, cap) <= cap


weights = st.integers(0, 20_000)


@given(shortages, st.integers(0, 10**15), weights, fees, weights, fees, st.sampled_from([5, 6, 8, 9]), prices, fees)
def test_c7_spot_fees_stay_below_their_cap(
    shortage: int, tokens: int, asset: int, fee: int, liability: int, other: int, decimals: int, price: int, cap: int
) -> None:
    """As for perps."""
    premium, discount = liquidation_premium(fee), liquidation_discount(other)
    rate = calculate_spot_if_fee(shortage, tokens, asset, premium, liability, discount, decimals, price, cap)
    assert 0 <= rate <= cap


@given(shortages, st.integers(1, 10**15), ratios, fees, st.integers(1_000, 10**12), quote_prices, fees, fees,
       st.integers(0, 10**15))  # fmt: skip
def test_e9_perp_fees_of_insurance_and_protocol(
    shortage: int, base: int, ratio: int, fee: int, price: int, quote: int, insurance: int, protocol: int, value: int
) -> None:
    """Both together at most the value times both rates; insurance's as if there were no protocol."""
    both = PerpMarket(if_liquidation_fee=insurance, protocol_liquidation_fee=protocol)
    alone = PerpMarket(if_liquidation_fee=insurance)
    facts, facts_alone = LiquidationFacts(), LiquidationFacts()
    for market, noted in ((both, facts), (alone, facts_alone)):
        note_perp_fee_rates(market, shortage, base, ratio, fee, price, quote, noted)
        note_perp_fees(value, fee, noted)
    assert facts.if_fee + facts.protocol_fee <= value * (insurance + protocol) // 10**6
    assert facts.if_fee == facts_alone.if_fee and facts_alone.protocol_fee == 0


@given(shortages, st.integers(1, 10**15), weights, fees, weights, fees, prices, fees, fees, st.integers(0, 10**15))
def test_e9_spot_fees_of_insurance_and_protocol(
    shortage: int, tokens: int, asset: int, fee: int, liability: int, other: int, price: int, insurance: int,
    protocol: int, transfer: int,
) -> None:  # fmt: skip
    """As for perps, of the tokens that are repaid."""
    both = SpotMarket(decimals=6, if_liquidation_fee=insurance, protocol_liquidation_fee=protocol)
    alone = SpotMarket(decimals=6, if_liquidation_fee=insurance)
    facts, facts_alone = LiquidationFacts(), LiquidationFacts()
    for market, noted in ((both, facts), (alone, facts_alone)):
        note_spot_fee_rates(
            market, shortage, tokens, asset, liquidation_premium(fee), liability, liquidation_discount(other), price,
            noted,
        )  # fmt: skip
    cuts = transfer * facts.if_rate // 10**6 + transfer * facts.protocol_rate // 10**6
    assert cuts <= transfer * (insurance + protocol) // 10**6
    assert facts.if_rate == facts_alone.if_rate and facts_alone.protocol_rate == 0


# --- C11 -------------------------------------------------------------------------------------------------------


def shortage_of(venue: TradingVenue) -> int:
    """What Vera lacks to leave liquidation, in the scope of her perp position."""
    store = venue.machine.store
    oracles = [
        OraclePriceData(price=oracle.price, has_sufficient_number_of_data_points=True)
        for oracle in store.oracles.objects
    ]
    calculation = MarginCalculation()
    user = venue.user(VERA)
    calculate_liquidation_margin(
        user, store.spot_markets.objects, store.perp_markets.objects, oracles, store.state.objects[0], calculation
    )
    return margin_shortage(calculation, 0 if user.perp_positions[0].position_flag & 1 else -1)


@st.composite
def loss_venues(draw: st.DrawFn) -> tuple[TradingVenue, int]:
    """Vera has the loss of a closed position on a deposit of some market, or on collateral of its own."""
    isolated = draw(st.booleans())
    market = USDC if isolated else draw(st.sampled_from([USDC, SOL]))
    venue = TradingVenue(rulebook="velocity", isolated_positions=True, market={"contract_tier": "A"})
    venue.trader(VERA, usdc=0)
    venue.trader(LISA, usdc=1_000_000)
    deposit = draw(st.integers(1, 10**9))
    if isolated:
        assert venue.deposit(VERA, USDC, deposit).ok
        venue.ok(DepositIntoIsolatedPerpPosition(user=VERA, perp_market_index=PERP, amount=deposit), VERA)
    elif market == SOL:
        assert venue.deposit(VERA, SOL, deposit * 10).ok
    else:
        assert venue.deposit(VERA, USDC, deposit).ok
    loss = draw(st.integers(1, 2 * 10**9))
    user = venue.user(VERA)
    user.perp_positions[0].quote_asset_amount = -loss
    venue.change_user(VERA, perp_positions=user.perp_positions)
    venue.change_perp(quote_asset_amount=-loss, number_of_users=1, liquidator_fee=draw(st.integers(0, 30_000)))
    venue.change_market(market, liquidator_fee=draw(st.integers(0, 30_000)))
    return venue, market


def try_it(venue: TradingVenue, instruction: Any) -> Receipt:
    """Carry it out, or be refused for reasons that a test need not know."""
    return venue.do(instruction, LISA)


@settings(max_examples=60, deadline=None)
@given(loss_venues(), st.integers(1, 10**10))
def test_c11_a_deposit_for_a_loss_never_raises_the_shortage(found: tuple[TradingVenue, int], most: int) -> None:
    """Where the transfer would, it is refused and nothing changes; else the shortage is at most what it was."""
    venue, market = found
    before = shortage_of(venue)
    ix = LiquidatePerpPnlForDeposit(
        user=VERA, liquidator=LISA, perp_market_index=PERP, spot_market_index=market, liquidator_max_pnl_transfer=most
    )
    receipt = try_it(venue, ix)
    assert shortage_of(venue) <= before
    if receipt.refusal is not None:
        assert receipt.refusal.error in ("SufficientCollateral", "LiquidationWorsensAccountHealth")


# --- C12 -------------------------------------------------------------------------------------------------------


@given(
    prices, prices, st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**9), st.integers(1, 10**15),
    st.sampled_from([5, 6, 8, 9]), st.sampled_from([5, 6, 8, 9]), fees, fees,
)  # fmt: skip
def test_c12_protective_prices_seize_no_more(
    asset_price: int, liability_price: int, twap: int, other_twap: int, confidence: int, liability: int,
    asset_decimals: int, decimals: int, fee: int, other: int,
) -> None:  # fmt: skip
    """At the higher price of the asset, and at the lower one of the liability, a liability costs at most as much."""
    premium, discount = liquidation_premium(fee), liquidation_discount(other)

    def seized(price: int, other_price: int) -> int:
        return calculate_asset_transfer_for_liability_transfer_exact(
            premium, asset_decimals, price, liability, discount, decimals, other_price
        )

    raw = seized(asset_price, liability_price)
    high = calculate_user_protective_asset_price(asset_price, confidence, twap)
    low = calculate_user_protective_liability_price(liability_price, confidence, other_twap)
    assert high >= asset_price and 1 <= low <= liability_price
    assert seized(high, low) <= min(seized(high, liability_price), seized(asset_price, low)) <= raw


# --- whole liquidations ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(600, 900), st.integers(80 * P, 99 * P), st.integers(1, 10**12), st.booleans(), st.integers(0, 50_000),
    st.integers(0, 50_000),
)  # fmt: skip
def test_what_a_perp_liquidation_takes_from_one_others_get(
    size: int, price: int, most: int, isolated: bool, insurance: int, protocol: int
) -> None:
    """The user's loss is the liquidator's fee and the two pending cuts to the unit, in either scope; nothing else."""
    venue = TradingVenue(rulebook="velocity", isolated_positions=True)
    venue.trader(VERA, usdc=1_000)
    venue.trader(LISA, usdc=1_000_000)
    if isolated:
        venue.ok(DepositIntoIsolatedPerpPosition(user=VERA, perp_market_index=PERP, amount=1_000 * ONE_USDC), VERA)
    assert venue.take(VERA, "Long", size * 10**8).ok
    venue.change_perp(liquidator_fee=10_000, if_liquidation_fee=insurance, protocol_liquidation_fee=protocol)
    venue.now += 10
    venue.post("SOL", price)

    def together() -> int:
        ledger = venue.perp.fee_ledger
        rows = [venue.user(name).perp_positions[0] for name in (VERA, LISA)]
        pending = ledger.pending_if_fee + ledger.pending_protocol_fee
        return pending + sum(row.quote_asset_amount for row in rows)

    before, base = together(), venue.perp.amm.base_asset_amount_with_amm
    ix = LiquidatePerp(user=VERA, liquidator=LISA, market_index=PERP, liquidator_max_base_asset_amount=most)
    receipt = try_it(venue, ix)
    assert together() == before
    assert venue.perp.amm.base_asset_amount_with_amm == base
    assert venue.perp.amm.quote_asset_amount == sum(
        venue.user(name).perp_positions[0].quote_asset_amount for name in (VERA, LISA)
    )
    if receipt.refusal is not None:
        assert receipt.refusal.error in (
            ErrorCode.SufficientCollateral.name,
            ErrorCode.InvalidBaseAssetAmountForLiquidatePerp.name,
        )
