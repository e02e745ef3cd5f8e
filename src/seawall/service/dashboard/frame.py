"""What every page has: the head, the banners, panels that change in place, and the watch for something new."""

import logging
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final, Protocol, cast

from fastapi import Request
from nicegui import background_tasks, ui

from seawall.errors import SettlementError
from seawall.ledger.errors import LedgerError
from seawall.service.dashboard.desk import Desk, Reading, Standing
from seawall.service.dashboard.host import desk_of
from seawall.service.dashboard.markup import Markup, ago, chip, join, link, tag, text, when
from seawall.service.runtime import NotReady

_log = logging.getLogger("seawall.dashboard")

PAGES: Final = (
    ("", "Overview"), ("markets", "Markets"), ("insurance", "Insurance"), ("account", "Account"),
    ("journal", "Journal"), ("keeper", "Keeper"),
)  # fmt: skip
TICK: Final = 1.0
"""Seconds between two looks at whether there is something new."""

LATEST: Final = 15.0
"""Seconds after which a page is brought up to date although nothing happened: time itself changes figures."""

THEMES: Final = {"light": False, "dark": True}
_COOKIE: Final = "seawall-theme"
_HEAD: Final = "<style>{css}</style><script>{js}</script>"

Refresh = Callable[[], Awaitable[None]]


def _file(name: str) -> str:
    return (files("seawall.service.dashboard") / name).read_text()


class Panel:
    """A box with a title whose content is replaced only when it differs."""

    def __init__(self, title: str, name: str = "") -> None:
        with ui.element("section").classes("panel").props(f'data-panel="{name}"') as self.box:
            if title:
                ui.html(tag("h2", title), sanitize=False)
            self.controls = ui.element("div").classes("controls")
            self.controls.set_visibility(False)
            self.body = ui.html("", sanitize=False).classes("scroll")

    def show(self, *content: Any) -> None:
        """Show HTML; what is no ``Markup`` is escaped."""
        made = join(content)
        if self.body.content != made:
            self.body.set_content(str(made))


class Look:
    """One open page of one reader: whose venue, by which clock, and what the address asked for."""

    def __init__(self, request: Request, desk: Desk) -> None:
        self.desk = desk
        self.query: dict[str, str] = dict(request.query_params)

    @property
    def reading(self) -> Reading:
        """The clock that the address names, or the usual one."""
        asked = self.query.get("clock", "")
        return cast(Reading, asked) if asked in ("now", "last") else self.desk.usual_reading()

    async def ask(self, key: Any, question: Callable[..., Any]) -> Any:
        """``Desk.ask`` by this page's clock."""
        return await self.desk.ask(key, self.reading, question)


class Builder(Protocol):
    """Builds a page's elements and shows them for the first time; gives back what brings them up to date."""

    async def __call__(self, look: Look) -> Refresh:
        """Build."""
        ...


async def show_page(request: Request, path: str, build: Builder) -> None:
    """A page from its head to its end."""
    desk = desk_of(request)
    theme = request.cookies.get(_COOKIE, "auto")
    ui.dark_mode(THEMES.get(theme))
    ui.add_head_html(_HEAD.format(css=_file("style.css"), js=_file("page.js")))
    title = dict(PAGES)[path]
    ui.colors(primary="#0b6e80")
    ui.page_title(f"{title} · Seawall")
    where = _head(path, theme, request)
    banner = ui.html("", sanitize=False)
    banner.set_content(str(_dev_banner(desk)))
    news = ui.html("", sanitize=False)
    with ui.element("main").classes("page") as main:
        trouble = desk.trouble()
        if trouble:
            _wait_for_venue(desk, trouble)
            return
        standing = await desk.standing()
        where.set_content(str(_where(standing)))
        if standing.empty:
            Panel("This venue is empty", "empty").show(
                tag("p", "Its first instruction is ", tag("code", "initialize"), ". This page begins by itself then.")
            )
            _reload_when(lambda: desk.version().sequence > 0)
            return
        look = Look(request, desk)
        refresh = await build(look)
    news.set_content(str(await _news(look, path)))
    watch = _Watch(look, path, refresh, where, news, main)
    watch.start()


def _head(path: str, theme: str, request: Request) -> ui.html:
    clock = request.query_params.get("clock", "")
    with ui.element("header").classes("head"):
        with ui.element("div").classes("top"):
            ui.html(tag("a", "Seawall", css="brand", href="./"), sanitize=False)
            where = ui.html("", sanitize=False).classes("where")
            options = join(
                tag("option", name, value=name, **({"selected": "selected"} if name == theme else {}))
                for name in ("auto", "light", "dark")
            )
            chooser = tag(
                "select", options, css="theme", onchange="seawallTheme(this.value)", aria_label="Colours", name="theme"
            )
            ui.html(chooser, sanitize=False)
        entries = (
            tag(
                "a", name, href=f"./{page}" + (f"?clock={clock}" if clock in ("now", "last") else ""),
                css="here" if page == path else "", **({"aria_current": "page"} if page == path else {}),
            )
            for page, name in PAGES
        )  # fmt: skip
        ui.html(join(entries), sanitize=False, tag="nav")
    return where


