"""The GETs give what the engine gives: every record, every question, now and as of then; pages without gap."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from support.money import ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue
from support.service import Running, serving
from support.venues import SOL_PERP, WholeVenue

from seawall.engine.attribution import Attribution, attribute
from seawall.engine.claims import claims
from seawall.engine.conservation import totals
from seawall.engine.queries.insurance import FundView, StakeView, insurance_fund, insurance_stake
from seawall.engine.queries.margin import Margin, Withdrawable, margin, withdrawable
from seawall.engine.queries.pnl import ClaimablePnl, claimable_pnl
from seawall.engine.receipts import Clock, Receipt, Waterfall
from seawall.engine.recovery import machine_at
from seawall.engine.store import Store
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdateInitialPctToLiquidate
from seawall.instructions.base import Instruction
from seawall.instructions.batches import SettlePnlBatch
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.liquidation import LiquidateSpot
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder
from seawall.instructions.solvency import ResolveSpotBankruptcy
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.keys import key_from_text, key_to_text
from seawall.records import to_json
from seawall.service.client import Client, rebuilt, receipt_of
from seawall.service.reads import path_of
from seawall.service.settings import Limits, Settings

PLENTY = Limits(rate=10**6, burst=10**6)


class StoredVenue(MoneyVenue):
    """``MoneyVenue`` in a database."""

    def __init__(self, path: Path) -> None:
        self.stored = Venue.open(path)
        super().__init__()

    def do(self, instruction: Instruction, signer: str = "@admin") -> Receipt:
        """Apply an instruction; its receipt is durable."""
        return self.stored.apply(instruction, signer, self.clock)


def bankrupt_venue(path: Path) -> int:
    """A venue in which a borrower could not pay; the sequence number of the resolution."""
    venue = StoredVenue(path)
    with venue.stored:
        venue.open("@a", "@b", "@borrower", "@liquidator", "@staker")
        for name, market, tokens in (
            ("@a", SOL, 12 * ONE_SOL), ("@b", SOL, 8 * ONE_SOL), ("@borrower", USDC, 1_000 * ONE_USDC),
            ("@liquidator", USDC, 10**6 * ONE_USDC),
        ):  # fmt: skip
            assert venue.deposit(name, market, tokens).ok
        venue.ok(InitializeInsuranceFundStake(authority="@staker", market_index=SOL), "@staker")
        venue.ok(AddInsuranceFundStake(authority="@staker", market_index=SOL, amount=ONE_SOL), "@staker")
        venue.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=10_000))
        assert venue.withdraw("@borrower", SOL, 3 * ONE_SOL).ok
        for price in range(130, 900, 30):
            venue.now += 3_600
            venue.ok(PostOraclePrice(oracle="SOL", price=price * 10**6))
            venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
        seize = LiquidateSpot(
            user="@borrower", liquidator="@liquidator", asset_market_index=USDC, liability_market_index=SOL,
            liquidator_max_liability_transfer=5 * ONE_SOL,
        )  # fmt: skip
        for market in (USDC, SOL):
            venue.ok(UpdateSpotMarketCumulativeInterest(market_index=market))
        venue.ok(seize, "@liquidator")
        resolve = ResolveSpotBankruptcy(user="@borrower", liquidator="@liquidator", market_index=SOL)
        return venue.ok(resolve, "@liquidator").sequence


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service over a whole venue with some trades, settlements and refusals behind it."""
    path = tmp_path_factory.mktemp("reads") / "venue.db"
    whole = WholeVenue()
    for user, direction, base in (("@alice", "Long", 3), ("@bob", "Short", 1)):
        whole.ok(
            PlaceAndTakePerpOrder(
                user=user, market_index=SOL_PERP, direction=direction, base_asset_amount=base * 10**9,  # type: ignore[arg-type]
                fills=[AmmFill()], immediate_or_cancel=True,
            )
        )  # fmt: skip
    whole.wait(3_600)
    whole.do(SettlePnlBatch(market_index=SOL_PERP))
    whole.do(PlaceAndTakePerpOrder(
        user="@carol", market_index=SOL_PERP, direction="Long", base_asset_amount=10**15, fills=[AmmFill()],
    ))  # fmt: skip
    with Venue.open(path) as venue:
        assert [r.effects for r in venue.apply_many(whole.asked)][-1] == whole.machine.effects.hex()
    with serving(Settings(location=str(path), dev=True, dashboard=False, limits=PLENTY)) as found:
        assert found.service.indexed(found.service.venue.sequence)
        yield found


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    """A service over a venue in which a borrower could not pay, and the resolution's sequence number."""
    path = tmp_path_factory.mktemp("lossy") / "venue.db"
    sequence = bankrupt_venue(path)
    with serving(Settings(location=str(path), dev=True, dashboard=False, limits=PLENTY)) as found:
        yield found, sequence


