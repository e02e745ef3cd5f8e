"""Loops over tables: both lanes leave the same bytes and the same refusals; who is refused is as before."""

import copy
from typing import Any

import pytest

from seawall.bulk import available, unavailable_reason

if not available():
    pytest.skip(str(unavailable_reason()), allow_module_level=True)

from support.bulk_tables import random_tables

from seawall.bulk import kernels
from seawall.bulk.batch import Result, Tables, run
from seawall.errors import ErrorCode
from seawall.state.enums import MUST_SETTLE, STATUS_SETTLEMENT, TRY_SETTLE
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

VAULT = 2**63 - 1


def numbers(loop: Any, now: int, slot: int, mode: int = MUST_SETTLE) -> dict[str, int]:
    """The int parameters of a loop."""
    given = {"market_index": 0, "quote_vault": VAULT, "now": now, "slot": slot, "mode": mode}
    if loop is kernels.settle_funding:
        return {"slot": slot}
    if loop is kernels.settle_expired_positions:
        del given["mode"]
    return given


def in_both_lanes(loop: Any, tables: Tables, **given: Any) -> tuple[Tables, Result]:
    """Run a loop in both lanes on copies of the tables; the tables and the result, which must be equal."""
    exact, compiled = copy.deepcopy(tables), copy.deepcopy(tables)
    expected = run(loop, exact, compiled=False, **given)
    found = run(loop, compiled, compiled=True, **given)
    assert compiled.users == exact.users
    assert compiled.spot_markets == exact.spot_markets
    assert compiled.perp_markets == exact.perp_markets
    assert compiled.oracles == exact.oracles
    assert compiled.state == exact.state == tables.state
    assert found.outcomes == expected.outcomes
    assert (found.settled, found.amount) == (expected.settled, expected.amount)
    assert [(r.user, r.code) for r in found.refusals] == [(r.user, r.code) for r in expected.refusals]
    return compiled, found


def row(tables: Tables, user: int) -> bytes:
    """The bytes of a user by number."""
    size = User.LAYOUT.size
    for segment in tables.users:
        if user < len(segment) // size:
            return bytes(segment[user * size : (user + 1) * size])
        user -= len(segment) // size
    raise IndexError(user)


@pytest.mark.parametrize("mode", [MUST_SETTLE, TRY_SETTLE])
def test_settling_pnl_of_many_users(mode: int) -> None:
    """A third is refused, for several reasons; each keeps every byte; the place of each error is known."""
    tables, now, slot = random_tables(600)
    after, result = in_both_lanes(kernels.settle_pnl, tables, **numbers(kernels.settle_pnl, now, slot, mode))
    codes = {refusal.code for refusal in result.refusals}
    assert {ErrorCode.UserNotFound, ErrorCode.UserBankrupt, ErrorCode.UserHasNoPositionInMarket} <= codes
    assert (ErrorCode.InsufficientCollateralForSettlingPNL in codes) == (mode == MUST_SETTLE)
    assert result.settled > 200
    for refusal in result.refusals:
        assert row(after, refusal.user) == row(tables, refusal.user)
        assert ".py:" in refusal.where


def test_settling_funding_of_many_users() -> None:
    """Each user pays in all markets or in none."""
    tables, _, slot = random_tables(600, positions=4)
    after, result = in_both_lanes(kernels.settle_funding, tables, slot=slot)
    assert result.settled > 200
    assert any(refusal.code == ErrorCode.MathError for refusal in result.refusals)
    for refusal in result.refusals:
        assert row(after, refusal.user) == row(tables, refusal.user)


def test_closing_positions_of_an_expired_market() -> None:
    """Positions are closed at the expiry price."""
    tables, now, slot = random_tables(300)
    market = PerpMarket.unpack(tables.perp_markets)
    market.status, market.expiry_ts, market.expiry_price = STATUS_SETTLEMENT, now - 10**6, 100_000_000
    tables.perp_markets[: PerpMarket.LAYOUT.size] = market.pack()
    loop = kernels.settle_expired_positions
    _, result = in_both_lanes(loop, tables, **numbers(loop, now, slot))
    assert result.settled > 0
    assert result.refusals


