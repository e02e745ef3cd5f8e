"""What a keeper's scans find: the same in either lane and in slices of any size, and what the margin rules say."""

import pytest
from unit.test_risk_sweep import crowd

from seawall.bulk import available, unavailable_reason
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.keeper.liquidations import Judge
from seawall.keeper.risk import AskRisk, RiskFound
from seawall.keeper.rows import copy_rows, glances, latched
from seawall.keeper.settlements import AskSettlements
from seawall.rules.common.perp_positions import calculate_position_pnl
from seawall.rules.common.user_status import is_being_liquidated
from seawall.state.enums import BORROW, RULEBOOK_VELOCITY, USER_CLOSED
from seawall.state.user import User

needs_compiler = pytest.mark.skipif(not available(), reason=str(unavailable_reason()))
RULEBOOKS = pytest.mark.parametrize("velocity", [False, True], ids=["drift", "velocity"])


def venue(velocity: bool) -> tuple[Store, Clock]:
    """The crowd of the risk sweep's tests under a rulebook."""
    store, clock = crowd()
    if velocity:
        for table in (store.state, store.spot_markets, store.perp_markets):
            for row, record in enumerate(table.objects):
                changed = record.copy()
                changed.rulebook = RULEBOOK_VELOCITY
                table.store(row, changed.pack(), changed)
    return store, clock


def ask(question: AskRisk, store: Store, clock: Clock) -> RiskFound:
    """An answer."""
    return question.answer(question.take(store, clock), clock)


def users(store: Store) -> list[User]:
    """Every account."""
    return [store.users.read(row) for row in range(store.users.count)]


@RULEBOOKS
def test_exact_scan_finds_who_the_judge_finds(velocity: bool) -> None:
    """A quick look never passes over an account that the margin rules would let somebody liquidate or resolve."""
    store, clock = venue(velocity)
    judge = Judge(store, clock)
    expected = [
        row for row, user in enumerate(users(store))
        if user.status & USER_CLOSED == 0 and (judge.scopes(user) or judge.bankrupt_scopes(user))
    ]  # fmt: skip
    assert 20 < len(expected) < store.users.count
    found = ask(AskRisk(seconds=60, lane="exact"), store, clock)
    assert (found.rows, found.lane, found.looked_at) == (expected, "exact", store.users.count)
    assert found.unjudged > 0


@needs_compiler
@RULEBOOKS
def test_lanes_agree(velocity: bool) -> None:
    """The compiled scan and the exact one find the same accounts."""
    store, clock = venue(velocity)
    exact = ask(AskRisk(seconds=60, lane="exact"), store, clock)
    compiled = ask(AskRisk(lane="compiled"), store, clock)
    assert compiled.lane == "compiled"
    assert (compiled.rows, compiled.users, compiled.unjudged) == (exact.rows, exact.users, exact.unjudged)


def test_slices_add_up_to_the_whole() -> None:
    """However little time a slice has, it judges an account at least, and slice after slice finds everybody."""
    store, clock = venue(False)
    whole = ask(AskRisk(seconds=60, lane="exact"), store, clock)
    first, rows, slices = 0, [], 0
    while first < whole.accounts:
        found = ask(AskRisk(first=first, seconds=0, lane="exact"), store, clock)
        assert 0 < found.looked_at < whole.accounts
        rows += found.rows
        first += found.looked_at
        slices += 1
    assert rows == whole.rows
    assert slices > 100


def test_only_some_rows() -> None:
    """Rows that are asked for by number are judged, and no others; a row that does not exist is passed over."""
    store, clock = venue(False)
    whole = ask(AskRisk(seconds=60, lane="exact"), store, clock)
    wanted = whole.rows[:3]
    found = ask(AskRisk(only=[*wanted, 10**6], seconds=60), store, clock)
    assert found.rows == wanted
    assert set(whole.near).isdisjoint(whole.rows)


def test_quick_looks_see_what_the_records_hold() -> None:
    """Position by position, status by status."""
    store, _ = venue(False)
    rows = copy_rows(store, 3, 50)
    seen = list(glances(rows))
    assert len(seen) == 50
    marked = latched(rows)
    for at, (glance, user) in enumerate(zip(seen, users(store)[3:53], strict=True)):
        assert (glance.authority, glance.number, glance.status) == (user.authority, user.sub_account_id, user.status)
        assert glance.borrows == any(p.scaled_balance and p.balance_type == BORROW for p in user.spot_positions)
        held = [
            (p.base_asset_amount, p.quote_asset_amount, p.market_index, p.position_flag)
            for p in user.perp_positions if p.base_asset_amount or p.quote_asset_amount or p.position_flag
        ]  # fmt: skip
        assert list(glance.positions) == held
        assert glance.is_latched == is_being_liquidated(user) == (at in marked)


def test_settlement_scan_weighs_positions_as_the_rules_do() -> None:
    """Losers come first; a gain or loss below the least is left alone."""
    store, clock = venue(False)
    signer = "11111111111111111111111111111111"
    least = 10**9
    question = AskSettlements(signer=signer, least=least)
    found = question.answer(question.take(store, clock), clock)
    assert found.looked_at == store.users.count and found.settlements
    losses = [settlement.pnl for settlement in found.settlements]
    assert losses == sorted(losses) and losses[0] < 0
    prices = [store.oracles.objects[market.amm.oracle_index].price for market in store.perp_markets.objects]
    for settlement in found.settlements:
        user = store.users.read(settlement.row)
        position = next(p for p in user.perp_positions if p.market_index == settlement.market_index)
        if store.perp_markets.objects[settlement.market_index].expiry_price == 0:
            assert settlement.pnl == calculate_position_pnl(position, prices[settlement.market_index])
            assert abs(settlement.pnl) >= least
