"""Signed requests: what is signed, how it is kept in the journal, and how it is checked again.

An Ed25519 signature covers the venue, the signer, a nonce, an expiry, the idempotency key and the instruction in its
one canonical encoding, so that a signature given for one venue, one request and one time is good for nothing else.
Keys are 32 bytes, written in base58 as Solana wallets write them. The journal keeps nonce, expiry and signature
beside the instruction; ``verify`` needs nothing but the entry and the venue's id to check it years later.

The ``cryptography`` package is imported when the first signature is made or checked.
"""

from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from seawall.keys import base58, from_base58

NONCE_BYTES: Final = 16
SIGNATURE_BYTES: Final = 64
_PURPOSE: Final = b"seawall signed request 1\n"
_KEPT: Final = Struct(f"<{NONCE_BYTES}sq{SIGNATURE_BYTES}s")
_LENGTHS: Final = Struct("<qii")


class Proof(NamedTuple):
    """What proves that a signer asked for an instruction: the nonce, the expiry (unix seconds) and the signature."""

    nonce: bytes
    expiry: int
    signature: bytes

    def packed(self) -> bytes:
        """The proof as the journal keeps it."""
        return _KEPT.pack(self.nonce, self.expiry, self.signature)


def unpack_proof(data: bytes) -> Proof:
    """A proof as the journal keeps it; ``ValueError`` where it has another length."""
    if len(data) != _KEPT.size:
        raise ValueError(f"a proof has {_KEPT.size} bytes, not {len(data)}")
    return Proof(*_KEPT.unpack(data))


def signed_message(
    venue_id: bytes, signer: bytes, nonce: bytes, expiry: int, idempotency_key: str | None, instruction: bytes
) -> bytes:
    """The bytes that are signed. ``instruction`` is its canonical JSON, as ``instructions.base.encode`` writes it.

    Every part has a fixed length or its length in front; a missing idempotency key has the length −1.
    """
    if len(venue_id) != 32 or len(signer) != 32 or len(nonce) != NONCE_BYTES:
        raise ValueError(f"venue id and signer have 32 bytes, a nonce {NONCE_BYTES}")
    key = b"" if idempotency_key is None else idempotency_key.encode()
    lengths = _LENGTHS.pack(expiry, -1 if idempotency_key is None else len(key), len(instruction))
    return b"".join((_PURPOSE, venue_id, signer, nonce, lengths, key, sha256(instruction).digest()))


def sign(
    secret: bytes,
    venue_id: bytes,
    nonce: bytes,
    expiry: int,
    idempotency_key: str | None,
    instruction: bytes,
) -> Proof:
    """Sign a request with a secret key (32 bytes)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(secret)
    public = key.public_key().public_bytes_raw()
    message = signed_message(venue_id, public, nonce, expiry, idempotency_key, instruction)
    return Proof(nonce, expiry, key.sign(message))


def verify(signer: bytes, venue_id: bytes, proof: Proof, idempotency_key: str | None, instruction: bytes) -> bool:
    """Whether ``signer`` (32 bytes) signed this request for this venue. Expiry and replay are the caller's to judge."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = signed_message(venue_id, signer, proof.nonce, proof.expiry, idempotency_key, instruction)
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(proof.signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def new_secret() -> bytes:
    """A fresh secret key, 32 bytes from the operating system's random source."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key(secret: bytes) -> bytes:
    """The public key of a secret key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def secret_to_text(secret: bytes) -> str:
    """A secret key with its public key behind it in base58, the form in which Solana wallets export theirs."""
    return base58(secret + public_key(secret))


def secret_from_text(text: str) -> bytes:
    """The secret key of a wallet's export (64 bytes in base58); ``ValueError`` where the two halves do not belong."""
    data = from_base58(text.strip())
    if len(data) != 64 or public_key(data[:32]) != data[32:]:
        raise ValueError("not a secret key as Solana wallets export it: 64 bytes in base58, secret then public")
    return data[:32]
