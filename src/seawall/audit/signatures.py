"""Who asked for what: every signature that a journal keeps is checked again, against its venue and its signer.

An entry without one was given to the venue by its own process (a command, a test, a service in development mode); how
many there are is told, and they are no finding.
"""

from seawall.engine.transaction import signer_key
from seawall.errors import SettlementError
from seawall.ledger.journal import Entry
from seawall.signing import unpack_proof, verify


class Signatures:
    """The signatures of a journal's entries, added in order from the first."""

    def __init__(self) -> None:
        self.checked = 0
        self.unsigned = 0
        self.findings: list[str] = []
        self._venue_id = b""
        self._nonces: dict[tuple[str, bytes], int] = {}

    def add(self, entry: Entry) -> None:
        """Check one entry; what is wrong with it becomes a finding."""
        if entry.sequence == 1:
            self._venue_id = entry.hash
        if not entry.signature:
            self.unsigned += 1
            return
        self.checked += 1
        problem = self._problem(entry)
        if problem is not None:
            self.findings.append(f"entry {entry.sequence}: {problem}")

    def _problem(self, entry: Entry) -> str | None:
        try:
            proof, signer = unpack_proof(entry.signature), signer_key(entry.signer)
        except (ValueError, SettlementError) as error:
            return f"its signature cannot be read ({error})"
        if not verify(signer, self._venue_id, proof, entry.idempotency_key, entry.instruction):
            return f"{entry.signer} did not sign it"
        if proof.expiry < entry.unix_timestamp:
            return f"its signature had expired at {proof.expiry}, before it was carried out at {entry.unix_timestamp}"
        first = self._nonces.setdefault((entry.signer, proof.nonce), entry.sequence)
        if first != entry.sequence:
            return f"its signature was used before, by entry {first}"
        return None
