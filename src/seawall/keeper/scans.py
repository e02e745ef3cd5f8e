"""How far a scan over a table is: it goes round and round, each tick as far as its budget admits."""

import time

from seawall.keeper.status import ScanStatus


class Scan:
    """A cursor over a table's rows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor = 0
        self.lane = ""
        self._rows = 0
        self._rounds = 0
        self._round_began = time.monotonic()
        self._last_round_seconds: float | None = None

    def begin(self, row: int, of: int) -> None:
        """Begin in the middle of a round."""
        self.cursor, self._rows = row, of

    def advance(self, rows: int, of: int, lane: str = "") -> bool:
        """Note that the next ``rows`` rows were looked at; whether that ended a round."""
        self._rows = of
        self.lane = lane or self.lane
        self.cursor += rows
        if self.cursor < of:
            return False
        now = time.monotonic()
        self._last_round_seconds, self._round_began = now - self._round_began, now
        self._rounds += 1
        self.cursor = 0
        return True

    def status(self) -> ScanStatus:
        """As a snapshot. After a whole round nothing is left until the next one begins."""
        cursor = self.cursor
        return ScanStatus(
            name=self.name,
            accounts=self._rows,
            looked_at=cursor if cursor else self._rows,
            left=self._rows - cursor if cursor else 0,
            rounds=self._rounds,
            last_round_seconds=self._last_round_seconds,
            lane=self.lane,
        )
