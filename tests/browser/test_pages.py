"""Every page of the dashboard in headless Chromium, under both rulebooks: real figures, nothing wrong or foreign."""

import re
from collections.abc import Callable

import httpx
import pytest

from seawall.cli.text import amount, percent, when
from seawall.engine.conservation import totals
from seawall.engine.queries.insurance import insurance_fund, insurance_stake
from seawall.engine.queries.margin import margin, withdrawable
from seawall.engine.queries.pnl import claimable_pnl
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.venue import Venue
from seawall.instructions.base import user_key
from seawall.keys import key_from_text, key_to_text
from seawall.rules.common.balances import get_token_amount
from seawall.service.views import Views, canonical_account
from seawall.state.enums import DEPOSIT, RULEBOOK_VELOCITY
from tests.browser.conftest import HOSTILE, ISOLATED, Served, Tab

Open = Callable[..., Tab]


class Expected:
    """What the engine says of a served venue, as of its last instruction: it is years old."""

    def __init__(self, served: Served) -> None:
        self.venue = Venue.open(served.path, read_only=True)
        self.store: Store = self.venue.store
        self.clock = Clock(self.venue.tip.unix_timestamp, self.venue.tip.slot)
        self.views = Views(self.venue.journal)
        self.views.catch_up(self.venue.tip.sequence)
        self.velocity = self.store.state.objects[0].rulebook == RULEBOOK_VELOCITY


@pytest.fixture
def expected(week: Served) -> Expected:
    return Expected(week)


def shown(value: int, decimals: int, digits: int = 2) -> str:
    """An amount as the pages write it: with a true minus."""
    found = amount(value, decimals, digits)
    return found.replace("-", "−") if found.strip("-0.,") else found.strip("-")


def base_units(exact: str) -> int:
    """An amount with all its digits, as a title has it, in base units."""
    return int(exact.replace(",", "").replace(".", "").replace("−", "-"))


def loss_of(expected: Expected) -> int:
    """The sequence number of the bankruptcy for which the most had to pay."""

    def payers(sequence: int) -> int:
        receipt = expected.venue.receipt(sequence)
        assert receipt is not None and receipt.waterfall is not None
        waterfall = receipt.waterfall
        return sum(source.paid > 0 for source in waterfall.sources) + (waterfall.socialised > 0)

    found = max((loss.sequence for loss in expected.views.receipts(losses=True, limit=500)), key=payers)
    assert payers(found)
    return found


# --- every page in every look ------------------------------------------------------------------------------------

PAGES = (
    "", "markets", "insurance?authority=@staker1", "account", "account?user=@long1/0", "journal",
    "journal?receipt=LOSS", "keeper",
)  # fmt: skip


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_opens_says_its_mode_and_fits(week: Served, expected: Expected, tab: Open, look: str) -> None:
    """No console error, no failed or foreign request (the fixture sees to it), no page wider than the screen."""
    opened = tab(look)
    for path in PAGES:
        opened.open(f"{week.url}/dashboard/{path.replace('LOSS', str(loss_of(expected)))}")
        assert opened.text(".banner.dev").startswith("Development mode: this service takes unsigned requests")
        assert opened.text("[data-figure=sequence]") == f"{expected.venue.sequence:,}"
        wide = opened.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than the {look} screen"
        dark = opened.page.evaluate("document.body.classList.contains('body--dark')")
        assert dark == (look == "dark")
        back = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 150) == (look == "dark"), back
        # the words of a page are its title's: nothing was left out because something failed
        assert opened.page.locator(".panel h2").count() >= 1


def test_the_root_leads_to_the_dashboard(week: Served, tab: Open) -> None:
    """Who opens the service's address in a browser sees the overview."""
    opened = tab()
    opened.open(f"{week.url}/")
    assert opened.page.url == f"{week.url}/dashboard/"
    assert opened.text("nav .here") == "Overview"


