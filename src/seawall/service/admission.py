"""Who may be let in: signatures, their expiry, and that none is used twice.

A proof is good for one request, for at most ``LONGEST_LIFETIME`` seconds. Used nonces are remembered until they would
have expired; after a restart they are read back from the journal, so that a replay finds the door shut whatever
happened in between.
"""

from typing import Final

from seawall.engine.transaction import signer_key
from seawall.engine.venue import Venue
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, encode
from seawall.ledger.journal import Journal
from seawall.signing import Proof, unpack_proof, verify

LONGEST_LIFETIME: Final = 600
"""Seconds that an expiry may lie ahead."""


def check_signature(
    venue: Venue, instruction: Instruction, signer: str, proof: Proof, idempotency_key: str | None
) -> None:
    """``SignatureInvalid`` unless the signer signed exactly this request for this venue."""
    venue_id = venue.id
    if venue_id is None:
        raise SettlementError(ErrorCode.SignatureInvalid, "the venue is empty: it has no id to sign for yet")
    if signer.startswith("@") or not verify(signer_key(signer), venue_id, proof, idempotency_key, encode(instruction)):
        raise SettlementError(
            ErrorCode.SignatureInvalid,
            f"{signer} did not sign this request for this venue",
            "an Ed25519 signature by that key over the message that GET /v1/venue describes",
        )


class Nonces:
    """The proofs that were used and have not expired."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, bytes], int] = {}
        self._swept = 0

    def recall(self, journal: Journal, now: int) -> None:
        """Read the used nonces back from the entries of the last ``LONGEST_LIFETIME`` seconds before ``now``."""
        for entry in journal.entries(_last_before(journal, now - LONGEST_LIFETIME)):
            if entry.signature:
                self.add(entry.signer, unpack_proof(entry.signature))

    def check(self, signer: str, proof: Proof, now: int) -> None:
        """``SignatureExpired``, or ``SignatureReplayed`` for a proof that was used before."""
        if not now <= proof.expiry <= now + LONGEST_LIFETIME:
            raise SettlementError(
                ErrorCode.SignatureExpired,
                f"the expiry {proof.expiry} is not within {LONGEST_LIFETIME} seconds from now ({now})",
                f"an expiry from {now} to {now + LONGEST_LIFETIME}, signed anew",
            )
        if (signer, proof.nonce) in self._used:
            raise SettlementError(
                ErrorCode.SignatureReplayed,
                f"{signer} used the nonce {proof.nonce.hex()} before",
                "a fresh nonce, signed anew; a repeated request with its Idempotency-Key gets the first receipt",
            )

    def add(self, signer: str, proof: Proof) -> None:
        """Remember a proof that was used."""
        self._used[signer, proof.nonce] = proof.expiry

    def forget(self, now: int) -> None:
        """Drop what has expired, at most once a minute."""
        if now - self._swept >= 60:
            self._swept = now
            self._used = {at: expiry for at, expiry in self._used.items() if expiry >= now}


def _last_before(journal: Journal, unix_timestamp: int) -> int:
    """The last sequence number before a time, found by halving."""
    low, high = 0, journal.tip().sequence
    while low < high:
        middle = (low + high + 1) // 2
        entry = journal.entry(middle)
        if entry is not None and entry.unix_timestamp < unix_timestamp:
            low = middle
        else:
            high = middle - 1
    return low