def get(running: Running, path: str, status: int = 200, **parameters: Any) -> Any:
    """What a GET answers."""
    response = httpx.get(running.url + path, params=parameters)
    assert response.status_code == status, response.text
    return response.json()


def undisplayed(data: Any) -> Any:
    """The same data without what is there for people."""
    if isinstance(data, dict):
        return {name: undisplayed(item) for name, item in data.items() if name != "display"}
    return [undisplayed(item) for item in data] if isinstance(data, list) else data


def pages(running: Running, path: str, limit: int, **parameters: Any) -> list[Any]:
    """All items of a list, page by page."""
    found: list[Any] = []
    cursor = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = get(running, path, limit=limit, **more, **parameters)
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def rows(store: Store, name: str) -> list[dict[str, Any]]:
    """Every record of a table as the records themselves write JSON."""
    table = getattr(store, name)
    return [to_json(table.read(index)) for index in range(table.count)]


# --- records -----------------------------------------------------------------------------------------------------


def test_every_record_of_every_table(running: Running) -> None:
    """Each table is a list, in pages of three, with every field of every record as it is stored."""
    store = running.service.venue.store
    for table in Store().tables:
        listed = pages(running, path_of(table.name), 3)
        assert undisplayed(listed) == rows(store, table.name), table.name


def test_records_one_by_one(running: Running) -> None:
    """By their keys, or by their row; what is not there is not found by name."""
    store = running.service.venue.store
    for index in range(store.users.count):
        user = store.users.read(index)
        one = get(running, f"/v1/users/{key_to_text(user.authority)}/{user.sub_account_id}")
        assert undisplayed(one) == to_json(user)
    stake = get(running, "/v1/stakes/@dave/0")
    assert stake["cost_basis"] == "2000000000" and stake["display"]["cost_basis"] == "2000.000000 USDC"
    wallet = get(running, "/v1/wallets/@alice/1")
    assert wallet["display"]["amount"].endswith(" SOL")
    assert undisplayed(get(running, "/v1/user-stats/@bob"))["referrer"] != "1" * 32
    for name in ("config", "state", "oracles", "spot_markets", "vaults", "perp_markets", "transfer_config"):
        assert undisplayed(get(running, f"{path_of(name)}/0")) == rows(store, name)[0]
        assert get(running, f"{path_of(name)}/999", 404)["error"] == "NotFound"
    assert get(running, "/v1/users/@stranger/0", 404)["error"] == "UserNotFound"
    assert get(running, "/v1/stakes/@stranger/0", 404)["error"] == "InsuranceFundStakeNotFound"
    assert get(running, "/v1/users/not-a-key/0", 400)["error"] == "InvalidParameter"


def test_display_amounts(running: Running) -> None:
    """Scaled balances are shown in tokens at the stored interest, prices in the quote, times as dates."""
    market = get(running, "/v1/spot-markets/0")
    store = running.service.venue.store
    of_market = totals(store.spot_markets.objects[0], store.vaults.objects[0].spot_vault)
    assert (
        market["display"]["deposit_balance"] == f"{of_market.deposits // 10**6}.{of_market.deposits % 10**6:06d} USDC"
    )
    assert get(running, "/v1/oracles/1")["display"]["price"] == "100.000000 USDC"
    user = get(running, "/v1/users/@alice/0")
    assert user["perp_positions"][0]["display"]["base_asset_amount"] == "3.000000000 SOL-PERP"
    assert market["insurance_fund"]["display"]["last_revenue_settle_ts"].endswith("Z")


