"""*Keeper*: each crank of the keeper that runs in this process: last done, skipped because, next at."""

from seawall.keeper.status import CrankStatus, KeeperStatus, ScanStatus
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.markup import (
    Markup,
    account_link,
    ago,
    chip,
    countdown,
    join,
    link,
    note,
    number,
    pairs,
    short,
    table,
    tag,
    text,
    when,
    words,
)


def crank_table(status: KeeperStatus, now: int) -> Markup:
    """Each crank in one line."""
    columns = (
        words("crank"), words("subject"), words("last done (UTC)"), words("receipt"),
        words("next", "when it is due next; an event: no time but a price or a fill makes it due"),
        words("skipped because"), number("done"), number("idle", "carried out, but there was nothing left to do"),
        number("skipped", "not sent: a refusal was predicted"), number("refused", "sent and refused"),
    )  # fmt: skip
    rows = (
        (
            tag("b", crank.name), _subject(crank), _done(crank, now),
            link("journal", f"#{crank.last_sequence:,}", receipt=crank.last_sequence) if crank.last_sequence else "",
            "on an event" if crank.next_at is None else countdown(crank.next_at, now), _skipped(crank, now),
            f"{crank.done:,}", f"{crank.idle:,}", f"{crank.skipped:,}", f"{crank.refused:,}",
        )
        for crank in status.cranks
    )  # fmt: skip
    return table(columns, rows, "the keeper has no crank yet", "cranks", cards=True)


def _subject(crank: CrankStatus) -> Markup:
    last = crank.last_subject
    if not last:
        return text(crank.subject)
    shown = account_link(last) if "/" in last else short(last)
    return join((text(crank.subject), tag("span", " last ", css="muted"), shown))


def _done(crank: CrankStatus, now: int) -> Markup:
    if crank.last_done_at is None:
        return tag("span", "not yet", css="muted")
    return tag("span", when(crank.last_done_at), title=f"{ago(now - crank.last_done_at)} ago")


def _skipped(crank: CrankStatus, now: int) -> Markup:
    if not crank.last_skipped_because and not crank.last_refusal:
        return Markup("")
    found = []
    if crank.last_skipped_because:
        at = "" if crank.last_skipped_at is None else f" ({ago(now - crank.last_skipped_at)} ago)"
        found.append(tag("span", crank.last_skipped_because + at, css="why"))
    if crank.last_refusal:
        found.append(tag("span", f"last refusal: {crank.last_refusal}", css="why neg"))
    return join(found)


def scan_table(scans: list[ScanStatus]) -> Markup:
    """How far the scans over all accounts are."""
    columns = (
        words("scan"), number("accounts"), number("looked at"), number("left in this round"), number("rounds"),
        number("last round took"), words("lane"),
    )  # fmt: skip
    rows = (
        (
            tag("b", scan.name), f"{scan.accounts:,}", f"{scan.looked_at:,}", f"{scan.left:,}", f"{scan.rounds:,}",
            "not ended yet" if scan.last_round_seconds is None else f"{scan.last_round_seconds:.2f} s", scan.lane,
        )
        for scan in scans
    )  # fmt: skip
    return table(columns, rows, "no scan yet", "scans", cards=True)


def summary(status: KeeperStatus, now: int) -> Markup:
    """Who it is, and how it does."""
    state = chip("running", "good") if status.running else chip("stopped", "bad")
    last = "not yet" if status.last_tick_at is None else f"{ago(now - status.last_tick_at)} ago"
    rows = [
        ("state", state),
        ("signs as", tag("code", status.signer)),
        ("takes over into", account_link(status.liquidator) if status.liquidator else "the signer's first account"),
        ("since (UTC)", when(status.started_at)),
        ("last tick", f"{last}, it took {status.last_tick_seconds * 1_000:.0f} ms; {status.ticks:,} ticks so far"),
        ("budget of a tick's scans", f"{status.budget_seconds * 1_000:.0f} ms"),
    ]
    failure = tag("p", f"The last tick failed: {status.failure}", css="refused", role="alert") if status.failure else ""
    return join((pairs(rows, "keeper"), failure))


_NONE = (
    tag("p", "No keeper runs in this process.", css="empty", data_table="keeper"),
    tag(
        "p", "Start the service with ", tag("code", "seawall serve --keeper"), " to run one here, or ",
        tag("code", "seawall keeper"), " as a process of its own; that one tells of itself in its own log and metrics.",
    ),
)  # fmt: skip


async def build(look: Look) -> Refresh:
    """The page."""
    service = look.desk.service
    about = Panel("The keeper of this process", "keeper")
    cranks = Panel("Cranks", "cranks")
    scans = Panel("Scans over all accounts", "scans")

    async def refresh() -> None:
        status = service.keeper
        cranks.box.set_visibility(status is not None)
        scans.box.set_visibility(status is not None and bool(status.scans))
        if status is None:
            about.show(*_NONE)
            return
        now = service.clock().unix_timestamp
        about.show(summary(status, now))
        cranks.show(crank_table(status, now), note("Counts are since the keeper started."))
        scans.show(scan_table(status.scans))

    await refresh()
    return refresh
