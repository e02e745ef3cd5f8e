"""What a keeper tells of itself: a plain snapshot for the log, the metrics and the dashboard."""

import msgspec


class CrankStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One crank of one subject: a market's, or that of all accounts (then ``last_subject`` names the last account).

    Times are unix seconds on the venue's clock. Counts are since the keeper started: ``done`` changed something,
    ``idle`` was carried out but found nothing left to do, ``refused`` was sent and refused although it had been
    predicted to pass (another keeper came first), ``skipped`` was not sent. ``next_at`` is None where no time but an
    event makes it due (a price, a fill).
    """

    name: str
    subject: str
    done: int = 0
    idle: int = 0
    refused: int = 0
    skipped: int = 0
    last_done_at: int | None = None
    last_sequence: int | None = None
    last_subject: str = ""
    last_skipped_at: int | None = None
    last_skipped_because: str = ""
    last_refusal: str = ""
    next_at: int | None = None


class ScanStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a scan over all accounts is: a tick looks at as many as its budget of time admits, the next goes on.

    ``left``: accounts of this round that were not looked at yet. ``lane``: ``compiled`` or ``exact``.
    ``last_round_seconds``: how long the last whole round took; None before there was one.
    """

    name: str
    accounts: int
    looked_at: int
    left: int
    rounds: int
    last_round_seconds: float | None
    lane: str


class KeeperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A keeper as of its last tick. ``failure``: what kept the last tick from ending, or empty."""

    signer: str
    liquidator: str | None
    rulebook: str
    running: bool
    started_at: int
    ticks: int
    last_tick_at: int | None
    last_tick_seconds: float
    budget_seconds: float
    cranks: list[CrankStatus] = []
    scans: list[ScanStatus] = []
    failure: str = ""
