"""A keeper in the service's own process: it looks through the venue, and signs what it sends like everybody else."""

import os
import threading
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotInTime
from typing import Final, TypeVar

import msgspec

from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, encode
from seawall.keeper.port import Question, Unreachable
from seawall.keeper.runner import Keeper, KeeperSettings
from seawall.keeper.status import KeeperStatus
from seawall.keys import base58
from seawall.ledger.errors import LedgerError
from seawall.ledger.journal import Tip
from seawall.service.runtime import NotReady, Service
from seawall.signing import NONCE_BYTES, Proof, public_key, sign

A = TypeVar("A", bound=msgspec.Struct)

PATIENCE: Final = 60.0
"""Seconds in which an instruction becomes durable, or the keeper goes on without its receipt."""

PROOF_LIFETIME: Final = 60


class EmbeddedPort:
    """The service as a keeper reaches it. ``secret``: the key it signs with; None: unsigned, as ``label``."""

    def __init__(self, service: Service, secret: bytes | None, label: str) -> None:
        self._service = service
        self._secret = secret
        self._signer = label if secret is None else base58(public_key(secret))

    @property
    def signer(self) -> str:
        """The keeper's key in base58, or its label."""
        return self._signer

    def clock(self) -> Clock:
        """The time that an instruction would get now; ``Unreachable``."""
        try:
            return self._service.clock()
        except NotReady as error:
            raise Unreachable(str(error)) from None

    def look(self, question: Question[A]) -> A:
        """Copy under the venue's lock, answer without it; ``Unreachable``."""
        clocks: list[Clock] = []

        def take(store: Store, tip: Tip) -> object:
            clocks.append(self._service.time_at(tip))
            return question.take(store, clocks[0])

        try:
            taken = self._service.look(take)
        except (NotReady, LedgerError) as error:
            raise Unreachable(str(error)) from None
        return question.answer(taken, clocks[0])

    def dry_run(self, instruction: Instruction) -> Receipt:
        """The receipt that ``submit`` would get now; ``Unreachable``."""
        try:
            return self._service.dry_run(instruction, self._signer)
        except (NotReady, LedgerError) as error:
            raise Unreachable(str(error)) from None

    def submit(self, instruction: Instruction) -> Receipt:
        """Have an instruction carried out; its receipt, once it is durable. ``Unreachable``."""
        try:
            future = self._service.submit(instruction, self._signer, self._proof(instruction))
            return future.result(PATIENCE)
        except SettlementError as error:
            if error.code != ErrorCode.VenueBusy:
                raise
            raise Unreachable(str(error)) from None
        except (NotReady, LedgerError, CancelledError) as error:
            raise Unreachable(str(error)) from None
        except NotInTime:
            raise Unreachable(f"{instruction.ix} did not become durable within {PATIENCE:.0f} seconds") from None

    def _proof(self, instruction: Instruction) -> Proof | None:
        venue_id = self._service.venue.id
        if self._secret is None or venue_id is None:
            return None
        expiry = self._service.clock().unix_timestamp + PROOF_LIFETIME
        return sign(self._secret, venue_id, os.urandom(NONCE_BYTES), expiry, None, encode(instruction))


class EmbeddedKeeper:
    """A keeper in a thread of its own."""

    def __init__(self, port: EmbeddedPort, settings: KeeperSettings) -> None:
        self._keeper = Keeper(port, settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keeper.run, args=(self._stop,), name="seawall-keeper", daemon=True)

    def start(self) -> None:
        """Begin to crank."""
        self._thread.start()

    def status(self) -> KeeperStatus:
        """What it did, skipped and will do."""
        return self._keeper.status()

    def stop(self) -> None:
        """End it; returns when it has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


def start_keeper(service: Service, settings: KeeperSettings | None = None) -> EmbeddedKeeper:
    """Crank a service's venue in a thread of its own: as the key it was given, in development mode also as a label.

    ``ValueError`` where it has neither: nothing enters the journal of such a venue unsigned.
    """
    told = service.settings
    if told.keeper_key is None and not told.dev:
        raise ValueError("a keeper signs what it sends: it needs a key, unless the service is in development mode")
    keeper = EmbeddedKeeper(EmbeddedPort(service, told.keeper_key, told.keeper_label), settings or KeeperSettings())
    keeper.start()
    return keeper