def _where(standing: Standing) -> Markup:
    name = standing.name or "venue"
    if standing.empty:
        return text("empty venue")
    return join(
        (
            text(name), " ", chip(standing.rulebook), " instruction ",
            tag("b", f"{standing.sequence:,}", data_figure="sequence"), f" at {when(standing.last_at)} UTC",
        )
    )  # fmt: skip


def _dev_banner(desk: Desk) -> Markup:
    if not desk.dev:
        return Markup("")
    return tag(
        "div", tag("b", "Development mode: "), "this service takes unsigned requests from this machine. "
        "Whoever can open this page can act as anybody. Not for a venue that matters.",
        css="banner dev", role="status",
    )  # fmt: skip


async def _news(look: Look, path: str) -> Markup:
    """What is out of the ordinary: a stopped writer, a follower, old figures."""
    desk, service = look.desk, look.desk.service
    found = []
    if service.state == "following":
        found.append(
            ("old", [text("This process follows the venue; another one writes it. Nothing can be sent here.")])
        )
    elif service.state == "ready" and not service.ready:
        failed = getattr(service.writer, "failed", None)
        found.append(("bad", [tag("b", "The writer has stopped: "), text(failed), text(". Start the service again.")]))
    standing = await desk.standing()
    here = path or "./"
    asked = {name: value for name, value in look.query.items() if name != "clock"}
    if look.reading == "last":
        age = standing.now - standing.last_at
        words = f"Figures are as of the last instruction, {ago(age)} ago; by now every price would be stale. "
        if age > 0:
            found.append(("old", [text(words), link(here, "Show them as of now", clock="now", **asked)]))
    elif standing.now - standing.last_at > 86_400:
        words = f"The last instruction was {ago(standing.now - standing.last_at)} ago: prices are stale. "
        found.append(("old", [text(words), link(here, "Show figures as of then", clock="last", **asked)]))
    behind = standing.sequence - service.views.sequence
    if behind > 1_000:
        found.append(
            ("old", [text(f"The index is {behind:,} instructions behind: lists and flows are not complete yet.")])
        )
    return join(tag("div", *inside, css=f"banner {kind}", role="status") for kind, inside in found)


def _wait_for_venue(desk: Desk, trouble: str) -> None:
    Panel("The venue is not open yet", "waiting").show(tag("p", trouble))
    _reload_when(lambda: not desk.trouble())


def _reload_when(ready: Callable[[], bool]) -> None:
    def look() -> None:
        if ready():
            ui.navigate.reload()

    ui.timer(TICK, look, immediate=False)


class _Watch:
    """Looks once a second whether there is something new, and brings the page up to date where there is."""

    def __init__(
        self, look: Look, path: str, refresh: Refresh, where: ui.html, news: ui.html, main: ui.element
    ) -> None:
        self._look = look
        self._main = main
        self._path = path
        self._refresh = refresh
        self._where = where
        self._news = news
        self._seen = look.desk.version()
        self._last = time.monotonic()
        self._next = 0.0

    def start(self) -> None:
        """Begin to watch."""
        self._freeze()
        ui.timer(TICK, self._tick, immediate=False)

    def _freeze(self) -> None:
        """As of the last instruction no clock runs."""
        frozen = self._look.reading == "last"
        self._main.classes(add="frozen" if frozen else "", remove="" if frozen else "frozen")

    async def _tick(self) -> None:
        desk, started = self._look.desk, time.monotonic()
        version = desk.version()
        is_old = started - self._last >= LATEST and self._look.reading == "now"
        if started < self._next or (version == self._seen and not is_old):
            return
        self._seen = version
        self._last = started
        if desk.trouble():
            self._news.set_content(str(tag("div", desk.trouble(), css="banner bad", role="status")))
            return
        try:
            self._where.set_content(str(_where(await desk.standing())))
            self._news.set_content(str(await _news(self._look, self._path)))
            self._freeze()
            await self._refresh()
        except (NotReady, LedgerError, SettlementError) as error:
            self._news.set_content(str(tag("div", text(error), css="banner bad", role="status")))
        self._next = time.monotonic() + desk.pause_after(started)


def later(work: Callable[[], Awaitable[None]]) -> None:
    """Do something after this event was answered."""
    background_tasks.create(work())
