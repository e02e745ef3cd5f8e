"""A browser, and venues served as people serve them: ``seawall serve`` in a process of its own."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.venue import Venue
from seawall.instructions.base import Instruction
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder
from seawall.instructions.roles import UpdateFeatureBitFlags
from seawall.instructions.venue_setup import FundWallet, InitializeUser
from seawall.lab import luna_week
from seawall.lab.flows import Flows
from seawall.lab.luna_week import ADMIN, AVAX_UNIT, USDC_UNIT, LunaWeek
from seawall.lab.prices import bundled_rounds
from tests.support.browsers import executable

Rulebook = Literal["drift", "velocity"]
ISOLATED = "@lender1/0"
"""Holds an isolated position in the velocity venue."""

HOSTILE = "<img src=x onerror=x()>"
"""The name of an account of each venue, that of @mallory."""

LOOKS = {"light": ("light", 1_200), "dark": ("dark", 1_200), "phone": ("light", 390)}
"""Colours and width in which every page is opened."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of this machine; without one the test is skipped and says how to get it."""
    try:
        path = executable()
    except LookupError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Tab(NamedTuple):
    """A page and everything that went wrong in it."""

    page: Page
    wrong: list[str]

    def open(self, address: str) -> None:
        """Go there and wait until the page has its content and its socket."""
        self.page.goto(address)
        self.page.wait_for_selector("[data-panel]")
        self.page.wait_for_function("window.did_handshake === true")

    def text(self, selector: str) -> str:
        """The text of an element, its white space as one blank."""
        return " ".join(self.page.locator(selector).first.inner_text().split())

    def rows(self, name: str) -> list[list[str]]:
        """The cells of a table by its name."""
        cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim().replace(/\\s+/g, ' ')))"
        found: list[list[str]] = self.page.locator(f"[data-table={name}] tbody tr").evaluate_all(cells)
        return found

    def pairs(self, name: str) -> dict[str, str]:
        """A list of names and values by its name."""
        read = (
            "lists => Object.fromEntries([...lists[0].querySelectorAll('dt')]"
            ".map(dt => [dt.textContent, dt.nextElementSibling.textContent]))"
        )
        found: dict[str, str] = self.page.locator(f"[data-table={name}]").evaluate_all(read)
        return found


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs of one look each; at the end nothing may have gone wrong in any of them."""
    opened: list[Tab] = []
    contexts = []

    def new(look: str = "light") -> Tab:
        colours, width = LOOKS[look]
        context = chromium.new_context(
            color_scheme=colours, viewport={"width": width, "height": 900}  # type: ignore[arg-type]
        )  # fmt: skip
        contexts.append(context)
        found = Tab(context.new_page(), [])
        _watch(found)
        opened.append(found)
        return found

    yield new
    for context in contexts:
        context.close()
    assert [found.wrong for found in opened if found.wrong] == []


def _watch(tab: Tab) -> None:
    """Note every error, every failed request, and every request to anywhere but this machine."""
    page, wrong = tab
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    here = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(here) else wrong.append(f"asked for {asked.url}"))


# --- venues ------------------------------------------------------------------------------------------------------


_played: dict[Rulebook, list[tuple[str, bytes]]] = {}
"""The files of a short week, by what stands behind the venue's name: played once, then copied."""


def short_week(path: Path, rulebook: Rulebook) -> None:
    """A venue that lived through every twelfth round of the LUNA week, with one account of a hostile name."""
    if rulebook not in _played:
        _play(path, rulebook)
        _played[rulebook] = [
            (file.name.removeprefix(path.name), file.read_bytes()) for file in path.parent.glob(f"{path.name}*")
        ]
        return
    for ending, data in _played[rulebook]:
        path.with_name(path.name + ending).write_bytes(data)


def _play(path: Path, rulebook: Rulebook) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(luna_week, "bundled_rounds", lambda name: list(bundled_rounds(name))[::12])
        scenario = LunaWeek(rulebook=rulebook)
    flows = Flows()
    with Venue.open(path) as venue:
        flows.apply(venue, [scenario.genesis()])
        for number in range(len(scenario.rounds)):
            flows.apply(venue, scenario.round(venue, number))
        flows.apply(venue, scenario.ending(venue))
        ok(venue, InitializeUser(user="@mallory/0", name=HOSTILE), "@mallory")
        if rulebook == "velocity":
            _isolate(venue)


def _isolate(venue: Venue) -> None:
    """Give a lender an isolated long of 2 AVAX with 300 USDC of its own."""
    ok(venue, UpdateFeatureBitFlags(feature="IsolatedPositions", enable=True), ADMIN)
    ok(venue, FundWallet(authority="@lender1", market_index=0, amount=300 * USDC_UNIT), ADMIN)
    put = DepositIntoIsolatedPerpPosition(user=ISOLATED, perp_market_index=0, amount=300 * USDC_UNIT)
    ok(venue, put, "@lender1")
    order = PlaceAndTakePerpOrder(
        user=ISOLATED, market_index=0, direction="Long", base_asset_amount=2 * AVAX_UNIT, immediate_or_cancel=True,
        fills=[AmmFill()],
    )  # fmt: skip
    ok(venue, order, "@lender1")


def ok(venue: Venue, instruction: Instruction, signer: str) -> Receipt:
    """Apply an instruction at the venue's own time; it must be carried out."""
    tip = venue.tip
    clock = Clock(tip.unix_timestamp, tip.slot) if tip.sequence else Clock.at(1_700_000_000)
    (receipt,) = venue.apply_many([Request(instruction, signer, clock)])
    assert receipt.refusal is None, receipt.refusal
    return receipt


class Served(NamedTuple):
    """A service over a venue's file."""

    url: str
    path: Path

    def page(self, name: str = "", **query: Any) -> str:
        """The address of a page of the dashboard."""
        return str(httpx.URL(f"{self.url}/dashboard/{name}", params=query))


@contextmanager
def serving(path: Path, *options: str) -> Iterator[Served]:
    """``seawall serve`` over a venue, ready and indexed."""
    seawall = Path(sys.executable).with_name("seawall")
    log = path.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [seawall, "serve", path, "--port", "0", "--log", "json", *options], stdout=subprocess.PIPE, stderr=out
        )
        try:
            assert process.stdout is not None
            found = re.search(rb"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found, log.read_text()
            url = found.group().decode()
            _wait_until_indexed(url)
            yield Served(url, path)
        finally:
            process.terminate()
            process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()[-4_000:]


def _wait_until_indexed(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for _ in range(600):
            health = client.get("/healthz").json()
            if health["ready"] and health["indexed"] == health["sequence"]:
                return
            time.sleep(0.05)
    raise AssertionError(f"not ready within 30 seconds: {health}")


@pytest.fixture(scope="module", params=["drift", "velocity"])
def week(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> Iterator[Served]:
    """The short week under either rulebook, served in development mode. Nobody changes it."""
    path = tmp_path_factory.mktemp("week") / "venue.seawall"
    short_week(path, request.param)
    with serving(path, "--dev") as served:
        yield served