def test_chosen_colours_stay(week: Served, tab: Open) -> None:
    """The choice is kept over pages, against what the system prefers."""
    opened = tab("light")
    opened.open(week.page())
    opened.page.select_option("select[name=theme]", "dark")
    opened.page.wait_for_selector("body.body--dark")
    opened.open(week.page("markets"))
    opened.page.wait_for_selector("body.body--dark")
    assert opened.page.locator("select[name=theme]").input_value() == "dark"


def test_pages_of_other_sites_get_nothing(week: Served) -> None:
    """Neither a page nor a socket, whatever the browser was talked into."""
    for path in ("/dashboard/", "/dashboard/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        answer = httpx.get(f"{week.url}{path}", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403, answer.text


def test_what_never_changes_is_kept_and_no_site_may_frame_a_page(week: Served) -> None:
    """Plotly's 4 MB travel once a browser."""
    page = httpx.get(week.page())
    assert page.headers["x-frame-options"] == "DENY"
    assert "immutable" not in page.headers.get("cache-control", "")
    for asset in sorted(set(re.findall(r"/dashboard/_nicegui/[^\"']+?\.js", page.text))):
        assert "immutable" in httpx.get(f"{week.url}{asset}").headers["cache-control"], asset


# --- overview ----------------------------------------------------------------------------------------------------


def test_overview_shows_vaults_claims_and_the_verdict(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page())
    assert opened.text("[data-figure=verdict]") == "Solvent: every vault covers every claim on it."
    store = expected.store
    rows = opened.rows("vaults")
    assert len(rows) == len(store.spot_markets.objects)
    for row, market, vaults in zip(rows, store.spot_markets.objects, store.vaults.objects, strict=True):
        sums, d = totals(market, vaults.spot_vault), market.decimals
        assert row == [
            market.name, shown(sums.vault, d), shown(sums.deposits, d), shown(sums.borrows, d),
            shown(sums.surplus, d, d), percent(sums.borrows * 1_000_000 // sums.deposits),
            shown(vaults.insurance_fund_vault, d),
        ]  # fmt: skip
    claims = opened.rows("claims")
    balance = store.perp_markets.objects[0].pnl_pool.scaled_balance
    pool = get_token_amount(balance, store.spot_markets.objects[0], DEPOSIT)
    assert ["USDC", "P&L pool of AVAX-PERP", shown(pool, 6)] in [row[:3] for row in claims]
    # what is claimed sums to the vault, token by token
    for market, vaults in zip(store.spot_markets.objects, store.vaults.objects, strict=True):
        read = "rows => rows.map(row => [row.cells[0].textContent, row.cells[2].querySelector('span').title])"
        cells = opened.page.locator("[data-table=claims] tbody tr").evaluate_all(read)
        *parts, whole = (base_units(exact) for token, exact in cells if token == market.name)
        assert sum(parts) == whole == vaults.spot_vault


def test_sankey_shows_where_money_flowed_in_the_chosen_period(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page())
    page = opened.page
    page.wait_for_selector("[data-chart=sankey] .sankey-link")
    last = expected.clock.unix_timestamp

    def flows(since: int, until: int) -> list[list[str]]:
        found = [f for f in expected.views.flows(0, since, until) if "outside" not in (f.source, f.target)]
        return [[shown(f.amount, 6), f.ix] for f in found if f.amount >= 10_000]

    def listed() -> list[list[str]]:
        return [row[2:] for row in opened.rows("flows")]

    assert sorted(listed()) == sorted(flows(last - 168 * 3_600, last))
    _choose(opened, "Period", "the last 24 hours")
    of_the_day = flows(last - 24 * 3_600, last)
    page.wait_for_function(f"document.querySelectorAll('[data-table=flows] tbody tr').length === {len(of_the_day)}")
    assert sorted(listed()) == sorted(of_the_day)
    _choose(opened, "Period", "everything")
    page.wait_for_function(f"document.querySelectorAll('[data-table=flows] tbody tr').length > {len(of_the_day)}")
    before = len(listed())
    page.get_by_text("with deposits and withdrawals").click()
    page.wait_for_function(f"document.querySelectorAll('[data-table=flows] tbody tr').length > {before}")
    assert any("outside the venue" in row for row in opened.rows("flows"))


def test_a_period_may_be_any_and_nonsense_is_named(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page(period="chosen", since="2022-05-11 00:00", until="2022-05-12"))
    found = [f for f in expected.views.flows(0, 1_652_227_200, 1_652_313_600) if "outside" not in (f.source, f.target)]
    assert len(opened.rows("flows")) == len([f for f in found if f.amount >= 10_000]) > 0
    for since, until, words in (
        ("yesterday-ish", "", "'yesterday-ish' is no time; write it as 2022-05-11 13:00"),
        ("2022-05-12", "2022-05-11", "the period ends before it begins"),
        ("9" * 40, "", "is no time"),
    ):
        opened.open(week.page(period="chosen", since=since, until=until))
        assert words in opened.text("[data-panel=flows] .refused")


def _choose(opened: Tab, label: str, option: str) -> None:
    opened.page.locator(".q-field", has_text=label).first.click()
    opened.page.get_by_role("option", name=option, exact=True).click()


# --- markets -----------------------------------------------------------------------------------------------------


def test_markets_show_pools_caps_funding_and_the_ledger(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("markets"))
    perp, store = expected.store.perp_markets.objects[0], expected.store
    (row,) = opened.rows("perp")
    assert row[0] == "AVAX-PERP"
    assert row[4:7] == [
        shown(perp.amm.base_asset_amount_long, 9), shown(perp.amm.base_asset_amount_short, 9),
        shown(perp.amm.base_asset_amount_with_amm, 9),
    ]  # fmt: skip
    caps = {(row[0], row[1]): row[2:] for row in opened.rows("caps")}
    claim = perp.insurance_claim
    drawn = caps["AVAX-PERP", "insurance drawn in its lifetime"]
    assert drawn[:2] == [shown(claim.quote_settled_insurance, 6), shown(claim.quote_max_insurance, 6)]
    share = claim.quote_settled_insurance * 1_000 // claim.quote_max_insurance
    assert drawn[3] == f"{share // 10}.{share % 10} %"
    pools = [row[:3] for row in opened.rows("pools")]
    revenue = store.spot_markets.objects[0]
    held = get_token_amount(revenue.revenue_pool.scaled_balance, revenue, DEPOSIT)
    assert ["USDC", "revenue pool", shown(held, 6)] in pools
    assert opened.rows("funding")[0][5] == when(perp.amm.last_funding_rate_ts)
    if expected.velocity:
        ledger = dict((row[0], row[1]) for row in opened.rows("ledger"))
        assert ledger["fees so far"] == shown(perp.fee_ledger.total_exchange_fee, 6, 6)
        assert ledger["waiting for insurance"] == shown(perp.fee_ledger.pending_if_fee, 6, 6)
    else:
        assert opened.page.locator("[data-panel=ledger]").count() == 0


# --- insurance ---------------------------------------------------------------------------------------------------


def test_insurance_shows_funds_history_and_what_will_bind(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("insurance", authority="@staker1"))
    for row, market in zip(opened.rows("funds"), expected.store.spot_markets.objects, strict=True):
        fund = insurance_fund(expected.store, expected.clock, market.market_index)
        assert row[:5] == [
            market.name, shown(fund.insurance_fund_vault, market.decimals), shown(fund.user_value, market.decimals),
            shown(fund.protocol_value, market.decimals), amount(fund.share_price, 6, 6),
        ]  # fmt: skip
    coming = insurance_fund(expected.store, expected.clock, 0).next_settlement
    assert coming is not None and coming.limits
    settles = opened.rows("settlements")[0]
    assert settles[1] == when(coming.at)
    assert settles[3] == shown(coming.amount, 6, 6)
    for limit in coming.limits:
        assert f"{limit.name}: {shown(limit.value, 6, 6)} of {shown(limit.asked, 6, 6)}" in settles[5]
    stake = insurance_stake(expected.store, expected.clock, "@staker1", 0)
    assert opened.rows("stakes") == [
        ["USDC", f"{stake.if_shares:,}", shown(stake.value, 6), shown(stake.cost_basis, 6), shown(stake.gain, 6)]
    ]
    opened.page.wait_for_selector("[data-chart=history] .scatterlayer .trace")
    assert opened.page.locator("[data-chart=history] .barlayer .point").count() >= 7


def test_nobodys_stake_and_nonsense_are_named(week: Served, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("insurance", authority="@nobody"))
    assert opened.text("[data-table=stakes]") == "@nobody has no stake here"
    opened.open(week.page("insurance", authority="0OIl"))
    assert "is no base58 key" in opened.text("[data-panel=stakes] .refused")
    opened.open(week.page("insurance", authority=HOSTILE))
    assert HOSTILE in opened.text("[data-panel=stakes] .refused")


# --- account -----------------------------------------------------------------------------------------------------


def winner_of(expected: Expected) -> str:
    """A trader with a gain of which not all is payable, or the one with the largest gain."""
    best, most = "", 0
    for number in range(1, 61):
        ref = f"@short{number}/0"
        user = expected.store.users.read(expected.store.users.index[user_key(ref)])
        if not any(position.base_asset_amount for position in user.perp_positions):
            continue
        view = claimable_pnl(expected.store, expected.clock, ref, 0)
        missing = view.unrealized_pnl - view.payable_pnl
        if missing > most or not best:
            best, most = ref, missing
    return best


def test_account_shows_positions_claims_margin_and_history(week: Served, expected: Expected, tab: Open) -> None:
    ref = winner_of(expected)
    opened = tab()
    opened.open(week.page("account", user=ref))
    assert opened.pairs("account")["account"] == canonical_account(ref)
    claim = claimable_pnl(expected.store, expected.clock, ref, 0)
    (position,) = opened.rows("positions")
    assert position[4:7] == [shown(v, 6) for v in (claim.unrealized_pnl, claim.claimable_pnl, claim.payable_pnl)]
    for reason in [claim.refusal, *claim.reasons]:
        assert " ".join(reason.split()) in position[7]
    found = margin(expected.store, expected.clock, ref)
    for row, figures in zip(opened.rows("margin"), (found.initial, found.withdraw, found.maintenance), strict=True):
        assert row[2:] == [
            shown(figures.total_collateral, 6), shown(figures.margin_requirement, 6),
            shown(figures.free_collateral, 6), "yes" if figures.met else "no",
        ]  # fmt: skip
    most = withdrawable(expected.store, expected.clock, ref, 0)
    (balance,) = opened.rows("balances")
    assert balance[3] == shown(most.amount, 6)
    assert most.bound_by in balance[4]
    history = expected.views.receipts(account=ref, limit=30)
    assert [row[0] for row in opened.rows("receipts")] == [f"#{receipt.sequence:,}" for receipt in history]


def test_an_isolated_position_has_a_scope_of_its_own(week: Served, expected: Expected, tab: Open) -> None:
    if not expected.velocity:
        pytest.skip("Drift has no isolated positions")
    opened = tab("phone")
    opened.open(week.page("account", user=ISOLATED))
    (isolated,) = margin(expected.store, expected.clock, ISOLATED).isolated
    assert opened.rows("positions")[0][1] == f"isolated: {shown(isolated.collateral, 6)} USDC"
    rows = [row for row in opened.rows("margin") if row[0] == "isolated AVAX-PERP"]
    figures = (isolated.initial, isolated.withdraw, isolated.maintenance)
    assert [row[3] for row in rows] == [shown(one.margin_requirement, 6) for one in figures]


def test_accounts_are_listed_and_names_are_only_text(week: Served, expected: Expected, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("account", first=10**6))
    last = opened.rows("accounts")[-1]
    assert last[1] == HOSTILE
    assert len(opened.rows("accounts")) == (expected.store.users.count - 1) % 25 + 1
    opened.open(week.page("account", user="@mallory"))
    assert opened.pairs("account")["name"] == HOSTILE
    assert opened.page.locator("main img").count() == 0


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("@nobody/7", "There is no account @nobody/7."),
        ("@long1/99999", "a sub-account is a number from 0 to 65535"),
        ("@long1/-1", "a sub-account is a number from 0 to 65535"),
        ("0OIl", "is no base58 key"),
        ("'; DROP TABLE receipts; --", "is no base58 key"),
        ("<script>alert(1)</script>", "<script>alert(1)"),
        ("x" * 5_000, "is no key"),
        ("💥", "is no base58 key"),
    ],
)
def test_an_account_that_is_none_is_named(week: Served, tab: Open, user: str, words: str) -> None:
    opened = tab()
    opened.open(week.page("account", user=user))
    assert words in opened.text("[data-panel=lookup] .refused")


