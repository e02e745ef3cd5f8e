"""The risk sweep: both lanes and the per-account query say the same of every account, invalid ones included."""

import copy
import random

import pytest
from support.bulk_tables import random_user, recorded_world

from seawall.bulk import available, unavailable_reason
from seawall.bulk.batch import Tables
from seawall.bulk.kernels_risk import Sweep, Verdict, sweep
from seawall.engine.queries.margin import margin
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.transaction import price_data
from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_to_text
from seawall.rules.common.margin import update_liquidation_status
from seawall.rules.common.perp_positions import is_perp_position_available
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.margin import scope_can_exit_liquidation
from seawall.rules.velocity.user_status import is_scope_bankrupt, is_scope_being_liquidated
from seawall.state.enums import (
    POSITION_BANKRUPT,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    USER_CLOSED,
)
from seawall.state.user import User

USERS = 400
SIZE = User.LAYOUT.size
needs_compiler = pytest.mark.skipif(not available(), reason=str(unavailable_reason()))
LANES = [pytest.param(False, id="exact"), pytest.param(True, id="bulk", marks=needs_compiler)]


def crowd() -> tuple[Store, Clock]:
    """The recorded venue with random users: safe, short of collateral, in liquidation, bankrupt, deleted, invalid."""
    recording, now, slot = recorded_world()
    store: Store = recording.store
    rng = random.Random(7)
    spot, perp = store.spot_markets.objects, store.perp_markets.objects
    rows = []
    for i in range(USERS):
        user = random_user(rng, spot, perp, positions=rng.randrange(1, 9))
        user.authority = i.to_bytes(32, "little")
        if rng.random() < 0.5:
            # owes about what it owns: either side of the requirement
            for position in user.spot_positions[1:]:
                position.balance_type = 0
            held = rng.randrange(10**9, 10**13)
            user.spot_positions[0].scaled_balance, user.spot_positions[0].balance_type = held, rng.randrange(2)
        if rng.random() < 0.3:
            user.status |= USER_BEING_LIQUIDATED
        if i % 23 == 0:
            user.spot_positions[0].open_orders = 33  # more than there can be
        if i % 29 == 0:
            user.spot_positions[1].market_index, user.spot_positions[1].scaled_balance = 2, 1
            user.spot_positions[1].balance_type = 0  # worth no token
        rows.append(user.pack())
    store.users.load(bytearray(b"".join(rows)), USERS)
    return store, Clock(now, slot)


def tables(store: Store, clock: Clock) -> Tables:
    """The store's rows in two segments."""
    users = b"".join(store.users.row(i) for i in range(store.users.count))
    half = USERS // 2 * SIZE
    oracles = [price_data(oracle, i, clock.slot) for i, oracle in enumerate(store.oracles.objects)]
    return Tables(
        users=[bytearray(users[:half]), bytearray(users[half:])],
        spot_markets=bytearray(b"".join(m.pack() for m in store.spot_markets.objects)),
        perp_markets=bytearray(b"".join(m.pack() for m in store.perp_markets.objects)),
        oracles=bytearray(b"".join(o.pack() for o in oracles)),
        state=bytearray(store.state.objects[0].pack()),
    )


def verdicts(result: Sweep) -> list[Verdict]:
    """All verdicts in order."""
    size = Verdict.LAYOUT.size
    return [Verdict.unpack(rows, at) for rows in result.verdicts for at in range(0, len(rows), size)]


