"""How fast the dashboard's pages are over a large venue: 100,000 accounts and a million receipts.

    python benchmarks/dashboard.py [--accounts 100000] [--receipts 1000000] [--venue FILE] [--rounds 5]

Generates the venue (kept at FILE, used again where it exists), serves it with ``seawall serve``, waits for the index,
and opens each page in headless Chromium: once with an empty cache, then again several times. Beside the time in the
browser, until the page's own content is on the screen and its charts are drawn, stands the time in which the server
answered. Prints tables and asserts nothing.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from seawall import Request, Venue
from seawall.engine.receipts import Clock
from seawall.instructions.administration import UpdateSpotMarketRevenueSettlePeriod
from seawall.instructions.amm import UpdateFundingRate
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.venue_setup import PostOraclePrice
from tests.support.browsers import executable
from tests.support.load import ADMIN, SOL_PRICE, START, accounts, genesis, traffic

HOUR = 3_600
AN_HOUR = 400
"""Instructions of traffic in an hour: a million receipts are the work of some months."""

STAKERS = 50


def generate(venue: Venue, users: int, receipts: int) -> None:
    """Accounts and stakes first, then traffic with the hourly cranks until there are so many receipts."""
    started = time.perf_counter()
    first = [Request(ix, signer, Clock.at(START)) for ix, signer in genesis()]
    first += [
        Request(UpdateSpotMarketRevenueSettlePeriod(market_index=i, revenue_settle_period=HOUR), ADMIN, Clock.at(START))
        for i in (0, 1)
    ]
    venue.apply_many(first)
    venue.apply_many(Request(ix, signer, Clock.at(START)) for ix, signer in accounts(users))
    for number in range(STAKERS):
        staker = f"@u{number}"
        stake = AddInsuranceFundStake(authority=staker, market_index=0, amount=1_000_000 * (number + 1))
        venue.apply(InitializeInsuranceFundStake(authority=staker, market_index=0), staker, START)
        venue.apply(stake, staker, START)
    work = traffic_by_the_hour(users)
    while venue.sequence < receipts:
        venue.apply_many(islice(work, 1_000))
        if venue.sequence % 50_000 < 1_000:
            rate = venue.sequence / (time.perf_counter() - started)
            print(f"{venue.sequence:,} receipts, {rate:,.0f} a second", file=sys.stderr, flush=True)


def traffic_by_the_hour(users: int) -> Iterator[Request]:
    """Endless mixed load; each hour begins with prices, funding, interest and settlements."""
    number = hour = 0
    while True:
        hour += 1
        at = Clock.at(START + hour * HOUR)
        price = SOL_PRICE + (hour * 7_919) % 4_000_000 - 2_000_000
        yield Request(PostOraclePrice(oracle="SOL", price=price, conf=price // 2_000), ADMIN, at)
        yield Request(UpdateFundingRate(market_index=0), "@keeper", at)
        for market in (0, 1):
            yield Request(UpdateSpotMarketCumulativeInterest(market_index=market), "@keeper", at)
            yield Request(SettleRevenueToInsuranceFund(spot_market_index=market), "@keeper", at)
        for _ in range(AN_HOUR):
            instruction, signer = traffic(number, users)
            yield Request(instruction, signer, at)
            number += 1


@contextmanager
def served(venue: Path) -> Iterator[str]:
    """``seawall serve`` over a venue; its address, once everything is indexed."""
    seawall = Path(sys.executable).with_name("seawall")
    command = [str(seawall), "serve", str(venue), "--dev", "--port", "0", "--log", "json"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            found = re.search(r"http://[^/\s]+", process.stdout.readline())
            assert found, "the service did not start"
            url = found.group()
            while not httpx.get(f"{url}/readyz").is_success:
                time.sleep(0.05)
            print(f"ready after {time.perf_counter() - started:.1f} s")
            while True:
                health = httpx.get(f"{url}/healthz").json()
                if health["indexed"] == health["sequence"]:
                    break
                time.sleep(1)
            print(f"indexed after {time.perf_counter() - started:.1f} s")
            yield url
        finally:
            process.terminate()
            process.wait(60)


PAGES = {
    "Overview": ("", "[data-table=flows] tbody tr", ".sankey-link"),
    "Overview, everything": ("?period=all", "[data-table=flows] tbody tr", ".sankey-link"),
    "Markets": ("markets", "[data-table=caps] tbody tr", ""),
    "Insurance": ("insurance?authority=@u7", "[data-table=stakes] tbody tr", ".scatterlayer .trace"),
    "Account, list": ("account?first=75000", "[data-table=accounts] tbody tr", ""),
    "Account": ("account?user=@u77/0", "[data-table=receipts] tbody tr", ""),
    "Journal": ("journal", "[data-table=receipts] tbody tr", ""),
    "Journal, an account's": ("journal?account=@u77/0", "[data-table=receipts] tbody tr", ""),
    "Journal, an error's": ("journal?error=InsufficientCollateral", "[data-panel=receipts] [data-table]", ""),
    "Journal, long ago": ("journal?ix=settle_pnl&until=2023-11-20", "[data-table=receipts] tbody tr", ""),
    "Journal, nothing fits": ("journal?signer=@u77&error=UserBankrupt&since=2023-11-20", "[data-table=receipts]", ""),
    "Journal, a receipt": ("journal?receipt=HALF", "[data-table=transfers]", ""),
    "Keeper": ("keeper", "[data-table=keeper]", ""),
}
"""Each page: its address, what shows that its content is there, and what shows that its chart is drawn."""


class Visit(NamedTuple):
    """Seconds until the page's content was there, until its chart was drawn too, and until the server had answered."""

    content: float
    drawn: float
    answered: float