# --- journal -----------------------------------------------------------------------------------------------------


def test_the_journal_is_searched_by_everything(week: Served, expected: Expected, tab: Open) -> None:
    opened, views = tab(), expected.views

    def listed(**query: str) -> list[str]:
        opened.open(week.page("journal", **query))
        return [row[0] for row in opened.rows("receipts")]

    def numbers(**search: object) -> list[str]:
        return [f"#{found.sequence:,}" for found in views.receipts(limit=50, **search)]  # type: ignore[arg-type]

    assert listed() == numbers()
    assert listed(account="@long1/0") == numbers(account="@long1/0") != []
    assert listed(ix="liquidate_perp") == numbers(ix="liquidate_perp") != []
    assert listed(signer="@liquidator") == numbers(signer="@liquidator") != []
    error = "InsufficientCollateral"
    assert listed(error=error) == numbers(error=error) != []
    assert listed(kind="losses") == numbers(losses=True) != []
    assert listed(kind="refused") == numbers(refused=True) != []
    in_time = numbers(since=1_652_227_200, until=1_652_270_400)
    assert listed(since="2022-05-11", until="2022-05-11 12:00") == in_time != []
    opened.open(week.page("journal", ix="settle_pnl"))
    opened.page.get_by_role("link", name="older receipts").click()
    opened.page.wait_for_url("**before=**")
    opened.page.wait_for_selector("[data-table=receipts] tbody tr")
    second = [f"#{found.sequence:,}" for found in views.receipts(ix="settle_pnl", limit=100)][50:]
    assert [row[0] for row in opened.rows("receipts")] == second


