"""What a keeper needs of a venue, whether it runs in the venue's process or talks to it over HTTP."""

from typing import Any, Protocol, TypeVar

import msgspec

from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.instructions.base import Instruction

A = TypeVar("A", bound=msgspec.Struct)
_Answered = TypeVar("_Answered", bound=msgspec.Struct, covariant=True)


class Question(Protocol[_Answered]):
    """Something that a keeper wants to know: a plain struct, so that it can be asked over HTTP too.

    ``take`` copies what the answer needs while nothing changes the venue, and returns quickly; ``answer`` works on the
    copy while the venue goes on.
    """

    def take(self, store: Store, clock: Clock) -> Any:
        """Copy what ``answer`` needs."""
        ...

    def answer(self, taken: Any, clock: Clock) -> _Answered:
        """The answer as of the copy."""
        ...


class Port(Protocol):
    """A venue as a keeper reaches it; everything it does there it does as ``signer``."""

    @property
    def signer(self) -> str:
        """The keeper's key in base58, or its label."""
        ...

    def clock(self) -> Clock:
        """The time that an instruction would get now."""
        ...

    def look(self, question: Question[A]) -> A:
        """The answer to a question about the durable state of now."""
        ...

    def dry_run(self, instruction: Instruction) -> Receipt:
        """The receipt that ``submit`` would get now; changes nothing."""
        ...

    def submit(self, instruction: Instruction) -> Receipt:
        """Have an instruction carried out; its receipt, once it is durable."""
        ...


class Unreachable(Exception):
    """The venue cannot be reached at the moment, or takes nothing; the message says why. It is tried again."""
