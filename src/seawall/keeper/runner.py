"""The keeper: tick by tick it finds what is due and has it carried out. It keeps nothing that it could not find again."""

import threading
from typing import Final

import msgspec

from seawall.keeper.port import Port
from seawall.keeper.status import KeeperStatus

TICK: Final = 1.0
"""Seconds between two ticks."""


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a keeper works. ``budget``: seconds that the scans of a tick may take. ``liquidator``: the account that takes
    over (None: the signer's first account). ``settle_every``: seconds in which every account's P&L comes round once;
    ``settle_least``: quote (1e6) below which it is left alone."""

    tick: float = TICK
    budget: float = 0.25
    liquidator: str | None = None
    settle_every: int = 3_600
    settle_least: int = 1_000_000


class Keeper:
    """Cranks a venue through a port. ``run`` until the event is set, or ``tick`` by hand."""

    def __init__(self, port: Port, settings: KeeperSettings | None = None) -> None:
        self.port = port
        self.settings = KeeperSettings() if settings is None else settings
        self._ticks = 0
        self._last_tick_at: int | None = None
        self._last_tick_seconds = 0.0
        self._started_at = port.clock().unix_timestamp

    def run(self, stop: threading.Event) -> None:
        """Tick until ``stop`` is set. A venue that cannot be reached is tried again."""
        while not stop.is_set():
            self.tick()
            stop.wait(self.settings.tick)

    def tick(self) -> None:
        """One round of everything that is due."""
        self._ticks += 1
        self._last_tick_at = self.port.clock().unix_timestamp

    def status(self) -> KeeperStatus:
        """What it did, skipped and will do; a snapshot, safe to take from any thread."""
        return KeeperStatus(
            signer=self.port.signer,
            liquidator=self.settings.liquidator,
            rulebook="",
            running=True,
            started_at=self._started_at,
            ticks=self._ticks,
            last_tick_at=self._last_tick_at,
            last_tick_seconds=self._last_tick_seconds,
            budget_seconds=self.settings.budget,
        )