def test_the_search_form_leads_to_an_address(week: Served, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("journal"))
    opened.page.get_by_label("Signer", exact=True).fill("@liquidator")
    opened.page.get_by_role("button", name="Search").click()
    opened.page.wait_for_url("**/dashboard/journal?signer=%40liquidator")
    opened.page.wait_for_selector("[data-table=receipts] tbody tr")
    assert {row[4] for row in opened.rows("receipts")} == {"@liquidator"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"account": "@long1/x"}, "a sub-account is a number"),
        ({"ix": "rob_the_bank"}, "there is no instruction 'rob_the_bank'"),
        ({"error": "<b>"}, "there is no error '<b>'"),
        ({"signer": "0OIl"}, "is no base58 key"),
        ({"since": "soon"}, "'soon' is no time"),
        ({"before": "-1"}, "'-1' is no sequence number"),
    ],
)
def test_a_search_for_nonsense_is_named(week: Served, tab: Open, query: dict[str, str], words: str) -> None:
    opened = tab()
    opened.open(week.page("journal", **query))
    assert words in opened.text("[data-panel=search] .refused")


@pytest.mark.parametrize("given", ["0", "999999999", "-3", "abc", "9" * 30, "1e3", "<i>"])
def test_a_receipt_that_is_none_is_named(week: Served, tab: Open, given: str) -> None:
    opened = tab()
    opened.open(week.page("journal", receipt=given))
    words = opened.text("[data-panel=receipt] .refused")
    assert "There is no receipt" in words or "is no sequence number" in words