def put(given: Tables, i: int, user: User) -> None:
    """Overwrite a row."""
    segment, at = divmod(i, USERS // 2)
    given.users[segment][at * SIZE : (at + 1) * SIZE] = user.pack()


def by_query(store: Store, clock: Clock, i: int) -> tuple[ErrorCode | None, bool, int, int]:
    """Error, liquidatable, collateral and requirement of one account, from the query and the rule that lets leave."""
    user = store.users.read(i)
    if user.status == USER_CLOSED:
        return ErrorCode.UserNotFound, False, 0, 0
    if user.status & USER_BANKRUPT:
        return ErrorCode.UserBankrupt, False, 0, 0
    try:
        found = margin(store, clock, f"{key_to_text(user.authority)}/0").maintenance
    except SettlementError as error:
        return error.code, False, 0, 0
    liquidatable = not found.met
    if user.status & USER_BEING_LIQUIDATED:
        oracles = [price_data(oracle, k, clock.slot) for k, oracle in enumerate(store.oracles.objects)]
        liquidatable = update_liquidation_status(
            user, store.spot_markets.objects, store.perp_markets.objects, oracles, store.state.objects[0]
        )
    return None, liquidatable, found.total_collateral, found.margin_requirement


@pytest.mark.parametrize("compiled", LANES)
def test_every_account_is_judged_as_by_the_query(compiled: bool) -> None:
    """Same error, verdict, collateral and requirement as each account's own query; all kinds of accounts occur."""
    store, clock = crowd()
    result = sweep(tables(store, clock), compiled=compiled)
    expected = [by_query(store, clock, i) for i in range(USERS)]
    refused = {refusal.user: refusal.code for refusal in result.refusals}
    found = [
        (refused.get(i), verdict.liquidatable, verdict.total_collateral, verdict.margin_requirement)
        for i, verdict in enumerate(verdicts(result))
    ]
    assert found == expected
    assert result.liquidatable == [i for i, (_, liquidatable, _, _) in enumerate(expected) if liquidatable]
    codes = set(refused.values())
    assert {ErrorCode.UserNotFound, ErrorCode.UserBankrupt} <= codes
    assert {ErrorCode.InvalidSpotPositionDetected, ErrorCode.InvalidMarginRatio} <= codes
    flagged = [bool(store.users.read(i).status & USER_BEING_LIQUIDATED) for i in range(USERS)]
    judged = [
        (flag, liquidatable) for flag, (error, liquidatable, _, _) in zip(flagged, expected, strict=True) if not error
    ]
    assert {pair: judged.count(pair) >= 10 for pair in set(judged)} == {
        (False, False): True, (False, True): True, (True, False): True, (True, True): True
    }  # fmt: skip


@pytest.mark.parametrize("compiled", LANES)
def test_the_buffer_keeps_accounts_in_liquidation(compiled: bool) -> None:
    """Accounts that meet their requirement, but not with the buffer, stay in liquidation and do not enter it."""
    store, clock = crowd()
    given = tables(store, clock)
    between = []
    for i, verdict in enumerate(verdicts(sweep(given, compiled=compiled))):
        user = store.users.read(i)
        quote = user.spot_positions[0]
        buffer = verdict.margin_requirement_plus_buffer - verdict.margin_requirement
        wanted = quote.scaled_balance + (verdict.margin_requirement + buffer // 2 - verdict.total_collateral) * 1_000
        if buffer < 10**6 or quote.balance_type != 0 or not 0 < wanted < 2**63:
            continue
        between.append(i)
        quote.scaled_balance = wanted
        user.status = USER_BEING_LIQUIDATED if i % 2 else 0
        put(given, i, user)
    after = sweep(given, compiled=compiled).liquidatable
    assert len(between) > 20
    assert [i for i in between if i in after] == [i for i in between if i % 2]


@needs_compiler
def test_both_lanes_leave_the_same_bytes() -> None:
    """Verdicts and refusals are equal; users, markets and state are untouched."""
    store, clock = crowd()
    given = tables(store, clock)
    exact, compiled = copy.deepcopy(given), copy.deepcopy(given)
    expected, found = sweep(exact, compiled=False), sweep(compiled, compiled=True)
    assert found.verdicts == expected.verdicts
    assert found.liquidatable == expected.liquidatable
    assert [(r.user, r.code) for r in found.refusals] == [(r.user, r.code) for r in expected.refusals]
    assert exact == compiled
    assert (compiled.users, compiled.spot_markets) == (given.users, given.spot_markets)
    assert (compiled.perp_markets, compiled.state) == (given.perp_markets, given.state)


@needs_compiler
def test_an_account_beyond_128_bits_is_judged_in_the_exact_lane() -> None:
    """Funding between the ends of its fields does not fit compiled code; the verdict is that of the exact lane."""
    store, clock = crowd()
    given = tables(store, clock)
    user = User.unpack(given.users[0])
    user.status = 0
    position = user.perp_positions[0]
    position.market_index, position.base_asset_amount = 0, 2**63 - 1
    position.last_cumulative_funding_rate, position.open_bids = -(2**63), 2**63 - 1
    put(given, 0, user)
    market = store.perp_markets.objects[0]
    market.amm.cumulative_funding_rate_long = 2**126
    given.perp_markets[: len(market.pack())] = market.pack()
    expected, found = sweep(copy.deepcopy(given), compiled=False), sweep(given, compiled=True)
    assert found.handed_over > 0
    assert found.verdicts == expected.verdicts
    assert [(r.user, r.code) for r in found.refusals] == [(r.user, r.code) for r in expected.refusals]


# --- Velocity ----------------------------------------------------------------------------------------------------


def velocity_crowd() -> tuple[Store, Clock]:
    """The same venue under Velocity, half of the positions isolated with collateral of about what they need."""
    store, clock = crowd()
    rng = random.Random(11)
    for table in (store.spot_markets, store.perp_markets):
        for market in table.objects:
            market.rulebook = RULEBOOK_VELOCITY
    state = store.state.objects[0]
    state.rulebook, state.liquidation_margin_buffer_ratio = RULEBOOK_VELOCITY, 200
    rows = []
    for i in range(USERS):
        user = store.users.read(i)
        for position in user.perp_positions:
            if rng.random() < 0.5 and not is_perp_position_available(position):
                position.position_flag = POSITION_ISOLATED | rng.choice((0, 0, POSITION_BEING_LIQUIDATED))
                if rng.random() < 0.1:
                    position.position_flag = POSITION_ISOLATED | POSITION_BANKRUPT
                position.isolated_position_scaled_balance = rng.randrange(1, 10**14)
        rows.append(user.pack())
    store.users.load(bytearray(b"".join(rows)), USERS)
    return store, clock


def scopes_by_query(store: Store, clock: Clock, i: int) -> tuple[ErrorCode | None, bool]:
    """Error, and whether some scope can be liquidated, from the query and the rule that lets leave."""
    user = store.users.read(i)
    if user.status == USER_CLOSED:
        return ErrorCode.UserNotFound, False
    try:
        found = margin(store, clock, f"{key_to_text(user.authority)}/0")
    except SettlementError as error:
        return error.code, False
    met = {CROSS: found.maintenance.met}
    own = iter(found.isolated)
    for row, position in enumerate(user.perp_positions):
        if position.position_flag & POSITION_ISOLATED and not is_perp_position_available(position):
            met[row] = next(own).maintenance.met
    for row, fine in met.items():
        if is_scope_bankrupt(user, row):
            continue
        oracles = [price_data(oracle, k, clock.slot) for k, oracle in enumerate(store.oracles.objects)]
        markets = store.spot_markets.objects, store.perp_markets.objects, oracles, store.state.objects[0]
        if is_scope_being_liquidated(user, row):
            fine = scope_can_exit_liquidation(user, row, *markets)
        if not fine:
            return None, True
    return None, False


@pytest.mark.parametrize("compiled", LANES)
def test_every_scope_of_velocity_is_judged_as_by_the_query(compiled: bool) -> None:
    """An account is marked where any of its scopes can be liquidated; a bankrupt scope is none, its others are."""
    store, clock = velocity_crowd()
    result = sweep(tables(store, clock), compiled=compiled)
    refused = {refusal.user: refusal.code for refusal in result.refusals}
    found = verdicts(result)
    assert [(refused.get(i), found[i].liquidatable) for i in range(USERS)] == [
        scopes_by_query(store, clock, i) for i in range(USERS)
    ]
    assert {verdict.row for verdict in found if verdict.liquidatable} >= {CROSS, 0}
    assert result.liquidatable == [i for i in range(USERS) if found[i].liquidatable]