def test_what_does_not_fit_is_done_in_the_exact_lane() -> None:
    """A user whose lifetime funding is at the end of its field is handed over, refused there, and restored."""
    tables, _, slot = random_tables(40, segments=1)
    user = User.unpack(tables.users[0])
    user.status = 0
    user.cumulative_perp_funding = 2**63 - 1
    position = user.perp_positions[0]
    position.base_asset_amount, position.last_cumulative_funding_rate = -(10**12), -(10**12)
    tables.users[0][: User.LAYOUT.size] = user.pack()
    after, result = in_both_lanes(kernels.settle_funding, tables, slot=slot)
    assert result.handed_over == 1
    assert result.refusals[0].user == 0
    assert result.refusals[0].code == ErrorCode.CastingFailure
    assert row(after, 0) == user.pack()


def test_every_state_between_two_users() -> None:
    """The rows kept after each user are those that a run up to this user leaves, in both lanes; also where a user is
    refused, handed over, or has no second position."""
    tables, now, slot = random_tables(12, segments=1)
    given = numbers(kernels.settle_pnl, now, slot)
    size, count = PerpMarket.LAYOUT.size, 12
    kept: list[dict[str, bytearray]] = []
    for compiled in (False, True):
        after = {
            "after_spot_markets": bytearray(SpotMarket.LAYOUT.size * count),
            "after_perp_markets": bytearray(size * count),
        }
        run(kernels.settle_pnl, copy.deepcopy(tables), compiled=compiled, after=after, **given)
        kept.append(after)
    assert kept[0] == kept[1]
    for upto in (1, 5, 12):
        part = copy.deepcopy(tables)
        part.users = [part.users[0][: upto * User.LAYOUT.size]]
        run(kernels.settle_pnl, part, compiled=False, **given)
        assert kept[0]["after_perp_markets"][(upto - 1) * size : upto * size] == part.perp_markets[:size]


def test_owners_may_settle_what_others_may_not() -> None:
    """Without an excess in the pools a winner settles only for itself; both lanes know who signed."""
    tables, now, slot = random_tables(60, segments=2)
    market = PerpMarket.unpack(tables.perp_markets)
    market.amm.quote_asset_amount += 10**19
    tables.perp_markets[: PerpMarket.LAYOUT.size] = market.pack()
    size = User.LAYOUT.size
    for i in range(5):
        user = User.unpack(tables.users[0], i * size)
        user.status, user.perp_positions[0].base_asset_amount = 0, 0
        user.perp_positions[0].quote_asset_amount = 1_000_000
        tables.users[0][i * size : (i + 1) * size] = user.pack()
    given = numbers(kernels.settle_pnl, now, slot)
    _, by_keeper = in_both_lanes(kernels.settle_pnl, tables, **given)
    turned_away = {r.user for r in by_keeper.refusals if r.code == ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL}
    assert turned_away
    _, by_owners = in_both_lanes(kernels.settle_pnl, tables, owned=turned_away, **given)
    assert turned_away.isdisjoint(r.user for r in by_owners.refusals)
    assert by_owners.settled > by_keeper.settled


def test_a_loop_wants_its_numbers() -> None:
    """A number too few is a fault of the caller."""
    tables, _, _ = random_tables(1)
    with pytest.raises(TypeError, match="needs the numbers"):
        run(kernels.settle_funding, tables, compiled=True)


@pytest.mark.soak
@pytest.mark.parametrize("positions", [2, 8])
def test_a_hundred_thousand_accounts(positions: int) -> None:
    """100,000 accounts, a third of them failing: equal bytes in tables and markets, equal lists of errors."""
    tables, now, slot = random_tables(100_000, seed=3, positions=positions, segments=7)
    _, result = in_both_lanes(kernels.settle_pnl, tables, **numbers(kernels.settle_pnl, now, slot))
    assert 0.3 < len(result.refusals) / 100_000 < 0.45
    in_both_lanes(kernels.settle_funding, tables, slot=slot)
