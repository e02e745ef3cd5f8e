"""Invariants of velocity/invariants.md about margin and conservation (C1–C3, C8–C10, D1, D2, E8), and of the scopes."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.money import ONE_USDC, USDC
from support.scopes import meets_all
from support.trading import PERP, B, TradingVenue

from seawall.engine.conservation import totals
from seawall.errors import SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.isolated import (
    DepositIntoIsolatedPerpPosition,
    TransferIsolatedPerpPositionDeposit,
    WithdrawFromIsolatedPerpPosition,
)
from seawall.instructions.pnl import SettlePnl
from seawall.rules.common.balances import get_spot_balance, get_token_amount
from seawall.rules.common.margin import all_scopes_meet_margin_requirement, perp_row_margin
from seawall.rules.common.margin_weights import (
    calculate_size_discount_asset_weight,
    calculate_size_premium_liability_weight,
)
from seawall.rules.common.perp_margin import MAX_POSITIVE_UPNL_FOR_INITIAL_MARGIN
from seawall.rules.velocity.isolated import CROSS, get_isolated_token_amount
from seawall.rules.velocity.isolated_transfers import get_tvl, transfer_isolated_perp_position_deposit
from seawall.rules.velocity.margin import (
    calculate_liquidation_margin,
    calculate_margin,
    can_exit_liquidation,
    margin_shortage,
    meets_margin_requirement,
    scope_can_exit_liquidation,
    scope_figures,
)
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MARGIN_FILL,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    STATUS_SETTLEMENT,
)
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

World = tuple[User, list[SpotMarket], list[PerpMarket], list[OraclePriceData], State]

PERPS = 3
prices = st.integers(10_000, 10**9)
kinds = st.sampled_from([MARGIN_INITIAL, MARGIN_FILL, MARGIN_MAINTENANCE])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A quote and a token market, three perp markets, a user with a position in each: cross or isolated."""
    spots = []
    for i, decimals in enumerate((6, 9)):
        market = SpotMarket(
            rulebook=RULEBOOK_VELOCITY, market_index=i, oracle_index=i, decimals=decimals, status=STATUS_ACTIVE
        )
        market.cumulative_deposit_interest = draw(st.integers(10**10, 3 * 10**10))
        market.cumulative_borrow_interest = draw(st.integers(10**10, 3 * 10**10))
        market.maintenance_asset_weight, market.initial_asset_weight = 9_000, 8_000
        market.maintenance_liability_weight, market.initial_liability_weight = 11_000, 12_000
        market.historical_oracle_data.last_oracle_price_twap = market.historical_oracle_data.last_oracle_price = 10**6
        market.historical_oracle_data.last_oracle_price_twap_5min = draw(prices)
        market.deposit_balance = 10**18
        spots.append(market)
    oracles = [OraclePriceData(price=10**6, confidence=1, has_sufficient_number_of_data_points=True)]
    oracles += [
        OraclePriceData(price=draw(prices), confidence=1, has_sufficient_number_of_data_points=True)
        for _ in range(PERPS + 1)
    ]
    state = State(rulebook=RULEBOOK_VELOCITY, liquidation_margin_buffer_ratio=draw(st.sampled_from([0, 200, 5_000])))
    rails = state.oracle_guard_rails.validity
    rails.slots_before_stale_for_amm, rails.slots_before_stale_for_margin = 10, 120
    rails.confidence_interval_max_size, rails.too_volatile_ratio = 10**9, 10**9
    user = User(max_margin_ratio=draw(st.sampled_from([0, 3_000])))
    for i in (0, 1):
        position = user.spot_positions[i]
        position.market_index = i
        position.scaled_balance = draw(st.one_of(st.just(0), st.integers(10**6, 10**13)))
        position.balance_type = draw(st.sampled_from([DEPOSIT, BORROW])) if position.scaled_balance else DEPOSIT
    perps = [draw(perp_markets(i)) for i in range(PERPS)]
    for i in range(PERPS):
        row = user.perp_positions[i]
        row.market_index = i
        row.base_asset_amount = draw(st.integers(-(10**12), 10**12))
        row.quote_asset_amount = draw(st.integers(-(10**10), 10**10))
        row.open_bids, row.open_asks = draw(st.integers(0, 10**12)), draw(st.integers(-(10**12), 0))
        row.max_margin_ratio = draw(st.sampled_from([0, 6_000]))
        if draw(st.booleans()):
            row.position_flag = POSITION_ISOLATED
            row.isolated_position_scaled_balance = draw(st.integers(0, 10**13))
    return user, spots, perps, oracles, state


