"""The keeper: tick by tick it finds what is due and has it carried out. It keeps nothing that it cannot find again.

What it needs to know it asks through its port, in questions that take a slice of the accounts each; what it wants done
it has predicted first (``book``). A second keeper finds the same work: whoever comes later finds it done.
"""

import threading
import time
from typing import Final

import msgspec
import structlog

from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction, decode_canonical
from seawall.instructions.pnl import SettlePnl
from seawall.keeper.book import RETRY, Book, Outcome, Tally, kind_of
from seawall.keeper.liquidations import AskSteps, smaller
from seawall.keeper.markets import (
    INTEREST_EVERY,
    NO_MARK,
    ORDER,
    AskMarkets,
    Prospect,
    Prospects,
    perp,
)
from seawall.keeper.port import Port, Unreachable
from seawall.keeper.risk import NEAR, AskRisk, RiskFound
from seawall.keeper.scans import Scan
from seawall.keeper.settlements import SLICE, AskSettlements, SettlementsFound
from seawall.keeper.shares import AskShares
from seawall.keeper.status import KeeperStatus

STEPS: Final = 8
"""Liquidations and resolutions of one account in one tick at most."""

QUARTERINGS: Final = 6
"""How often a liquidation is made smaller for a liquidator who cannot bear it."""

MARKET_WIDE: Final = frozenset((
    "PriceBandsBreached", "AMMNotUpdatedInSameSlot", "OracleNonPositive", "OracleTooVolatile", "OracleTooUncertain",
    "OracleStaleForMargin", "OracleStaleForAMM", "OracleInsufficientDataPoints", "InvalidOracle",
))  # fmt: skip
"""Refusals of a settlement that speak of the market's price: every other account would meet them too."""

