"""The book of cranks: each is predicted, sent if it will do something, and what became of it is noted and logged."""

import threading
from collections.abc import Collection
from typing import Final, Literal

import structlog

from seawall.engine.receipts import Receipt, Refusal
from seawall.errors import ErrorCode
from seawall.instructions.amm import UpdateAmms
from seawall.instructions.base import Instruction
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.pnl import SettleExpiredMarket
from seawall.keeper.port import Port
from seawall.keeper.status import CrankStatus

Outcome = Literal["done", "idle", "refused", "skipped"]

RETRY: Final = 10
"""Seconds after which something that was predicted to be refused is looked at again."""

LOG_EVERY: Final = 600
"""Seconds in which the same reason not to crank is logged once."""

OVER: Final = "the market is over"
NOTHING: Final = "it would do nothing"

_QUIET: Final = (UpdateAmms, UpdateSpotMarketCumulativeInterest, SettleExpiredMarket)
"""Instructions whose receipts may be empty although they did something."""

_log = structlog.stdlib.get_logger("seawall.keeper")


class Tally:
    """What became of one crank of one subject."""

    def __init__(self, name: str, subject: str) -> None:
        self.name = name
        self.subject = subject
        self.counts: dict[Outcome, int] = {"done": 0, "idle": 0, "refused": 0, "skipped": 0}
        self.last_done_at: int | None = None
        self.last_sequence: int | None = None
        self.last_subject = ""
        self.last_skipped_at: int | None = None
        self.last_skipped_because = ""
        self.last_refusal = ""
        self.next_at: int | None = None
        self.mark: int | None = None
        """What it was done for last: a price, an hour."""

    def status(self) -> CrankStatus:
        """As a snapshot."""
        return CrankStatus(
            name=self.name,
            subject=self.subject,
            last_done_at=self.last_done_at,
            last_sequence=self.last_sequence,
            last_subject=self.last_subject,
            last_skipped_at=self.last_skipped_at,
            last_skipped_because=self.last_skipped_because,
            last_refusal=self.last_refusal,
            next_at=self.next_at,
            **self.counts,
        )


class Book:
    """Sends cranks through a port and keeps their tallies."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._held: dict[tuple[str, str], int] = {}
        """Until when something that was predicted to be refused is left alone."""
        self._logged: dict[tuple[str, str, str], int] = {}
        """When a reason not to crank was logged last."""
        self._lock = threading.Lock()

    def statuses(self) -> list[CrankStatus]:
        """Every tally as a snapshot."""
        with self._lock:
            return [tally.status() for tally in self._tallies.values()]

    def tally(self, name: str, subject: str) -> Tally:
        """The tally of a crank of a subject."""
        found = self._tallies.get((name, subject))
        if found is None:
            with self._lock:
                found = self._tallies[name, subject] = Tally(name, subject)
        return found

    # --- leaving alone ----------------------------------------------------------------------------------------

    def hold(self, name: str, what: str, seconds: int, now: int) -> None:
        """Leave something alone for a while."""
        self._held[name, what] = now + seconds

    def is_held(self, name: str, what: str, now: int) -> bool:
        """Whether something is left alone for now."""
        until = self._held.get((name, what))
        return until is not None and now < until

    def prune(self, now: int) -> None:
        """Forget what need not be left alone any more."""
        self._held = {at: until for at, until in self._held.items() if now < until}

    # --- cranking ---------------------------------------------------------------------------------------------

    def waits(self, tally: Tally, because: str, next_at: int | None) -> None:
        """Note that a crank is not due."""
        tally.next_at = next_at
        tally.last_skipped_because = because

    def end_others(self, going: Collection[tuple[str, str]], names: Collection[str]) -> None:
        """Note that cranks of these names which are not going any more will not be due again."""
        for at, tally in self._tallies.items():
            if tally.name in names and at not in going:
                self.waits(tally, OVER, None)

    def skip(
        self, tally: Tally, because: str, now: int, about: str = "", times: int = 1, next_at: int | None = None
    ) -> Outcome:
        """Note that a crank was due and not sent. The same reason, figures aside, is logged once in ten minutes."""
        tally.next_at = next_at
        kind = tally.name, tally.subject, kind_of(because)
        if now - self._logged.get(kind, now - LOG_EVERY) >= LOG_EVERY:
            self._logged[kind] = now
            _log.info("skipped", crank=tally.name, subject=about or tally.subject, because=because, next_at=next_at)
        tally.counts["skipped"] += times
        tally.last_skipped_at = now
        tally.last_skipped_because = because
        return "skipped"

    def crank(
        self, tally: Tally, instruction: Instruction, *, about: str = "", refresh: Instruction | None = None,
        predicted: Receipt | None = None, then: int | None = None, again: int | None = None,
    ) -> Outcome:  # fmt: skip
        """Predict an instruction, and send it unless it would be refused or do nothing.

        ``refresh`` is sent before it where only a fresh AMM is missing; ``predicted`` is a prediction made already.
        ``then``: when it will be due next once it is done, ``again``: when it is looked at again where it is not.
        """
        receipt = self.port.dry_run(instruction) if predicted is None else predicted
        if refresh is not None and _is_stale(receipt):
            self.send(self.tally("amm_refresh", tally.subject), refresh)
            receipt = self.port.dry_run(instruction)
        now = receipt.clock.unix_timestamp
        if receipt.refusal is not None:
            return self.skip(tally, words(receipt.refusal), now, about, next_at=again)
        if not does_something(instruction, receipt):
            why = f"{NOTHING}: {receipt.limits[0].note}" if receipt.limits else NOTHING
            return self.skip(tally, why, now, about, next_at=again)
        tally.next_at = then
        return self.send(tally, instruction, about)

    def send(self, tally: Tally, instruction: Instruction, about: str = "") -> Outcome:
        """Have an instruction carried out, and note what became of it."""
        receipt = self.port.submit(instruction)
        shown = {"crank": tally.name, "subject": about or tally.subject, "sequence": receipt.sequence}
        if receipt.refusal is not None:
            tally.counts["refused"] += 1
            tally.last_refusal = words(receipt.refusal)
            _log.warning("refused", **shown, because=tally.last_refusal)
            return "refused"
        if not does_something(instruction, receipt):
            tally.counts["idle"] += 1
            _log.info("idle", **shown)
            return "idle"
        tally.counts["done"] += 1
        tally.last_done_at = receipt.clock.unix_timestamp
        tally.last_sequence = receipt.sequence
        tally.last_subject = about
        tally.last_skipped_because = ""
        _log.info("done", **shown, next_at=tally.next_at)
        return "done"


def does_something(instruction: Instruction, receipt: Receipt) -> bool:
    """Whether an instruction that was carried out changed anything that matters."""
    return isinstance(instruction, _QUIET) or bool(receipt.events or receipt.transfers or receipt.waterfall)


def kind_of(because: str) -> str:
    """A reason without its figures: the error's name, where it is an error."""
    return because.partition(":")[0]


def words(refusal: Refusal) -> str:
    """A refusal in one line."""
    return f"{refusal.error}: {refusal.message}"


def _is_stale(receipt: Receipt) -> bool:
    refusal = receipt.refusal
    return refusal is not None and refusal.code in (ErrorCode.AMMNotUpdatedInSameSlot, ErrorCode.InvalidOracle)
