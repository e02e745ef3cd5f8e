"""What must hold of every margin calculation, whatever an account holds."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seawall.rules.common.margin import calculate_margin, meets_margin_requirement
from seawall.rules.common.withdraw_limits import (
    calculate_withdraw_bounds,
    check_withdraw_limits,
    get_max_withdraw_for_market_with_token_amount,
)
from seawall.state.enums import BORROW, DEPOSIT, MARGIN_FILL, MARGIN_INITIAL, MARGIN_MAINTENANCE, STATUS_ACTIVE
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

DECIMALS = (6, 9, 8)
MARKETS = len(DECIMALS)

prices = st.integers(10_000, 10**9)


@st.composite
def spot_markets(draw: st.DrawFn) -> list[SpotMarket]:
    markets = []
    for i, decimals in enumerate(DECIMALS):
        market = SpotMarket(market_index=i, oracle_index=i, decimals=decimals, status=STATUS_ACTIVE)
        market.cumulative_deposit_interest = draw(st.integers(10**10, 3 * 10**10))
        market.cumulative_borrow_interest = draw(st.integers(10**10, 3 * 10**10))
        market.maintenance_asset_weight = draw(st.integers(5_000, 9_999))
        market.initial_asset_weight = draw(st.integers(0, market.maintenance_asset_weight))
        market.maintenance_liability_weight = draw(st.integers(10_001, 15_000))
        market.initial_liability_weight = draw(st.integers(market.maintenance_liability_weight, 20_000))
        market.imf_factor = draw(st.sampled_from([0, 1_000, 100_000]))
        market.historical_oracle_data.last_oracle_price_twap = draw(prices)
        market.historical_oracle_data.last_oracle_price_twap_5min = draw(prices)
        markets.append(market)
    return markets


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Any, ...]:
    """User, spot markets, one perp market, oracles, state. Every balance is worth at least one token."""
    spots = draw(spot_markets())
    perp = PerpMarket(status=STATUS_ACTIVE)
    perp.margin_ratio_maintenance = draw(st.integers(200, 5_000))
    perp.margin_ratio_initial = draw(st.integers(perp.margin_ratio_maintenance, 10_000))
    perp.imf_factor = draw(st.sampled_from([0, 1_000]))
    perp.unrealized_pnl_maintenance_asset_weight = 10_000
    perp.unrealized_pnl_initial_asset_weight = draw(st.sampled_from([0, 5_000, 10_000]))
    perp.amm.oracle_index = 1
    perp.amm.historical_oracle_data.last_oracle_price_twap = draw(prices)
    oracles = [OraclePriceData(price=10**6, confidence=1, has_sufficient_number_of_data_points=True)]
    oracles += [
        OraclePriceData(price=draw(prices), confidence=1, has_sufficient_number_of_data_points=True) for _ in spots[1:]
    ]
    state = State()
    rails = state.oracle_guard_rails.validity
    rails.slots_before_stale_for_amm, rails.slots_before_stale_for_margin = 10, 120
    rails.confidence_interval_max_size, rails.too_volatile_ratio = 20_000, 5
    user = User(max_margin_ratio=draw(st.sampled_from([0, 3_000])))
    for i in range(MARKETS):
        position = user.spot_positions[i]
        position.market_index = i
        position.scaled_balance = draw(st.one_of(st.just(0), st.integers(10**6, 10**15)))
        position.balance_type = draw(st.sampled_from([DEPOSIT, BORROW])) if position.scaled_balance else DEPOSIT
    base = draw(st.integers(-(10**12), 10**12))
    user.perp_positions[0].base_asset_amount = base
    user.perp_positions[0].quote_asset_amount = draw(st.integers(-(10**12), 10**12))
    return user, spots, [perp], oracles, state


def figures(world: tuple[Any, ...], kind: int, strict: bool, buffer: int = 0) -> MarginCalculation:
    for oracle in world[3]:
        oracle.validity = 0
    calculation = MarginCalculation()
    calculate_margin(*world, kind, strict, buffer, calculation)
    return calculation


@settings(max_examples=200, deadline=None)
@given(world=worlds())
def test_stricter_types_never_ask_for_less(world: tuple[Any, ...]) -> None:
    """Initial asks for at least what Fill asks for, Fill at least what Maintenance asks for, and they grant no more
    collateral, up to the rounding of each position."""
    initial, fill, maintenance = (figures(world, k, False) for k in (MARGIN_INITIAL, MARGIN_FILL, MARGIN_MAINTENANCE))
    assert initial.margin_requirement >= fill.margin_requirement >= maintenance.margin_requirement
    assert initial.total_collateral <= fill.total_collateral <= maintenance.total_collateral


@settings(max_examples=200, deadline=None)
@given(world=worlds(), kind=st.sampled_from([MARGIN_INITIAL, MARGIN_FILL, MARGIN_MAINTENANCE]))
def test_strict_never_is_more_generous(world: tuple[Any, ...], kind: int) -> None:
    """At strict prices an account has no more collateral and owes no less."""
    plain, strict = figures(world, kind, False), figures(world, kind, True)
    assert strict.total_collateral <= plain.total_collateral
    assert strict.margin_requirement >= plain.margin_requirement


@settings(max_examples=200, deadline=None)
@given(world=worlds(), kind=st.sampled_from([MARGIN_INITIAL, MARGIN_FILL, MARGIN_MAINTENANCE]), strict=st.booleans())
def test_the_parts_sum_to_the_whole(world: tuple[Any, ...], kind: int, strict: bool) -> None:
    """Collateral and requirement of an account are the sums over its positions, each alone, in any slot."""
    user, *rest = world
    whole = figures(world, kind, strict)
    collateral = requirement = 0
    for i in range(MARKETS + 1):
        alone = User(max_margin_ratio=user.max_margin_ratio)
        if i < MARKETS:
            # market 0 is valued by its index, not by its slot
            alone.spot_positions[(i + 3) % 8] = user.spot_positions[i].copy()
        else:
            alone.perp_positions[7] = user.perp_positions[0].copy()
        part = figures((alone, *rest), kind, strict)
        collateral += part.total_collateral
        requirement += part.margin_requirement
    assert (whole.total_collateral, whole.margin_requirement) == (collateral, requirement)


@settings(max_examples=200, deadline=None)
@given(world=worlds(), kind=st.sampled_from([MARGIN_INITIAL, MARGIN_MAINTENANCE]), buffer=st.integers(1, 5_000))
def test_a_buffer_only_adds(world: tuple[Any, ...], kind: int, buffer: int) -> None:
    """The requirement with buffer is at least the requirement, which the buffer does not move; the predicate agrees
    with the figures."""
    plain, buffered = figures(world, kind, False), figures(world, kind, False, buffer)
    assert buffered.margin_requirement == plain.margin_requirement <= buffered.margin_requirement_plus_buffer
    met = plain.total_collateral >= plain.margin_requirement
    assert meets_margin_requirement(*world, kind, False) == met


# --- withdraw limits -------------------------------------------------------------------------------------------


@st.composite
def limited_markets(draw: st.DrawFn) -> SpotMarket:
    market = SpotMarket(market_index=1, decimals=9)
    market.cumulative_deposit_interest = market.cumulative_borrow_interest = 10**10
    market.deposit_balance = draw(st.integers(0, 10**15))
    market.borrow_balance = draw(st.integers(0, market.deposit_balance))
    market.deposit_token_twap = draw(st.integers(0, 10**15))
    market.borrow_token_twap = draw(st.integers(0, 10**15))
    market.utilization_twap = draw(st.integers(0, 1_200_000))
    market.optimal_utilization = draw(st.integers(0, 1_000_000))
    market.withdraw_guard_threshold = draw(st.one_of(st.just(0), st.integers(0, 10**15)))
    return market


@given(market=limited_markets(), held=st.integers(-(10**15), 10**15))
def test_leaving_is_never_freer_than_staying(market: SpotMarket, held: int) -> None:
    """What may leave the program is at most what may move inside it, and both are at least 0."""
    leaving = get_max_withdraw_for_market_with_token_amount(market, held, True)
    staying = get_max_withdraw_for_market_with_token_amount(market, held, False)
    assert 0 <= leaving <= staying


@given(market=limited_markets(), held=st.integers(1, 10**15), part=st.integers(0, 10**6))
def test_a_depositor_within_the_bound_is_let_out(market: SpotMarket, held: int, part: int) -> None:
    """A withdrawal that stays a deposit and within what the rule says may leave passes the check after it."""
    held = min(held, market.deposit_balance)
    most = min(get_max_withdraw_for_market_with_token_amount(market, held, True), held)
    amount = most * part // 10**6
    assume(amount > 0)  # below the floor even a withdrawal of nothing is refused
    market.deposit_balance -= amount
    user = User()
    position = user.spot_positions[1]
    position.market_index, position.scaled_balance = 1, held - amount
    check_withdraw_limits(market, user, amount)


@given(market=limited_markets())
def test_a_guard_at_least_as_large_as_the_market_limits_nothing(market: SpotMarket) -> None:
    """With a guard above all deposits and averages no deposit has to stay, and everything may be lent out."""
    market.withdraw_guard_threshold = 10**16
    _, borrows, floor, ceiling = calculate_withdraw_bounds(market)
    assert floor == 0
    assert ceiling >= borrows
