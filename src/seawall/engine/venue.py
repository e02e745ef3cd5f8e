"""The venue: a deterministic state machine. Genesis and journal give the state, always, bit for bit."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from seawall.engine.conservation import moved
from seawall.engine.explain import explain
from seawall.engine.receipts import Clock, Receipt, Refusal
from seawall.engine.rulebook import Rulebook, rulebook
from seawall.engine.store import Store
from seawall.engine.transaction import Change, Transaction, signer_key
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, validate
from seawall.instructions.venue_setup import Initialize
from seawall.records import freeze


class Request(NamedTuple):
    """An instruction with its signer (base58 or ``@label``), its time and an optional idempotency key."""

    instruction: Instruction
    signer: str
    at: Clock
    idempotency_key: str | None = None


class Machine:
    """The state machine alone: applies instructions to the tables, answers with receipts. Nothing is durable here."""

    def __init__(self, store: Store | None = None, *, strict: bool = False) -> None:
        self.store = store if store is not None else Store()
        self.store.strict = strict
        """In tests: a record that was not checked out for writing refuses assignment."""
        self.sequence = 0
        self.effects = bytes(32)
        """Running hash over every row ever written: equal histories have equal effects."""
        self._rulebook: Rulebook | None = None

    def execute(self, request: Request) -> tuple[Receipt, list[Change]]:
        """Carry out one instruction; refusals are receipts too. The state changes wholly or not at all."""
        instruction = request.instruction
        sequence = self.sequence + 1
        tx = Transaction(self.store, request.at, signer_key(request.signer))
        try:
            validate(instruction)
            self._rules(instruction).handler(instruction)(tx, instruction)
            changes = tx.commit()
        except ZeroDivisionError:
            return self._refused(request, tx, SettlementError(ErrorCode.MathError)), []
        except SettlementError as error:
            return self._refused(request, tx, error), []
        transfers, vaults = moved(self.store, changes)
        h = sha256(self.effects)
        for change in changes:
            h.update(change.table.number.to_bytes(1, "little") + change.index.to_bytes(4, "little"))
            h.update(change.data)
        self.effects = h.digest()
        for change in changes:
            change.table.store(change.index, change.data, freeze(change.after) if self.store.strict else change.after)
        self.sequence = sequence
        receipt = Receipt(
            sequence, request.at, instruction.ix, request.signer, None, tx.events, transfers, vaults, tx.limits,
            self.effects.hex(),
        )  # fmt: skip
        return receipt, changes

    def _refused(self, request: Request, tx: Transaction, error: SettlementError) -> Receipt:
        explainers = self._rulebook.explainers if self._rulebook is not None else {}
        message, would_pass, limits = explain(explainers, tx, request.instruction, error)
        refusal = Refusal(error.code.name, int(error.code), message, would_pass)
        self.sequence += 1
        return Receipt(
            self.sequence, request.at, request.instruction.ix, request.signer, refusal, limits=limits,
            effects=self.effects.hex(),
        )  # fmt: skip

    def _rules(self, instruction: Instruction) -> Rulebook:
        if self._rulebook is None:
            if self.store.config.objects:
                self._rulebook = rulebook(self.store.config.objects[0].rulebook)
            elif isinstance(instruction, Initialize):
                return rulebook(instruction.rulebook)
            else:
                raise SettlementError(ErrorCode.InvalidInstruction, "the venue is empty; initialize comes first")
        return self._rulebook


class Venue:
    """A venue in memory. (``Venue.open`` adds the durable journal.)"""

    def __init__(self) -> None:
        self.machine = Machine()

    @property
    def store(self) -> Store:
        """The tables."""
        return self.machine.store

    def apply(
        self, instruction: Instruction, signer: str, at: Clock | int, idempotency_key: str | None = None
    ) -> Receipt:
        """Apply one instruction at a time (a clock, or unix seconds)."""
        clock = at if isinstance(at, Clock) else Clock.at(at)
        return self.apply_many([Request(instruction, signer, clock, idempotency_key)])[0]

    def apply_many(self, requests: Iterable[Request]) -> Sequence[Receipt]:
        """Apply instructions in order."""
        return [self.machine.execute(request)[0] for request in requests]