def visit(page: Page, address: str, content: str, chart: str) -> Visit:
    """Open a page and wait for what belongs to it."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(content, state="attached")
    shown = time.perf_counter() - started
    if chart:
        page.wait_for_selector(chart, state="attached")
    drawn = time.perf_counter() - started
    answered = page.evaluate(
        "() => { const t = performance.getEntriesByType('navigation')[0]; return t.responseEnd - t.requestStart }"
    )
    return Visit(shown, drawn, answered / 1_000)


def measure(browser: Browser, url: str, receipts: int, rounds: int) -> None:
    """A table of every page."""
    print("\nseconds until the content is there / until its chart is drawn too")
    print(f"{'page':<24}{'empty cache':>15}{'again: median':>16}{'worst':>14}{'server: median':>16}{'worst':>8}")
    for name, (path, content, chart) in PAGES.items():
        address = f"{url}/dashboard/{path.replace('HALF', str(receipts // 2))}"
        context = browser.new_context(viewport={"width": 1_200, "height": 900})
        page = context.new_page()
        cold = visit(page, address, content, chart)
        found = [visit(page, address, content, chart) for _ in range(rounds)]
        context.close()
        cells = [
            f"{pick(one.content for one in visits):.2f} / {pick(one.drawn for one in visits):.2f}"
            for pick, visits in ((median, [cold]), (median, found), (max, found))
        ]
        answered = [one.answered for one in found]
        print(
            f"{name:<24}{cells[0]:>15}{cells[1]:>16}{cells[2]:>14}{median(answered):>16.3f}{max(answered):>8.3f}",
            flush=True,
        )


def main() -> None:
    """Generate, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--receipts", type=int, default=1_000_000)
    parser.add_argument("--venue", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = given.venue or Path(directory) / "venue.seawall"
        if not path.exists():
            with Venue.open(path) as venue:
                generate(venue, given.accounts, given.receipts)
        with Venue.open(path, read_only=True) as venue:
            print(f"{venue.store.users.count:,} accounts, {venue.sequence:,} receipts")
        with served(path) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
            measure(browser, url, given.receipts, given.rounds)
            browser.close()


if __name__ == "__main__":
    main()