@st.composite
def perp_markets(draw: st.DrawFn, index: int) -> PerpMarket:
    """A perp market with its own oracle."""
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY, market_index=index, status=STATUS_ACTIVE)
    if draw(st.integers(0, 4)) == 0:
        market.status, market.expiry_price = STATUS_SETTLEMENT, draw(prices)
    market.margin_ratio_maintenance = draw(st.integers(200, 5_000))
    market.margin_ratio_initial = draw(st.integers(market.margin_ratio_maintenance, 10_000))
    market.imf_factor = draw(st.sampled_from([0, 1_000]))
    market.unrealized_pnl_maintenance_asset_weight = 10_000
    market.unrealized_pnl_initial_asset_weight = draw(st.sampled_from([0, 5_000, 10_000]))
    market.amm.oracle_index = index + 2
    market.amm.historical_oracle_data.last_oracle_price_twap = draw(prices)
    return market


def fresh(world: World) -> World:
    """The same, every oracle to be judged anew."""
    for oracle in world[3]:
        oracle.validity = 0
    return world


def figures(world: World, kind: int, strict: bool = False, buffer: int = 0) -> MarginCalculation:
    """Every scope held to one type."""
    calculation = MarginCalculation()
    calculate_margin(*fresh(world), kind, kind, -1, kind, strict, buffer, calculation)
    return calculation


def scopes(world: World) -> list[int]:
    """Cross margin and the rows of the isolated positions."""
    return [CROSS] + [i for i in range(8) if world[0].perp_positions[i].position_flag & POSITION_ISOLATED]


# --- margin ----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(world=worlds())
def test_c1_initial_margin_counts_a_hundred_of_each_positions_profit(world: World) -> None:
    """Weighted positive P&L of one position, cross or isolated, adds at most 100 quote to Initial collateral."""
    for row in range(PERPS):
        _, _, weighted, _, _ = perp_row_margin(
            world[0], row, *fresh(world)[1:4], world[4].oracle_guard_rails.validity, MARGIN_INITIAL, False
        )
        assert weighted <= MAX_POSITIVE_UPNL_FOR_INITIAL_MARGIN


@settings(max_examples=150, deadline=None)
@given(world=worlds(), strict=st.booleans())
def test_c2_initial_asks_for_no_less_than_maintenance(world: World, strict: bool) -> None:
    """In every scope the Initial requirement is at least Fill's, and Fill's at least the maintenance one."""
    initial, fill, maintenance = (figures(world, k, strict) for k in (MARGIN_INITIAL, MARGIN_FILL, MARGIN_MAINTENANCE))
    for row in scopes(world):
        asked = [scope_figures(found, row)[2] for found in (initial, fill, maintenance)]
        assert asked == sorted(asked, reverse=True)


@settings(max_examples=150, deadline=None)
@given(world=worlds(), strict=st.booleans())
def test_c3_meeting_initial_means_meeting_maintenance(world: World, strict: bool) -> None:
    """Scope by scope, and for the account as a whole."""
    initial, maintenance = figures(world, MARGIN_INITIAL, strict), figures(world, MARGIN_MAINTENANCE, strict)
    for row in scopes(world):
        assert not meets_margin_requirement(initial, row) or meets_margin_requirement(maintenance, row)
    assert not meets_all(initial) or meets_all(maintenance)


@given(size=st.integers(0, 10**24), imf=st.integers(0, 10**7), weight=st.integers(0, 10_000))
def test_c8_size_only_discounts_an_asset(size: int, imf: int, weight: int) -> None:
    """The size-discounted asset weight is at most the weight, which is at most 1."""
    assert 0 <= calculate_size_discount_asset_weight(size, imf, weight) <= weight


@given(size=st.integers(0, 10**24), imf=st.integers(0, 10**7), weight=st.integers(10_000, 100_000))
def test_c9_size_only_raises_a_liability(size: int, imf: int, weight: int) -> None:
    """The size-premium liability weight is at least the weight, which is at least 1."""
    assert calculate_size_premium_liability_weight(size, imf, weight) >= weight