def test_a_receipt_shows_transfers_that_sum_to_the_vault(week: Served, expected: Expected, tab: Open) -> None:
    found = expected.views.receipts(ix="withdraw", limit=1)[0]
    receipt = expected.venue.receipt(found.sequence)
    assert receipt is not None
    opened = tab()
    opened.open(week.page("journal", receipt=found.sequence))
    rows = opened.rows("transfers")
    market = expected.store.spot_markets.objects[receipt.vaults[0].market_index]
    change = shown(receipt.vaults[0].amount, market.decimals, market.decimals)
    assert ["sum", market.name, change] in rows and ["= spot_vault", market.name, change] in rows
    assert opened.pairs("receipt")["signature"] == "unsigned"
    assert f'"ix": "{receipt.ix}"' in opened.text("[data-panel=receipt] pre")


def test_a_refusal_says_why_and_what_would_pass(week: Served, expected: Expected, tab: Open) -> None:
    found = expected.views.receipts(error="InsufficientCollateral", limit=1)[0]
    receipt = expected.venue.receipt(found.sequence)
    assert receipt is not None and receipt.refusal is not None
    opened = tab()
    opened.open(week.page("journal", receipt=found.sequence))
    words = opened.text("[data-panel=receipt] .refused")
    assert " ".join(receipt.refusal.message.split()) in words
    assert " ".join(receipt.refusal.would_pass.split()) in words


