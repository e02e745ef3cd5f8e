"""What the dashboard does as the service comes and goes: empty, opening, written to, kept, followed, stopped."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser

from seawall.engine.venue import Venue
from seawall.instructions.deposits import Deposit
from seawall.instructions.venue_setup import FundWallet, Initialize
from seawall.lab.luna_week import ADMIN, USDC_UNIT
from seawall.service.app import create_app
from seawall.service.client import Client
from seawall.service.runtime import Service
from seawall.service.settings import Settings
from tests.browser.conftest import Tab, serving, short_week

Open = Callable[..., Tab]


def test_an_empty_venue_says_so_and_begins_by_itself(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    with serving(tmp_path / "new.seawall", "--dev") as served:
        opened = tab()
        opened.open(served.page())
        assert opened.text("[data-panel=empty]").startswith("This venue is empty")
        with Client(served.url, signer=ADMIN) as client:
            assert client.submit(Initialize(name="Fresh", admin=ADMIN)).ok
        opened.page.wait_for_selector("[data-figure=verdict]")
        assert opened.text("[data-figure=verdict]") == "There is no token yet."
        for path in ("markets", "insurance", "account", "journal", "keeper"):
            opened.open(served.page(path))
            assert "Fresh" in opened.text(".where")
        opened.page.close()


def test_open_pages_follow_the_venue(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    """Nobody reloads: vaults, history and sequence number are those of the last instruction within seconds."""
    path = tmp_path / "venue.seawall"
    short_week(path, "drift")
    with serving(path, "--dev") as served:
        overview, account = tab(), tab()
        overview.open(served.page())
        account.open(served.page("account", user="@lender2/0"))
        before = overview.rows("vaults")[0][1]
        with Client(served.url, signer=ADMIN) as admin, Client(served.url, signer="@lender2") as client:
            assert admin.submit(FundWallet(authority="@lender2", market_index=0, amount=777 * USDC_UNIT)).ok
            receipt = client.submit(Deposit(user="@lender2/0", market_index=0, amount=777 * USDC_UNIT))
            assert receipt.ok, receipt.refusal
        for opened in (overview, account):
            opened.page.wait_for_function(
                "shown => document.querySelector('[data-figure=sequence]').textContent === shown",
                arg=f"{receipt.sequence:,}",
            )
        account.page.get_by_role("link", name=f"#{receipt.sequence:,}", exact=True).wait_for()
        overview.page.wait_for_function(
            "before => document.querySelector('[data-table=vaults] td:nth-child(2)').textContent !== before", arg=before
        )
        # the last instruction is young now: figures are as of the present
        assert "as of the last instruction" not in account.text("body")
        for opened in (overview, account):
            opened.page.close()


def test_the_keeper_tells_what_it_did_and_why_not(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    """Each crank as ``keeper/status.py`` has it, and its receipts in the journal."""
    path = tmp_path / "venue.seawall"
    short_week(path, "drift")
    with serving(path, "--dev", "--keeper") as served:
        opened = tab("phone")
        opened.open(served.page("keeper"))
        opened.page.wait_for_selector("[data-table=cranks] tbody tr")
        # the keeper's own answer over HTTP names the same cranks
        told = httpx.get(f"{served.url}/v1/keeper").json()
        names = {(crank["name"], crank["subject"]) for crank in told["cranks"]}
        shown = {(row[0], row[1].split(" last ")[0]) for row in opened.rows("cranks")}
        assert shown == names
        assert opened.pairs("keeper")["signs as"] == told["signer"]
        assert opened.pairs("keeper")["state"] == "running"
        opened.page.wait_for_selector("[data-table=cranks] a")
        link = opened.page.locator("[data-table=cranks] a", has_text="#").first
        link.click()
        opened.page.wait_for_selector("[data-table=receipt]")
        assert opened.pairs("receipt")["signer"] == told["signer"]
        opened.page.close()


def test_a_follower_shows_and_says_that_it_cannot_send(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    path = tmp_path / "venue.seawall"
    short_week(path, "drift")
    with serving(path, "--dev") as writer, following(path, tmp_path / "data") as url:
        opened = tab()
        opened.open(f"{url}/dashboard/")
        assert "This process follows the venue" in opened.text(".banner.old")
        with Client(writer.url, signer=ADMIN) as admin:
            receipt = admin.submit(FundWallet(authority="@new", market_index=0, amount=1))
        opened.page.wait_for_function(
            "shown => document.querySelector('[data-figure=sequence]').textContent === shown",
            arg=f"{receipt.sequence:,}",
        )
        opened.open(f"{url}/dashboard/insurance?authority=@staker1")
        form = opened.page.locator("[data-panel=stake-form]")
        form.get_by_label("Amount in tokens").fill("5")
        form.get_by_role("button", name="Submit unsigned").click()
        form.locator(".refused", has_text="this process follows the venue, another one writes it").wait_for()
        opened.page.close()


@contextmanager
def following(path: Path, data: Path) -> Iterator[str]:
    """A standby over a venue that another process writes."""
    data.mkdir()
    service = Service(Settings(location=str(path), dev=True, standby=True, data=data))
    with in_process(service) as url:
        yield url


@contextmanager
def in_process(service: Service) -> Iterator[str]:
    """A service's application under uvicorn in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


class Slow(Service):
    """A service whose venue takes its time to open."""

    gate = threading.Event()

    def _open_venue(self) -> None:
        self.gate.wait()
        super()._open_venue()


def test_a_venue_that_is_being_verified_is_waited_for(tmp_path: Path, chromium: Browser, tab: Open) -> None:
    path = tmp_path / "venue.seawall"
    with Venue.open(path) as venue:
        assert venue.apply(Initialize(name="Fresh", admin=ADMIN), ADMIN, 1_700_000_000).ok
    service = Slow(Settings(location=str(path), dev=True))
    with in_process(service) as url:
        opened = tab()
        opened.open(f"{url}/dashboard/markets")
        assert "the venue is being opened and verified" in opened.text("[data-panel=waiting]")
        service.gate.set()
        opened.page.wait_for_selector("[data-panel=spot]")
        opened.page.close()


@pytest.mark.parametrize("path", ["/dashboard/nonsense", "/dashboard/account/x"])
def test_a_page_that_is_none_is_not_found(tmp_path: Path, path: str) -> None:
    with serving(tmp_path / "new.seawall", "--dev") as served:
        assert httpx.get(f"{served.url}{path}").status_code == 404
        assert httpx.get(f"{served.url}/v1/nonsense").headers["content-type"].startswith("application/problem+json")
