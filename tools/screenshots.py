"""Takes the pictures of docs/dashboard.md: every page over the venues of ``seawall demo``, as docs/images/dashboard-…

    seawall demo --venue drift.seawall
    seawall demo --venue velocity.seawall --rulebook velocity
    python tools/screenshots.py drift.seawall velocity.seawall

Needs Chromium on this machine.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.support.browsers import executable  # noqa: E402

IMAGES = ROOT / "docs" / "images"


class Shot(NamedTuple):
    """One picture: its name, the rulebook's venue, the page, and how it is looked at."""

    name: str
    venue: int
    page: str
    colours: str = "light"
    width: int = 1_100
    height: int = 800
    keeper: bool = False
    """Whether a keeper runs: on a copy, for it brings the venue up to the present."""


SHOTS = (
    Shot("overview", 0, "?period=week", height=1_130),
    Shot("overview-dark", 1, "", "dark", height=1_130),
    Shot("markets", 1, "markets", height=1_180),
    Shot("insurance", 0, "insurance?authority=@staker1", height=1_290),
    Shot("account", 0, "account?user=@maker1/0", height=1_000),
    Shot("account-phone", 0, "account?user=@maker1/0", width=390, height=1_000),
    Shot("journal", 0, "journal?kind=refused", height=820),
    Shot("loss", 1, "journal?receipt=LOSS", height=1_130),
    Shot("keeper", 0, "keeper", height=900, keeper=True),
)


@contextmanager
def served(venue: Path, *options: str) -> Iterator[str]:
    """``seawall serve``; its address, once everything is indexed."""
    seawall = Path(sys.executable).with_name("seawall")
    command = [str(seawall), "serve", str(venue), "--dev", "--port", "0", "--log", "json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://[^/\s]+", process.stdout.readline())
        assert found, "the service did not start"
        while True:
            health = httpx.get(f"{found.group()}/healthz").json()
            if health["ready"] and health["indexed"] == health["sequence"]:
                break
        yield found.group()
    finally:
        process.terminate()
        process.wait(60)


def largest_loss(url: str) -> str:
    """The loss for which the most had to pay."""

    def payers(sequence: str) -> int:
        waterfall = httpx.get(f"{url}/v1/receipts/{sequence}").json()["waterfall"]
        return sum(source["paid"] != "0" for source in waterfall["sources"])

    page = httpx.get(f"{url}/dashboard/journal?kind=losses").text
    return max(re.findall(r"receipt=(\d+)", page), key=payers)


def take(browser: Browser, url: str, shot: Shot) -> None:
    """Take one picture."""
    context = browser.new_context(
        color_scheme=shot.colours, viewport={"width": shot.width, "height": shot.height}  # type: ignore[arg-type]
    )  # fmt: skip
    page = context.new_page()
    path = shot.page.replace("LOSS", largest_loss(url)) if "LOSS" in shot.page else shot.page
    page.goto(f"{url}/dashboard/{path}")
    page.wait_for_selector("[data-panel]")
    # charts are drawn, and a keeper has ticked
    page.wait_for_timeout(6_000 if shot.keeper else 2_000)
    page.screenshot(path=IMAGES / f"dashboard-{shot.name}.png")
    context.close()


def main(venues: list[str]) -> None:
    """Serve one venue after the other and take its pictures."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        for number, venue in enumerate(map(Path, venues)):
            mine = [shot for shot in SHOTS if shot.venue == number]
            with served(venue) as url:
                for shot in mine:
                    if not shot.keeper:
                        take(browser, url, shot)
            with tempfile.TemporaryDirectory() as directory:
                for file in venue.parent.glob(f"{venue.name}*"):
                    shutil.copy(file, directory)
                with served(Path(directory) / venue.name, "--keeper") as url:
                    for shot in mine:
                        if shot.keeper:
                            take(browser, url, shot)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