def test_a_bankruptcy_is_a_picture(week: Served, expected: Expected, tab: Open) -> None:
    """One bar for the loss, one for each source, one for everybody, one for what is left; the table has the figures."""
    sequence = loss_of(expected)
    receipt = expected.venue.receipt(sequence)
    assert receipt is not None and receipt.waterfall is not None
    waterfall = receipt.waterfall
    opened = tab()
    opened.open(week.page("journal", receipt=sequence))
    opened.page.wait_for_selector("[data-chart=waterfall] .waterfalllayer .point")
    bars = 2 + len(waterfall.sources) + (waterfall.socialised > 0)
    assert opened.page.locator("[data-chart=waterfall] .waterfalllayer .point").count() == bars
    assert shown(waterfall.loss, 6, 6) in opened.text("[data-panel=loss]")
    rows = opened.rows("waterfall")
    assert [row[4] for row in rows][: len(waterfall.sources)] == [shown(s.paid, 6) for s in waterfall.sources]
    assert rows[-1][6] == shown(waterfall.uncovered, 6)


# --- keeper, and what is not there -------------------------------------------------------------------------------


def test_without_a_keeper_the_page_says_how_to_run_one(week: Served, tab: Open) -> None:
    opened = tab()
    opened.open(week.page("keeper"))
    assert opened.text("[data-table=keeper]") == "No keeper runs in this process."
    assert "seawall serve --keeper" in opened.text("[data-panel=keeper]")


def test_old_figures_are_called_old(week: Served, expected: Expected, tab: Open) -> None:
    """A venue whose last instruction is years old is shown as of then, and says so; as of now it is a click away."""
    opened = tab()
    opened.open(week.page("account", user="@long1/0"))
    assert "Figures are as of the last instruction" in opened.text(".banner.old")
    opened.page.get_by_role("link", name="Show them as of now").click()
    opened.page.wait_for_url("**clock=now**")
    opened.page.wait_for_selector("[data-table=balances]")
    assert "prices are stale" in opened.text(".banner.old")
    assert "not every price is valid now" in opened.text("[data-panel=margin]")
    assert key_to_text(key_from_text("@long1")) in opened.pairs("account")["authority"]