@settings(max_examples=150, deadline=None)
@given(world=worlds(), kind=kinds, strict=st.booleans(), more=st.integers(1, 10**12))
def test_c10_more_deposit_never_means_less_collateral(world: World, kind: int, strict: bool, more: int) -> None:
    """Neither in cross margin nor in an isolated position, and no other scope notices."""
    user = world[0]
    assume(user.spot_positions[0].balance_type == DEPOSIT)
    before = figures(world, kind, strict)
    for row in scopes(world):
        richer = user.copy()
        if row == CROSS:
            richer.spot_positions[0].scaled_balance += more + 10**6
        else:
            richer.perp_positions[row].isolated_position_scaled_balance += more
        after = figures((richer, *world[1:]), kind, strict)
        for other in scopes(world):
            change = scope_figures(after, other)[0] - scope_figures(before, other)[0]
            assert change >= 0 if other == row else change == 0
            assert scope_figures(after, other)[2] == scope_figures(before, other)[2]


@settings(max_examples=150, deadline=None)
@given(world=worlds(), kind=kinds, strict=st.booleans())
def test_isolating_a_position_takes_it_out_of_cross_margin(world: World, kind: int, strict: bool) -> None:
    """What the position adds is the same wherever it stands; its own deposit is all that is new."""
    user, spots, *_ = world
    for row in range(PERPS):
        position = user.perp_positions[row]
        crossed, isolated = user.copy(), user.copy()
        crossed.perp_positions[row].position_flag = 0
        crossed.perp_positions[row].isolated_position_scaled_balance = 0
        isolated.perp_positions[row].position_flag = POSITION_ISOLATED
        together, apart = figures((crossed, *world[1:]), kind, strict), figures((isolated, *world[1:]), kind, strict)
        own, _, required, _ = scope_figures(apart, row)
        low = 10**6
        if strict:
            low = min(low, spots[0].historical_oracle_data.last_oracle_price_twap_5min)
        held = get_isolated_token_amount(position, spots[0]) * low // 10**6
        assert together.total_collateral == apart.total_collateral + own - held
        assert together.margin_requirement == apart.margin_requirement + required


@settings(max_examples=150, deadline=None)
@given(world=worlds(), kind=kinds, strict=st.booleans())
def test_the_predicates_agree_with_the_figures(world: World, kind: int, strict: bool) -> None:
    """Whoever only asks whether all scopes are met is told what the whole calculation says."""
    met = meets_all(figures(world, kind, strict))
    assert all_scopes_meet_margin_requirement(*fresh(world), kind, kind, -1, kind, strict) == met


@settings(max_examples=150, deadline=None)
@given(world=worlds())
def test_leaving_liquidation_takes_the_buffer_too(world: World) -> None:
    """A scope that can exit lacks nothing and meets maintenance; what lacks something cannot exit; and asking about
    one scope alone gives the same answer."""
    calculation = MarginCalculation()
    calculate_liquidation_margin(*fresh(world), calculation)
    for row in scopes(world):
        can_exit = can_exit_liquidation(calculation, row)
        assert scope_can_exit_liquidation(world[0], row, *fresh(world)[1:]) == can_exit
        collateral, taken_off, _, _ = scope_figures(calculation, row)
        assert taken_off <= 0
        if calculation.margin_buffer == 0:
            assert can_exit == (collateral >= 0)
            continue
        assert (margin_shortage(calculation, row) == 0) == can_exit
        assert not can_exit or meets_margin_requirement(calculation, row)