ACCOUNTS: Final = "accounts"
_log = structlog.stdlib.get_logger("seawall.keeper")


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a keeper works. Times in seconds, amounts quote 1e6.

    ``tick``: between two rounds; ``budget``: what each of the two scans may take of a round; ``liquidator``: the
    account that takes over (None: the signer's first); ``settle_every``: in which every account's P&L comes round once
    (0: every tick); ``settle_least``: P&L below which it is left alone; ``lane``: of the risk scan.
    """

    tick: float = 1.0
    budget: float = 0.15
    liquidator: str | None = None
    interest_every: int = INTEREST_EVERY
    settle_every: int = 3_600
    settle_least: int = 1_000_000
    lane: str = "auto"


class Keeper:
    """Cranks a venue through a port. ``run`` until the event is set, or ``tick`` by hand."""

    def __init__(self, port: Port, settings: KeeperSettings | None = None) -> None:
        self.port = port
        self.settings = KeeperSettings() if settings is None else settings
        self.liquidator = self.settings.liquidator or f"{port.signer}/0"
        self._book = Book(port)
        self._risk_scan, self._settle_scan, self._share_scan = Scan("risk"), Scan("settlement"), Scan("revenue_share")
        self._near: list[int] = []
        self._rulebook = ""
        self._rows_due = 0.0
        self._expiring = False
        self._settled_until: int | None = None
        self._now = 0
        self._ticks = 0
        self._started_at: int | None = None
        self._last_tick_at: int | None = None
        self._last_tick_seconds = 0.0
        self._failure = ""
        self._running = False

    # --- running ----------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Tick until ``stop`` is set, on whole seconds of the clock, so that what is due on the hour is done on it.

        A venue that cannot be reached, or a fault of one tick, is tried again at the next.
        """
        self._running = True
        _log.info("started", signer=self.port.signer, liquidator=self.liquidator)
        try:
            while not stop.is_set():
                self.tick()
                tick = self.settings.tick
                stop.wait(tick - time.time() % tick)
        finally:
            self._running = False
            _log.info("stopped", ticks=self._ticks)

    def tick(self) -> None:
        """One round of everything that is due. What fails is noted in the status and stops nothing else."""
        began = time.perf_counter()
        failures: list[str] = []
        try:
            self._now = self.port.clock().unix_timestamp
            self._started_at = self._now if self._started_at is None else self._started_at
            self._everything(failures)
        except Unreachable as error:
            failures.append(str(error))
        failure = "; ".join(failures)
        if failure and failure != self._failure:
            _log.warning("failing", because=failure)
        self._failure = failure
        self._ticks += 1
        self._last_tick_at = self._now
        self._last_tick_seconds = time.perf_counter() - began

    def _everything(self, failures: list[str]) -> None:
        """Markets, then who is in trouble, then P&L, then revenue shares. ``Unreachable``."""
        question = AskMarkets(liquidator=self.liquidator, interest_every=self.settings.interest_every)
        markets = self.port.look(question)
        self._rulebook = markets.rulebook
        if not markets.rulebook:
            return
        stages = [self._crank_markets, self._watch_risk, self._settle]
        if markets.rulebook == "velocity":
            stages.append(self._pay_shares)
        for stage in stages:
            try:
                stage(markets)
            except Unreachable:
                raise
            except Exception as error:
                failure = f"{type(error).__name__}: {error}"
                if failure not in self._failure:
                    _log.exception("failed", stage=stage.__name__.strip("_"))
                failures.append(failure)

    def _crank_markets(self, markets: Prospects) -> None:
        for prospect in markets.items:
            self._consider(prospect)
        self._book.end_others({(prospect.name, prospect.subject) for prospect in markets.items}, ORDER)

    def status(self) -> KeeperStatus:
        """What it did, skipped and will do; a snapshot that any thread may take."""
        scans = [self._risk_scan, self._settle_scan]
        if self._rulebook == "velocity":
            scans.append(self._share_scan)
        return KeeperStatus(
            signer=self.port.signer,
            liquidator=self.liquidator,
            rulebook=self._rulebook,
            running=self._running,
            started_at=self._started_at or 0,
            ticks=self._ticks,
            last_tick_at=self._last_tick_at,
            last_tick_seconds=self._last_tick_seconds,
            budget_seconds=self.settings.budget,
            cranks=self._book.statuses(),
            scans=[scan.status() for scan in scans],
            failure=self._failure,
        )

    # --- markets ----------------------------------------------------------------------------------------------

    def _consider(self, prospect: Prospect) -> None:
        """Crank a market if that is due, and not for what it was cranked for before."""
        book, now = self._book, self._now
        tally = book.tally(prospect.name, prospect.subject)
        if not prospect.instruction and not prospect.blocked:
            book.waits(tally, prospect.because, prospect.next_at)
            return
        if prospect.mark != NO_MARK and tally.mark == prospect.mark:
            book.waits(tally, "not due", prospect.then)
            return
        what = f"{prospect.subject} {prospect.mark}"
        if book.is_held(prospect.name, what, now):
            return
        again = now + RETRY
        if prospect.blocked:
            outcome = book.skip(tally, prospect.because, now, next_at=again)
        else:
            refresh = _instruction(prospect.refresh) if prospect.refresh else None
            instruction = _instruction(prospect.instruction)
            outcome = book.crank(tally, instruction, refresh=refresh, then=prospect.then, again=again)
        if outcome in ("skipped", "refused"):
            book.hold(prospect.name, what, RETRY, now)
        else:
            tally.mark = prospect.mark

    # --- liquidations and bankruptcies ------------------------------------------------------------------------

    def _watch_risk(self, markets: Prospects) -> None:
        """Look at who has little to spare, then go on with the round, for as long as the budget lasts."""
        scan, end = self._risk_scan, time.perf_counter() + self.settings.budget
        if self._near:
            found = self.port.look(AskRisk(only=self._near, seconds=self.settings.budget / 2, lane="exact"))
            self._near = [*found.near, *self._near[found.looked_at :]]
            self._relieve(found, end, markets)
        looked_at = 0
        while True:
            seconds = max(end - time.perf_counter(), self.settings.budget / 10)
            found = self.port.look(AskRisk(first=scan.cursor, seconds=seconds, lane=self.settings.lane))
            self._near = sorted({*self._near, *found.near})[:NEAR]
            if found.unjudged:
                tally = self._book.tally("liquidation", ACCOUNTS)
                because = "accounts cannot be judged: an oracle they need is no good"
                self._book.skip(tally, because, self._now, times=found.unjudged)
            stopped = self._relieve(found, end, markets)
            rows = found.looked_at if stopped is None else max(stopped - scan.cursor, 0)
            looked_at += rows
            scan.advance(rows, found.accounts, found.lane)
            if stopped is not None or looked_at >= found.accounts or time.perf_counter() >= end:
                return

    def _relieve(self, found: RiskFound, end: float, markets: Prospects) -> int | None:
        """Do something about everybody in trouble; the row of the first for whom there was no time, or None."""
        acted = False
        for row, user in zip(found.rows, found.users, strict=True):
            if user == self.liquidator or self._book.is_held("relief", user, self._now):
                continue
            if acted and time.perf_counter() >= end:
                return row
            acted = True
            if not markets.has_liquidator:
                tally = self._book.tally("liquidation", ACCOUNTS)
                because = f"the keeper has no account {self.liquidator} to take over with"
                self._book.skip(tally, because, self._now, user)
                self._book.hold("relief", user, RETRY, self._now)
            elif not self._relieve_one(user):
                self._book.hold("relief", user, RETRY, self._now)
        return None

    def _relieve_one(self, user: str) -> bool:
        """Resolve or take over, step by step, until the account is sound or nothing more passes; whether anything did.

        Each step asks anew: it changed what comes next.
        """
        helped = False
        for _ in range(STEPS):
            steps = self.port.look(AskSteps(user=user, liquidator=self.liquidator))
            if not (self._resolve(user, steps.resolutions) or self._take_over(user, steps.liquidations)):
                break
            helped = True
        return helped

    def _resolve(self, user: str, resolutions: list[str]) -> bool:
        tally = self._book.tally("bankruptcy", ACCOUNTS)
        return any(self._book.crank(tally, _instruction(text), about=user) == "done" for text in resolutions)

    def _take_over(self, user: str, liquidations: list[str]) -> bool:
        tally = self._book.tally("liquidation", ACCOUNTS)
        return any(self._liquidate(tally, user, _instruction(text)) == "done" for text in liquidations)

    def _liquidate(self, tally: Tally, user: str, instruction: Instruction) -> Outcome:
        """As much as the liquidator can bear."""
        predicted = self.port.dry_run(instruction)
        for _ in range(QUARTERINGS):
            less = smaller(instruction) if _is_too_much(predicted) else None
            if less is None:
                break
            instruction = less
            predicted = self.port.dry_run(instruction)
        return self._book.crank(tally, instruction, about=user, predicted=predicted)

    # --- P&L --------------------------------------------------------------------------------------------------

    def _settle(self, markets: Prospects) -> None:
        """Settle the P&L of the accounts whose turn it is: losers of a slice first, so that its winners can be paid."""
        scan, end = self._settle_scan, time.perf_counter() + self.settings.budget
        self._take_turn(markets.accounts)
        while self._rows_due >= 1:
            count = min(int(self._rows_due), SLICE)
            least = self.settings.settle_least
            found = self.port.look(AskSettlements(signer=self.port.signer, first=scan.cursor, count=count, least=least))
            self._expiring = found.expiring
            if not self._settle_slice(found, end):
                return
            self._rows_due -= max(found.looked_at, 1)
            if scan.advance(found.looked_at, found.accounts, "exact"):
                self._book.prune(self._now)
            if time.perf_counter() >= end:
                return

    def _take_turn(self, accounts: int) -> None:
        """How many rows come round now: all of them while an expired market is to be emptied.

        The place in the round follows from the clock, so that a restart keeps it.
        """
        every, now = self.settings.settle_every, self._now
        if every <= 0 or self._expiring:
            self._rows_due = float(accounts)
        elif self._settled_until is None:
            self._settle_scan.begin(accounts * (now % every) // every, accounts)
            self._rows_due = accounts / every
        else:
            self._rows_due = min(self._rows_due + accounts * (now - self._settled_until) / every, float(accounts))
        self._settled_until = now

    def _settle_slice(self, found: SettlementsFound, end: float) -> bool:
        """Settle what a slice held; False where the time did not suffice: the slice is looked at again."""
        book, every = self._book, max(self.settings.settle_every, RETRY)
        for closed in found.closed:
            tally = book.tally(_settlement_name(closed.expired), perp(closed.market_index))
            book.skip(tally, closed.because, self._now, times=closed.accounts, next_at=closed.next_at)
        acted = False
        shut: dict[int, str] = {}
        for settlement in found.settlements:
            what, index = f"{settlement.user} {settlement.market_index}", settlement.market_index
            if book.is_held("pnl", what, self._now):
                continue
            if acted and time.perf_counter() >= end:
                return False
            acted = True
            tally = book.tally(_settlement_name(settlement.expired), perp(index))
            settle = SettlePnl(user=settlement.user, market_index=index)
            if index in shut:
                book.skip(tally, shut[index], self._now, settlement.user)
            elif book.crank(tally, settle, about=settlement.user) != "done":
                if kind_of(tally.last_skipped_because) in MARKET_WIDE:
                    shut[index] = tally.last_skipped_because
                else:
                    book.hold("pnl", what, RETRY if settlement.expired else every, self._now)
        return True

    # --- revenue shares ---------------------------------------------------------------------------------------

    def _pay_shares(self, markets: Prospects) -> None:
        """Pay builders and referrers of the next escrows."""
        book, scan = self._book, self._share_scan
        found = self.port.look(AskShares(first=scan.cursor))
        for share in found.shares:
            what = f"{share.escrow} {share.instruction}"
            if book.is_held("share", what, self._now):
                continue
            tally = book.tally("revenue_share", perp(share.market_index))
            refresh = _instruction(share.refresh)
            if book.crank(tally, _instruction(share.instruction), about=share.escrow, refresh=refresh) != "done":
                book.hold("share", what, 60, self._now)
        scan.advance(found.looked_at, found.escrows, "exact")


def _settlement_name(expired: bool) -> str:
    return "expired_position" if expired else "pnl_settlement"


def _instruction(text: str) -> Instruction:
    return decode_canonical(text.encode())


def _is_too_much(receipt: Receipt) -> bool:
    """Whether a liquidation is refused because the liquidator could not bear what it takes over."""
    refusal = receipt.refusal
    return refusal is not None and refusal.code == ErrorCode.InsufficientCollateral
