"""The conservation checks: silent over everything that the program did, loud about every single unit that is off."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.load import START, accounts, genesis, traffic

from seawall import Clock, Request, Venue
from seawall.audit.conservation import FLIPPED_DUST, LEAKS, History, check_state, rounding_bound
from seawall.audit.parity.replay import read_lines, start_replay
from seawall.audit.replay import replay
from seawall.engine.receipts import Receipt, Transfer, VaultChange
from seawall.engine.store import Store
from seawall.records import Record
from seawall.state.enums import BORROW
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import SpotMarket

TRACES = sorted((Path(__file__).parents[1] / "parity/data/traces").glob("*.jsonl.gz"))
USERS = 20


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name.partition("_")[0])
def test_recorded_histories_account_for_every_unit(path: Path) -> None:
    """After every recorded instruction every total has its parts, every vault its claims, all dust its reason."""
    lines = read_lines(path)
    recorded = start_replay(next(lines))
    store = recorded.machine.store
    history = History()
    execute = recorded.machine.execute

    def watched(request: Request) -> object:
        receipt, changes = execute(request)
        history.add(receipt, store)
        return receipt, changes

    recorded.machine.execute = watched  # type: ignore[method-assign, assignment]
    assert check_state(store).findings == []
    steps = 0
    for line in lines:
        if line["kind"] != "ix":
            recorded.other(line)
            continue
        recorded.step(line)
        steps += 1
        found = check_state(store)
        assert found.findings == [], f"{line['n']} {line['ix']}"
        assert found.flipped_dust == [0] * len(store.spot_markets.objects)
    assert steps > 0
    assert history.findings == []


def test_the_leak_of_settle_multiple_pnls_is_named_and_measured() -> None:
    """d3: pools moved for markets that were then not settled; the tokens stay in the vault, claimed by nobody."""
    path = next(p for p in TRACES if p.name.startswith("d3_"))
    lines = read_lines(path)
    recorded = start_replay(next(lines))
    history = History()
    execute = recorded.machine.execute

    def watched(request: Request) -> object:
        receipt, changes = execute(request)
        history.add(receipt, recorded.machine.store)
        return receipt, changes

    recorded.machine.execute = watched  # type: ignore[method-assign, assignment]
    for line in lines:
        if line["kind"] == "ix":
            recorded.step(line)
    assert dict(history.leaked[0]) == {"settle_multiple_pnls": 2_020_988_510}
    assert "settle_multiple_pnls" in LEAKS
    assert check_state(recorded.machine.store).surplus[0] == 2_020_988_511


# --- what is off is found --------------------------------------------------------------------------------------


@pytest.fixture
def venue() -> Venue:
    """A venue in memory after a mixed load, with positions on both sides, borrows and a stake."""
    venue = Venue()
    venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in [*genesis(), *accounts(USERS)])
    venue.apply_many(Request(*traffic(n, USERS), Clock.at(START + 60 * n)) for n in range(600))
    store = venue.store
    market = store.spot_markets.objects[0].copy()
    market.insurance_fund.total_shares, market.insurance_fund.user_shares = 1_500, 1_000
    overwrite(store, "spot_markets", 0, market)
    stake = InsuranceFundStake(authority=bytes(32), if_shares=1_000)
    overwrite(store, "stakes", 0, stake)
    assert check_state(store).findings == []
    assert replay(venue.journal).findings == []
    return venue


def overwrite(store: Store, table: str, index: int, item: Record) -> None:
    getattr(store, table).store(index, item.pack(), item)


def off_by(table: str, index: int, path: str, amount: int) -> Callable[[Store], None]:
    """Change one number of one record."""

    def act(store: Store) -> None:
        item = getattr(store, table).read(index)
        *owners, last = path.split(".")
        owner = item
        for part in owners:
            owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
        setattr(owner, last, getattr(owner, last) + amount)
        overwrite(store, table, index, item)

    return act


def all_of_the_vault(store: Store) -> None:
    """One token less than the claims."""
    missing = check_state(store).surplus[0] + 1
    off_by("vaults", 0, "spot_vault", -missing)(store)


def foreign_market(table: str) -> Callable[[Store], None]:
    """A position in a market that does not exist."""

    def act(store: Store) -> None:
        user = store.users.read(3)
        slot = getattr(user, table)[7]
        slot.market_index = 9
        if table == "spot_positions":
            slot.scaled_balance = 1
        else:
            slot.base_asset_amount = 1
        overwrite(store, "users", 3, user)

    return act


def turned_round(store: Store) -> None:
    """A deposit counted as a borrow."""
    user = store.users.read(1)
    user.spot_positions[0].balance_type = BORROW
    overwrite(store, "users", 1, user)


OFF: list[tuple[Callable[[Store], None], str]] = [
    (off_by("spot_markets", 0, "deposit_balance", -1), "spot market 0: deposit_balance"),
    (off_by("spot_markets", 0, "deposit_balance", 1), "spot market 0: deposit_balance"),
    (off_by("spot_markets", 1, "borrow_balance", 1), "spot market 1: deposit_balance"),
    (off_by("spot_markets", 0, "revenue_pool.scaled_balance", 1), "spot market 0: deposit_balance"),
    (off_by("spot_markets", 1, "spot_fee_pool.scaled_balance", 1), "spot market 0: deposit_balance"),
    (off_by("perp_markets", 0, "pnl_pool.scaled_balance", 1), "spot market 0: deposit_balance"),
    (off_by("perp_markets", 0, "amm.fee_pool.scaled_balance", 1), "spot market 0: deposit_balance"),
    (off_by("users", 0, "spot_positions.0.scaled_balance", 1), "spot market 0: deposit_balance"),
    (turned_round, "spot market 0: deposit_balance"),
    (all_of_the_vault, "spot market 0: the vault holds"),
    (off_by("perp_markets", 0, "amm.base_asset_amount_long", 1), "base_asset_amount_long"),
    (off_by("perp_markets", 0, "amm.base_asset_amount_short", 1), "base_asset_amount_short"),
    (off_by("perp_markets", 0, "amm.base_asset_amount_with_amm", 1), "base_asset_amount_with_amm"),
    (off_by("perp_markets", 0, "amm.quote_asset_amount", 1), "quote_asset_amount"),
    (off_by("perp_markets", 0, "amm.quote_entry_amount_long", -1), "quote_entry_amount_long"),
    (off_by("perp_markets", 0, "amm.quote_entry_amount_short", 1), "quote_entry_amount_short"),
    (off_by("perp_markets", 0, "amm.quote_break_even_amount_long", 1), "quote_break_even_amount_long"),
    (off_by("perp_markets", 0, "amm.quote_break_even_amount_short", 1), "quote_break_even_amount_short"),
    (off_by("perp_markets", 0, "number_of_users", 1), "number_of_users"),
    (off_by("perp_markets", 0, "number_of_users_with_base", 1), "number_of_users_with_base"),
    (off_by("stakes", 0, "if_shares", 1), "the stakes sum to 1001"),
    (off_by("stakes", 0, "market_index", 9), "a stake in market 9, which does not exist"),
    (off_by("spot_markets", 0, "insurance_fund.user_shares", 501), "exceed total_shares"),
    (foreign_market("spot_positions"), "spot market 9, which does not exist"),
    (foreign_market("perp_positions"), "perp market 9, which does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "finding"), OFF)
def test_one_unit_off_is_found(venue: Venue, act: Callable[[Store], None], finding: str) -> None:
    act(venue.store)
    found = check_state(venue.store)
    assert not found.ok
    assert any(finding in text for text in found.findings), found.findings


def test_dust_that_flipped_from_deposit_to_borrow_is_told_apart(venue: Venue) -> None:
    """The one deviation that the program makes: both totals are off by the same scaled amount. It is reported."""
    off_by("users", 0, "spot_positions.0.scaled_balance", -3)(venue.store)
    user = venue.store.users.read(5)
    user.spot_positions[7].scaled_balance, user.spot_positions[7].balance_type = 3, BORROW
    overwrite(venue.store, "users", 5, user)
    found = check_state(venue.store)
    assert found.findings == [] and found.flipped_dust == [3, 0]
    assert "borrower owes it" in FLIPPED_DUST


def test_stakes_of_an_older_base_may_lose_a_share_each(venue: Venue) -> None:
    """After a rebase by 10, 1,009 shares of the old base are 100 of the new; one more would be one too many."""
    store = venue.store
    market = store.spot_markets.objects[0].copy()
    market.insurance_fund.shares_base, market.insurance_fund.user_shares = 1, 100
    overwrite(store, "spot_markets", 0, market)
    for shares, right in ((1_009, True), (1_000, True), (999, True), (989, False), (1_010, False)):
        stake = store.stakes.read(0)
        stake.if_shares = shares
        overwrite(store, "stakes", 0, stake)
        assert check_state(store).ok == right, shares


# --- histories -------------------------------------------------------------------------------------------------


def receipt(*transfers: Transfer, vaults: tuple[VaultChange, ...] = (), ix: str = "deposit") -> Receipt:
    return Receipt(1, Clock.at(START), ix, "@a", transfers=list(transfers), vaults=list(vaults))


def store_with_vault(tokens: int) -> Store:
    """One market of six decimals with nothing but tokens in its vault."""
    venue = Venue()
    venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in genesis())
    off_by("vaults", 0, "spot_vault", tokens)(venue.store)
    return venue.store


def test_transfers_that_do_not_sum_to_the_vaults_change_are_found() -> None:
    store = store_with_vault(5)
    history = History()
    history.add(receipt(Transfer(0, "user.a/0", 5), vaults=(VaultChange(0, "spot_vault", 4),)), store)
    assert history.findings == [
        "instruction 1 (deposit): the transfers in spot market 0 and the change of its vault differ by 1"
    ]


def test_dust_beyond_rounding_needs_a_name() -> None:
    """5 tokens are more than two legs can round; settle_multiple_pnls may, a deposit may not."""
    for ix, leaks in (("deposit", False), ("settle_multiple_pnls", True)):
        store = store_with_vault(500)
        history = History()
        dust = receipt(Transfer(0, "dust", 500), vaults=(VaultChange(0, "spot_vault", 500),), ix=ix)
        history.add(dust, store)
        assert (history.check(store) == []) == leaks
        assert history.leaked[0][ix] == 500
    history = History()
    store = store_with_vault(6)
    history.add(receipt(Transfer(0, "dust", 6), vaults=(VaultChange(0, "spot_vault", 6),)), store)
    assert history.check(store) == []
    assert history.dust[0]["deposit"] == 6


def test_tokens_that_no_receipt_tells_of_are_found() -> None:
    findings = History().check(store_with_vault(7))
    assert findings == [
        "spot market 0: spot_vault holds 7, its changes sum to 0",
        "spot market 0: the surplus is 7, the dust booked sums to 0",
    ]


def test_the_bound_of_rounding_grows_with_balances_and_interest_only() -> None:
    """No balance: two tokens a leg and four. A unit of index on 10^15 scaled deposits of 6 decimals: 100 tokens."""
    market = SpotMarket(decimals=6, cumulative_deposit_interest=10**10, cumulative_borrow_interest=10**10)
    assert rounding_bound(market, market, 3) == 10
    market.deposit_balance = 10**15
    assert rounding_bound(market, market, 0) == 4 + 2 * 100
    later = market.copy()
    later.cumulative_borrow_interest += 10**9  # 10 % on 10^12 tokens, a millionth of it may be lost
    assert rounding_bound(market, later, 0) == 4 + 2 * 100 + 10**5
