"""Execute a journal once more from its first entry, on an empty machine, and compare everything it says.

Opening a venue trusts its last snapshot (after verifying it); this trusts nothing: SQLite's structures, the hash chain
of the whole journal, every outcome in full, the results of batches (executed in the exact lane), the effects on the
state entry by entry, each snapshot's state root where it was taken, and the conservation of every token on the way
and at the end.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from seawall.audit.conservation import History, check_state
from seawall.audit.signatures import Signatures
from seawall.engine.machine import Machine
from seawall.engine.receipts import Limit, Receipt, decode_receipt, encode_receipt
from seawall.engine.recovery import reexecute
from seawall.engine.results import FINGERPRINT, decode_results, fingerprint, verified_results
from seawall.ledger.errors import JournalDamaged, ReplayDiffers
from seawall.ledger.journal import START, Entry, Journal, Tip, tip_of, verified
from seawall.ledger.location import open_journal
from seawall.ledger.snapshots import Header, read_header
from seawall.ledger.snapshots import snapshots as snapshots_of


class Replayed(NamedTuple):
    """What a replay found: the machine at the end, the journal's tip, how many instructions were refused.

    ``snapshots`` are the sequence numbers at which a snapshot's state root was compared, and equal; ``reworded`` the
    entries whose outcome is the same but explained in other words, by another version of Seawall; ``signed`` how many
    entries carry their signer's signature, all of them checked; ``findings`` what is not accounted for, or not signed
    by whom it says (empty: nothing).
    """

    machine: Machine
    tip: Tip
    refused: int
    snapshots: list[int]
    reworded: list[int]
    signed: int
    history: History
    findings: list[str]

    @property
    def root(self) -> str:
        """The state root at the end of the journal."""
        return self.machine.store.root()


def replay_venue(
    path: str | os.PathLike[str],
    progress: Callable[[int], None] | None = None,
    *,
    snapshots: str | os.PathLike[str] | None = None,
) -> Replayed:
    """Verify and execute again the whole journal of the venue stored at ``path``, which may be in use.

    ``snapshots``: as in ``Venue.open``, for a venue in a database server. ``progress`` is told each sequence number.
    ``JournalDamaged``, ``SnapshotDamaged`` or ``ReplayDiffers`` for the first thing that is not what it should be.
    """
    with checked_journal(path, snapshots) as (journal, headers):
        return replay(journal, headers, progress)


@contextmanager
def checked_journal(
    path: str | os.PathLike[str], snapshots: str | os.PathLike[str] | None = None
) -> Iterator[tuple[Journal, list[Header]]]:
    """The journal of the venue stored at ``path``, its store checked, and the headers of its snapshots."""
    journal, beside = open_journal(path, read_only=True)
    if beside is None and snapshots is not None:
        beside = Path(snapshots).absolute()
    try:
        journal.check_whole()
        yield journal, [] if beside is None else [read_header(found) for found in snapshots_of(beside)]
    finally:
        journal.close(in_order=False)


def replay(
    journal: Journal, headers: list[Header] | None = None, progress: Callable[[int], None] | None = None
) -> Replayed:
    """Execute a journal from genesis and compare; ``headers`` are those of the snapshots to compare with."""
    waiting = {header.sequence: header for header in headers or []}
    machine, tip = Machine(lane="exact"), START
    refused = 0
    compared: list[int] = []
    reworded: list[int] = []
    history = History()
    signatures = Signatures()
    for entry in verified(journal):
        receipt = reexecute(machine, entry, journal.name)
        if machine.results is not None:
            receipt = compare_results(journal, entry, receipt, machine.results)
        refused += not receipt.ok
        signatures.add(entry)
        history.add(receipt, machine.store)
        if encode_receipt(receipt) != entry.outcome:
            _require_same_but_for_words(receipt, entry.outcome, journal.name)
            reworded.append(entry.sequence)
        tip = tip_of(entry)
        header = waiting.pop(entry.sequence, None)
        if header is not None:
            compare_snapshot(header, tip, machine, journal.name)
            compared.append(entry.sequence)
        if progress is not None:
            progress(entry.sequence)
    require_no_snapshot_left(waiting, tip, journal.name)
    findings = history.check(machine.store) + check_state(machine.store, history).findings + signatures.findings
    return Replayed(machine, tip, refused, compared, reworded, signatures.checked, history, findings)


def compare_results(journal: Journal, entry: Entry, receipt: Receipt, results: bytes) -> Receipt:
    """The receipt, after the results were compared with those stored; ``ReplayDiffers``, ``JournalDamaged``.

    Another version of pyarrow may write the same table in other bytes: the receipt then gets the hash of those stored.
    """
    recorded = decode_receipt(entry.outcome)
    stored = verified_results(journal, recorded)
    if stored == results:
        return receipt
    if not decode_results(stored).equals(decode_results(results)):
        raise ReplayDiffers(f"{journal.name}: executed again, entry {entry.sequence} ({receipt.ix}) has other results")
    kept = {FINGERPRINT: fingerprint(stored)}
    events = [(name, fields | kept if FINGERPRINT in fields else fields) for name, fields in receipt.events]
    return msgspec.structs.replace(receipt, events=events)


def _require_same_but_for_words(receipt: Receipt, recorded: bytes, name: str) -> None:
    ours, theirs = _without_words(decode_receipt(encode_receipt(receipt))), _without_words(decode_receipt(recorded))
    for field in Receipt.__struct_fields__:
        if getattr(ours, field) != getattr(theirs, field):
            raise ReplayDiffers(
                f"{name}: executed again, entry {receipt.sequence} ({receipt.ix}) tells other {field}: "
                f"{getattr(ours, field)!r} instead of {getattr(theirs, field)!r}"
            )


def _without_words(receipt: Receipt) -> Receipt:
    """The receipt without what only explains: sentences, notes, and the limits that illustrate a refusal."""
    if receipt.refusal is not None:
        refusal = msgspec.structs.replace(receipt.refusal, message="", would_pass="")
        return msgspec.structs.replace(receipt, refusal=refusal, limits=[])
    return msgspec.structs.replace(receipt, limits=[Limit(x.name, x.value, x.asked) for x in receipt.limits])


def require_no_snapshot_left(waiting: dict[int, Header], tip: Tip, name: str) -> None:
    """``JournalDamaged`` where there are snapshots beyond the end of the journal."""
    if waiting:
        raise JournalDamaged(f"{name}: there is a snapshot at {min(waiting)}, but the journal ends with {tip.sequence}")


def compare_snapshot(header: Header, tip: Tip, machine: Machine, name: str) -> None:
    """``ReplayDiffers`` unless the snapshot is of this journal and this state."""
    if header.chain != tip.hash.hex():
        raise ReplayDiffers(f"{name}: the snapshot at {header.sequence} belongs to another journal")
    root = machine.store.root()
    if header.root != root:
        raise ReplayDiffers(
            f"{name}: the snapshot at {header.sequence} has the state root {header.root}, the replay {root}"
        )
