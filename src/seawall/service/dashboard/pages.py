"""The addresses of the pages."""

from typing import Final

from fastapi import Request
from nicegui import ui

from seawall.service.dashboard import account, insurance, journal, keeper, markets, overview
from seawall.service.dashboard.frame import Builder, show_page

_BUILDERS: Final[dict[str, Builder]] = {
    "": overview.build,
    "markets": markets.build,
    "insurance": insurance.build,
    "account": account.build,
    "journal": journal.build,
    "keeper": keeper.build,
}
SLOWEST: Final = 20.0
"""Seconds after which a page gives up; a venue that is verifying itself answers at once that it is."""


def register() -> None:
    """Tell NiceGUI of every page."""
    for path, build in _BUILDERS.items():
        _register(path, build)


def _register(path: str, build: Builder) -> None:
    async def page(request: Request) -> None:
        await show_page(request, path, build)

    ui.page(f"/{path}", response_timeout=SLOWEST)(page)
