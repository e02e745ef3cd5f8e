"""Public keys: 32 bytes, written in base58 as Solana wallets write them, or as a readable ``@label``.

A label such as ``@alice`` stands for the SHA-256 of its name: nobody can sign for it, which makes it right for
scenarios, instruction files and tests, and useless for theft.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

KEY_BYTES: Final = 32
DEFAULT_KEY: Final = bytes(KEY_BYTES)
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGIT: Final = {c: i for i, c in enumerate(_ALPHABET)}


@lru_cache(maxsize=65_536)
def key_from_text(text: str) -> bytes:
    """The 32 bytes of a base58 key or an ``@label``; ``ValueError`` with the reason otherwise."""
    if text.startswith("@"):
        if len(text) < 2:
            raise ValueError("a label needs a name after '@'")
        return sha256(b"seawall label " + text[1:].encode()).digest()
    number = 0
    for c in text:
        if c not in _DIGIT:
            raise ValueError(f"{text!r} is no base58 key: {c!r} is not in its alphabet")
        number = number * 58 + _DIGIT[c]
    zeros = len(text) - len(text.lstrip("1"))
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if zeros + len(body) != KEY_BYTES:
        raise ValueError(f"{text!r} is no key: it has {zeros + len(body)} bytes instead of {KEY_BYTES}")
    return bytes(zeros) + body


_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
_TEN_DIGITS: Final = 58**10


@lru_cache(maxsize=65_536)
def key_to_text(data: bytes) -> str:
    """Base58 of a key."""
    number = int.from_bytes(data, "big")
    digits = ""
    # ten digits at a time, looked up in pairs: small divisions instead of 44 wide ones
    while number:
        number, ten = divmod(number, _TEN_DIGITS)
        for _ in range(5):
            ten, pair = divmod(ten, 3364)
            digits = _PAIRS[pair] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + digits.lstrip("1")
