"""What became of each account of a batch, as an Arrow table beside the receipt.

The receipt holds the totals and the SHA-256 of the table's bytes (an Arrow IPC stream), so that the hash chain of the
journal vouches for the table too. Columns: ``row`` (in the account table; none for an account that does not exist),
``user``, ``settled`` (whether there was something to settle), ``amount`` (quote 1e6, signed; none if refused) and
``error`` (none unless refused). Nothing here imports pyarrow before it is needed.
"""

from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import pyarrow

from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.ledger.errors import JournalDamaged
from seawall.ledger.journal import RESTORE, Journal

HINT: Final = "pip install 'seawall[bulk]'"
FINGERPRINT: Final = "results_sha256"
"""The field of a batch's event that vouches for its results."""

BATCHES: Final = (SettlePnlBatch, SettleExpiredBatch, SettleFundingBatch)
"""The instructions that have results."""


class Results(NamedTuple):
    """The columns, one item an account, in the order in which the accounts were settled."""

    row: list[int | None]
    user: list[str]
    settled: list[bool]
    amount: list[int | None]
    error: list[str | None]

    def refused(self) -> dict[str, int]:
        """How many accounts were refused, by the error's name, in the order of names."""
        counts: dict[str, int] = {}
        for name in self.error:
            if name is not None:
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))


@cache
def unavailable_reason() -> str | None:
    """Why results cannot be written or read here, in one sentence; None where they can."""
    if find_spec("pyarrow") is None:
        return f"the results of a batch need the package pyarrow, which is not installed ({HINT})"
    return None


def require_results(instruction: Instruction) -> None:
    """``UnsupportedInstruction`` for a batch where its results cannot be written: to be asked before it is admitted."""
    if isinstance(instruction, BATCHES):
        reason = unavailable_reason()
        if reason is not None:
            raise SettlementError(ErrorCode.UnsupportedInstruction, reason, f"the same after {HINT}")


def encode_results(results: Results) -> bytes:
    """The results as an Arrow IPC stream: the same columns give the same bytes with the same version of pyarrow."""
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("row", pa.uint32()),
            pa.field("user", pa.string(), nullable=False),
            pa.field("settled", pa.bool_(), nullable=False),
            pa.field("amount", pa.int64()),
            pa.field("error", pa.string()),
        ]
    )
    batch = pa.record_batch([pa.array(column, f.type) for column, f in zip(results, schema, strict=True)], schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode_results(data: bytes) -> "pyarrow.Table":
    """The table of an Arrow IPC stream; ``RuntimeError`` says what to install where pyarrow is missing."""
    reason = unavailable_reason()
    if reason is not None:
        raise RuntimeError(reason)
    import pyarrow as pa

    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def fingerprint(data: bytes) -> str:
    """The SHA-256 of results, as the receipt tells it."""
    return sha256(data).hexdigest()


def fingerprint_in(receipt: Receipt) -> str | None:
    """The SHA-256 of an instruction's results, if it has any."""
    return next((fields[FINGERPRINT] for _, fields in receipt.events if FINGERPRINT in fields), None)


def verified_results(journal: Journal, receipt: Receipt) -> bytes:
    """The results that belong to a batch's receipt; ``JournalDamaged`` where they are missing or other ones."""
    data = journal.results(receipt.sequence)
    if data is None or fingerprint(data) != fingerprint_in(receipt):
        what = "are missing" if data is None else "are not what was written"
        raise JournalDamaged(f"{journal.name}: the results of entry {receipt.sequence} {what}. {RESTORE}")
    return data