# --- questions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_of", [None, "20", "60", "2023-11-14T22:30:00Z"])
def test_questions_are_the_engines(running: Running, as_of: str | None) -> None:
    """Every question gives what the engine answers on the state executed again up to that moment."""
    service = running.service
    journal, tip = service.venue.journal, service.venue.tip
    parameters = {} if as_of is None else {"as_of": as_of}
    if as_of is None:
        store, clock = service.venue.store, service.clock()
    else:
        by_time = not as_of.isdigit()
        sequence = int(as_of) if not by_time else service.views.last_at(1_700_001_000)
        machine, _ = machine_at(journal, None, sequence)
        entry = journal.entry(sequence)
        assert entry is not None and sequence < tip.sequence
        store = machine.store
        clock = Clock.at(1_700_001_000) if by_time else Clock(entry.unix_timestamp, entry.slot)
    for table in ("users", "spot_markets", "vaults", "stakes"):
        assert undisplayed(pages(running, path_of(table), 100, **parameters)) == rows(store, table)
    asked: list[tuple[str, Any, Any]] = [
        ("/v1/claims", None, [{n: str(v) for n, v in claim._asdict().items()} for claim in claims(store)]),
    ]
    if store.spot_markets.count:
        asked.append(("/v1/insurance-funds/0", FundView, insurance_fund(store, clock, 0)))
    if store.users.count:
        asked += [
            ("/v1/users/@alice/0/margin", Margin, margin(store, clock, "@alice/0")),
            ("/v1/users/@alice/0/withdrawable/0", Withdrawable, withdrawable(store, clock, "@alice/0", 0)),
        ]
    if as_of in (None, "2023-11-14T22:30:00Z"):
        asked += [
            ("/v1/users/@alice/0/claimable-pnl/0", ClaimablePnl, claimable_pnl(store, clock, "@alice/0", 0)),
            ("/v1/stakes/@dave/0/value", StakeView, insurance_stake(store, clock, "@dave", 0)),
        ]
    for path, cls, expected in asked:
        got = get(running, path, **parameters)
        if cls is None:
            assert undisplayed(got) == expected
            continue
        same = rebuilt(cls, got)
        # an account is named by its key in an answer, and the present moves on between two questions
        differing = [
            name
            for name in cls.__struct_fields__
            if getattr(same, name) != getattr(expected, name) and name not in ("user", "authority", "now")
        ]
        assert differing == [] or (as_of is None and set(differing) <= {"next_settlement"}), (path, differing)


def test_as_of_names_its_state(running: Running) -> None:
    """The response says which instruction the state follows; the future and nonsense are refused by name."""
    response = httpx.get(f"{running.url}/v1/venue")
    tip = int(response.json()["sequence"])
    asked = httpx.get(f"{running.url}/v1/users/@alice/0/margin?as_of=50")
    assert asked.headers["seawall-sequence"] == "50"
    assert get(running, "/v1/vaults", as_of=str(tip + 1), status=404)["error"] == "AsOfBeyondJournal"
    assert get(running, "/v1/vaults", as_of="2999-01-01T00:00:00Z", status=404)["error"] == "AsOfBeyondJournal"
    assert get(running, "/v1/vaults", as_of="yesterday", status=400)["error"] == "InvalidParameter"
    assert get(running, "/v1/vaults", as_of="0")["items"] == []
    assert get(running, "/v1/vaults", as_of="1999-01-01T00:00:00Z")["items"] == []


# --- receipts ----------------------------------------------------------------------------------------------------


def test_receipts_in_full(running: Running) -> None:
    """Every receipt comes back as the engine has it, field by field; the journal's bytes too."""
    venue = running.service.venue
    with Client(running.url) as client:
        for sequence in range(1, venue.sequence + 1):
            assert client.receipt(sequence) == venue.receipt(sequence)
    entries = pages(running, "/v1/entries", 7)
    assert [int(entry["sequence"]) for entry in entries] == list(range(1, venue.sequence + 1))
    for entry in entries:
        stored = venue.journal.entry(int(entry["sequence"]))
        assert stored is not None
        assert (entry["outcome"].encode(), entry["hash"]) == (stored.outcome, stored.hash.hex())


def test_lists_of_receipts(running: Running) -> None:
    """Newest first, no gap between pages, and each condition lets pass exactly what fits it."""
    venue = running.service.venue
    receipts = [venue.receipt(sequence) for sequence in range(venue.sequence, 0, -1)]
    everything = [receipt for receipt in receipts if receipt is not None]

    def numbers(**conditions: Any) -> list[int]:
        return [int(item["sequence"]) for item in pages(running, "/v1/receipts", 5, **conditions)]

    assert numbers() == [receipt.sequence for receipt in everything]
    assert numbers(ix="deposit") == [r.sequence for r in everything if r.ix == "deposit"]
    assert numbers(signer="@alice") == [r.sequence for r in everything if r.signer == "@alice"]
    assert numbers(refused=True) == [r.sequence for r in everything if r.refusal is not None] != []
    assert numbers(until=1_700_000_000) == [r.sequence for r in everything if r.clock.unix_timestamp <= 1_700_000_000]
    alice = f"user.{key_to_text(key_from_text('@alice'))}/0"
    moved = {r.sequence for r in everything if any(leg.account == alice for leg in r.transfers)}
    assert moved and moved <= set(numbers(account="@alice/0")) < set(numbers())
    assert numbers(losses=True) == []