# --- transfers -------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    index=st.integers(10**9, 10**11),
    cross=st.integers(0, 10**15),
    isolated=st.integers(0, 10**15),
    others=st.integers(0, 10**16),
    amount=st.one_of(st.integers(-(10**12), 10**12), st.just(-(2**63))),
)
def test_e8_a_transfer_leaves_deposits_less_borrows_alone(
    index: int, cross: int, isolated: int, others: int, amount: int
) -> None:
    """Between cross margin and an isolated position: deposits less borrows end within 10 tokens of where they were,
    and the two claims together lose at most a token's dust each."""
    quote = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=6, status=STATUS_ACTIVE, optimal_utilization=800_000,
        cumulative_deposit_interest=index, cumulative_borrow_interest=max(index, 10**10),
        deposit_balance=cross + isolated + others,
    )  # fmt: skip
    quote.historical_oracle_data.last_oracle_price_twap_5min = 10**6
    user = User()
    user.spot_positions[0].scaled_balance = cross
    row = user.perp_positions[0]
    row.position_flag, row.isolated_position_scaled_balance = POSITION_ISOLATED, isolated
    oracles = [OraclePriceData(price=10**6, confidence=1, has_sufficient_number_of_data_points=True)]
    oracles.append(oracles[0].copy())
    perp = PerpMarket(rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE)
    perp.amm.oracle_index = 1
    tvl, before = get_tvl(quote), quote.deposit_balance
    state = State(rulebook=RULEBOOK_VELOCITY)
    try:
        transfer_isolated_perp_position_deposit(
            user, 0, 0, amount, [quote], [perp], oracles, state, 0, 0, False, InterestFacts()
        )
    except SettlementError:
        assume(False)
    assert 0 <= tvl - get_tvl(quote) <= 10
    token = 2 * (get_spot_balance(1, quote, DEPOSIT, False) + 1)
    claims = user.spot_positions[0].scaled_balance + row.isolated_position_scaled_balance
    assert quote.deposit_balance == claims + others
    assert 0 <= before - quote.deposit_balance <= token


# --- a venue ---------------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "withdraw", "put", "move", "take_out", "trade", "settle", "price", "wait"]),
        st.sampled_from(["@alice", "@bob"]),
        st.integers(-500, 500),
    ),
    max_size=25,
)


def instruction(kind: str, user: str, amount: int) -> Instruction:
    """One movement of money."""
    tokens = abs(amount) * ONE_USDC + abs(amount) % 7
    if kind == "deposit":
        return Deposit(user=user, market_index=USDC, amount=tokens)
    if kind == "withdraw":
        return Withdraw(user=user, market_index=USDC, amount=tokens)
    if kind == "put":
        return DepositIntoIsolatedPerpPosition(user=user, perp_market_index=PERP, amount=tokens)
    if kind == "take_out":
        return WithdrawFromIsolatedPerpPosition(user=user, perp_market_index=PERP, amount=tokens)
    if kind == "settle":
        return SettlePnl(user=user, market_index=PERP)
    signed = tokens if amount > 0 else -tokens
    return TransferIsolatedPerpPositionDeposit(user=user, perp_market_index=PERP, amount=signed)


def claims_of(venue: TradingVenue) -> int:
    """Tokens of everybody who has a claim on the quote vault, each rounded down, less what is owed to it."""
    store, quote = venue.machine.store, venue.market(USDC)
    scaled = [quote.revenue_pool, quote.protocol_fee_pool]
    scaled += [pool for market in store.perp_markets.objects for pool in _pools(market)]
    claims = sum(get_token_amount(pool.scaled_balance, quote, DEPOSIT) for pool in scaled)
    claims += get_token_amount(quote.insurance_fund_revenue_receivable_scaled, quote, DEPOSIT)
    for name in ("@alice", "@bob"):
        user = venue.user(name)
        held = user.spot_positions[0]
        tokens = get_token_amount(held.scaled_balance, quote, held.balance_type)
        claims += -tokens if held.balance_type == BORROW else tokens
        claims += sum(get_isolated_token_amount(position, quote) for position in user.perp_positions)
    return claims


def _pools(market: PerpMarket) -> list[Any]:
    return [market.pnl_pool, market.amm.fee_pool, market.protocol_fee_pool]


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_d1_d2_the_vault_covers_every_claim_after_every_instruction(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is deposited, isolated, traded, settled and withdrawn: the vault holds at least cross balances, isolated
    collateral, P&L, fee, protocol and revenue pools and the receivable together; what it holds beyond them is dust."""
    venue = TradingVenue(rulebook="velocity", isolated_positions=True)
    venue.trader("@alice", "@bob", usdc=2_000)
    for kind, user, amount in steps:
        if kind == "trade":
            venue.take(user, "Long" if amount > 0 else "Short", max(1, abs(amount) // 50) * B)
        elif kind == "price":
            venue.post("SOL", 100_000_000 + amount * 20_000)
        elif kind == "wait":
            venue.now += abs(amount) * 3_600
        else:
            venue.do(instruction(kind, user, amount), user)
        # the venue's own watch compares every total with its parts after each of these
        claims = claims_of(venue)
        vault = venue.vault(USDC)
        assert claims <= vault
        assert vault - claims <= totals(venue.market(USDC), vault).surplus + 20
