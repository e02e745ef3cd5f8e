"""The deterministic state machine: genesis and journal give the state, always, bit for bit. Nothing is durable here."""

from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from seawall.engine.conservation import moved
from seawall.engine.explain import explain
from seawall.engine.receipts import Clock, Receipt, Refusal
from seawall.engine.results import require_results
from seawall.engine.rulebook import Rulebook, rulebook
from seawall.engine.store import Store
from seawall.engine.transaction import Change, Lane, Transaction, signer_key
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.base import Instruction, validate
from seawall.instructions.venue_setup import Initialize
from seawall.records import freeze

_PLACE = Struct("<BI")


class Request(NamedTuple):
    """An instruction with its signer (base58 or ``@label``), its time and an optional idempotency key."""

    instruction: Instruction
    signer: str
    at: Clock
    idempotency_key: str | None = None
    signature: bytes = b""
    """What proves that the signer asked for it (``signing.Proof.packed``); kept in the journal, not looked at here."""


class Machine:
    """The state machine alone: applies instructions to the tables, answers with receipts."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        strict: bool = False,
        rules: Callable[[str], Rulebook] = rulebook,
        lane: Lane = "auto",
    ) -> None:
        self.store = store if store is not None else Store()
        self.store.strict = strict
        """In tests: a record that was not checked out for writing refuses assignment."""
        self.sequence = 0
        self.effects = bytes(32)
        """Running hash over every row ever written: equal histories have equal effects."""
        self.lane: Lane = lane
        """How batches are carried out."""
        self.results: bytes | None = None
        """Of the instruction attempted last: what became of each account, if it was a batch (``engine.results``)."""
        self._rulebook_called = rules
        self._rulebook: Rulebook | None = None

    def execute(self, request: Request) -> tuple[Receipt, list[Change]]:
        """Carry out one instruction; refusals are receipts too. The state changes wholly or not at all.

        A malformed request is refused with a receipt of sequence 0: it never became part of the history.
        """
        try:
            validate(request.instruction)
            require_results(request.instruction)
            key = signer_key(request.signer)
        except SettlementError as error:
            return refused_at_the_door(request, error), []
        receipt, changes = self.attempt(request.instruction, request.signer, key, request.at)
        self.settle(receipt, changes)
        return receipt, changes

    def attempt(self, instruction: Instruction, signer: str, key: bytes, clock: Clock) -> tuple[Receipt, list[Change]]:
        """What a well-formed instruction would do next: its receipt and the rows it would write. Changes nothing."""
        tx = Transaction(self.store, clock, key, self.lane, instruction.ix)
        self.results = None
        try:
            self._rules(instruction).handler(instruction)(tx, instruction)
            changes = tx.commit()
        except ZeroDivisionError:
            return self._refused(instruction, signer, tx, SettlementError(ErrorCode.MathError)), []
        except SettlementError as error:
            return self._refused(instruction, signer, tx, error), []
        self.results = tx.results
        transfers, vaults = moved(self.store, changes)
        receipt = Receipt(
            self.sequence + 1, clock, instruction.ix, signer, None, tx.events, transfers, vaults, tx.limits,
            self.effects_after(changes).hex(), tx.waterfall,
        )  # fmt: skip
        return receipt, changes

    def effects_after(self, changes: list[Change]) -> bytes:
        """The running hash over all effects once these changes are among them."""
        if not changes:
            return self.effects
        pieces = [self.effects]
        for change in changes:
            pieces.append(_PLACE.pack(change.table.number, change.index))
            pieces.append(change.data)
        return sha256(b"".join(pieces)).digest()

    def settle(self, receipt: Receipt, changes: list[Change]) -> None:
        """Make what was attempted last part of the state."""
        strict = self.store.strict
        for change in changes:
            after = change.after
            if change.table is self.store.config:
                self._rulebook = None
            if not change.data:
                change.table.remove_last()
            else:
                change.table.store(change.index, change.data, freeze(after) if strict and after is not None else after)
        self.effects = bytes.fromhex(receipt.effects)
        self.sequence = receipt.sequence

    def undo(self, changes: list[Change]) -> None:
        """Put back the rows of the instruction settled last. Sequence and effects are the caller's to restore."""
        for change in reversed(changes):
            if change.table is self.store.config:
                self._rulebook = None
            if change.before is None:
                change.table.remove_last()
            else:
                change.table.store(change.index, change.before, change.table.record.unpack(change.before))

    def _refused(self, instruction: Instruction, signer: str, tx: Transaction, error: SettlementError) -> Receipt:
        explainers = self._rulebook.explainers if self._rulebook is not None else {}
        message, would_pass, limits = explain(explainers, tx, instruction, error)
        refusal = Refusal(error.code.name, int(error.code), message, would_pass)
        return Receipt(
            self.sequence + 1, tx.clock, instruction.ix, signer, refusal, limits=limits, effects=self.effects.hex()
        )

    def _rules(self, instruction: Instruction) -> Rulebook:
        if self._rulebook is None:
            if self.store.config.objects:
                self._rulebook = self._rulebook_called(self.store.config.objects[0].rulebook)
            elif isinstance(instruction, Initialize):
                return self._rulebook_called(instruction.rulebook)
            else:
                raise SettlementError(ErrorCode.InvalidInstruction, "the venue is empty; initialize comes first")
        return self._rulebook


def refused_at_the_door(request: Request, error: SettlementError) -> Receipt:
    """The receipt of a request that is not admitted. Its sequence is 0: it is not part of the history."""
    refusal = Refusal(error.code.name, int(error.code), error.detail or MEANING[error.code], error.would_pass)
    return Receipt(0, request.at, request.instruction.ix, request.signer, refusal)