def test_transfers_and_limits(running: Running) -> None:
    """What is in receipts is listed over all of them, and of one account alone."""
    venue = running.service.venue
    expected = [
        (str(r.sequence), leg.account, str(leg.amount))
        for s in range(venue.sequence, 0, -1) if (r := venue.receipt(s)) is not None for leg in r.transfers
    ]  # fmt: skip
    found = [
        (item["sequence"], item["transfer"]["account"], item["transfer"]["amount"])
        for item in pages_of_receipts(running, "/v1/transfers")
    ]
    assert found == expected != []
    for item in pages_of_receipts(running, "/v1/transfers", account="@alice/0"):
        assert item["transfer"]["account"].startswith("user.")
    refused = pages_of_receipts(running, "/v1/limits")
    assert {item["error"] for item in refused} - {None}


def pages_of_receipts(running: Running, path: str, **parameters: Any) -> list[Any]:
    """All items of a list whose pages are counted in receipts."""
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = get(running, path, limit=9, **more, **parameters)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_results_of_a_batch(running: Running) -> None:
    """What became of each account of a batch, in pages; any other instruction has none."""
    venue = running.service.venue
    batch = next(
        s for s in range(venue.sequence, 0, -1) if (r := venue.receipt(s)) is not None and r.ix == "settle_pnl_batch"
    )
    table = venue.results(batch)
    assert table is not None
    expected = [
        {k: v if v is None or isinstance(v, bool | str) else str(v) for k, v in row.items()}
        for row in table.to_pylist()
    ]
    assert undisplayed(pages(running, f"/v1/receipts/{batch}/results", 2)) == expected
    assert get(running, "/v1/receipts/1/results", 404)["error"] == "NotFound"


# --- losses ------------------------------------------------------------------------------------------------------


def test_a_waterfall_and_its_bearers(lossy: tuple[Running, int]) -> None:
    """The sources of a loss, and everybody who bears it, as the engine attributes it right after the instruction."""
    running, sequence = lossy
    receipt = running.service.venue.receipt(sequence)
    assert receipt is not None and receipt.waterfall is not None
    assert rebuilt(Waterfall, get(running, f"/v1/receipts/{sequence}/waterfall")) == receipt.waterfall
    machine, _ = machine_at(running.service.venue.journal, None, sequence)
    expected = attribute(machine.store, receipt.waterfall)
    got = rebuilt(Attribution, get(running, f"/v1/receipts/{sequence}/bearers"))
    for mine, theirs in ((got.bearers, expected.bearers), (got.insurers, expected.insurers)):
        assert mine == sorted(theirs, key=lambda bearer: -bearer.share)
    assert got.socialised == expected.socialised > 0 and got.insured == expected.insured > 0
    assert get(running, "/v1/receipts/2/bearers", 404)["error"] == "NotFound"
    running.service.indexed(sequence)
    assert [item["sequence"] for item in get(running, "/v1/receipts", losses=True)["items"]] == [str(sequence)]
    history = get(running, f"/v1/insurance-funds/{SOL}/history")["items"]
    assert history and history[0]["display"]["vault"].endswith("SOL")


def test_flows_balance_with_transfers(running: Running) -> None:
    """What went into the vault over the whole history is what lies in it."""
    flows = get(running, "/v1/flows", market_index=0)
    inflow = sum(
        int(flow["amount"]) for flow in flows if flow["source"] == "outside" and flow["target"] != "insurance_fund"
    )
    outflow = sum(int(flow["amount"]) for flow in flows if flow["target"] == "outside")
    assert inflow - outflow == running.service.venue.store.vaults.objects[0].spot_vault


def test_metrics_and_health(running: Running) -> None:
    """Prometheus reads it; the counts are those of the journal."""
    text = httpx.get(f"{running.url}/metrics").text
    sequence = running.service.venue.sequence
    assert f"seawall_journal_sequence {float(sequence)}" in text and "seawall_ready 1.0" in text
    assert f"seawall_index_sequence {float(sequence)}" in text
    assert get(running, "/readyz")["ready"] is True
    assert receipt_of(get(running, "/v1/receipts/1")).ix == "initialize"
    assert msgspec.json.decode(httpx.get(f"{running.url}/healthz").content)["state"] == "ready"
    assert all(a < b for a, b in pairwise(int(e["code"]) for e in get(running, "/v1/errors")["items"]))
