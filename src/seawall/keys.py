"""Public keys: 32 bytes, written in base58 as Solana wallets write them, or as a readable ``@label``.

A label such as ``@alice`` stands for the SHA-256 of its name: nobody can sign for it, which makes it right for
scenarios, instruction files and tests, and useless for theft.
"""

from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final

KEY_BYTES: Final = 32
DEFAULT_KEY: Final = bytes(KEY_BYTES)
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_REMEMBERED: Final = 65_536
"""Keys whose texts are kept, of either kind."""

_LONGEST: Final = 44
"""Digits of the largest key."""

_NO_DIGIT: Final = 255
_DIGIT: Final = bytes(_ALPHABET.index(c) if (c := chr(i)) in _ALPHABET else _NO_DIGIT for i in range(256))

# two digits at a time: their value by the number that their two bytes make, and their text by their value
_PAIR_VALUES: Final = [high * 58 + low for high in range(58) for low in range(256)]
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_PAIR: Final = 58**2
_FOUR: Final = 58**4
_read_pairs: Final = Struct(f">{_LONGEST // 2}H").unpack


@lru_cache(maxsize=_REMEMBERED)
def key_from_text(text: str) -> bytes:
    """The 32 bytes of a base58 key or an ``@label``; ``ValueError`` with the reason otherwise."""
    if text.startswith("@"):
        if len(text) < 2:
            raise ValueError("a label needs a name after '@'")
        return sha256(b"seawall label " + text[1:].encode()).digest()
    digits = text.encode().translate(_DIGIT)
    if _NO_DIGIT in digits:
        wrong = next(c for c in text if c not in _ALPHABET)
        raise ValueError(f"{text!r} is no base58 key: {wrong!r} is not in its alphabet")
    if len(digits) > _LONGEST:
        raise ValueError(f"{text!r} is no key: it has more than {KEY_BYTES} bytes")
    number = 0
    for pair in _read_pairs(digits.rjust(_LONGEST, b"\0")):
        number = number * _PAIR + _PAIR_VALUES[pair]
    zeros = len(text) - len(text.lstrip("1"))
    size = zeros + (number.bit_length() + 7) // 8
    if size != KEY_BYTES:
        raise ValueError(f"{text!r} is no key: it has {size} bytes instead of {KEY_BYTES}")
    key = number.to_bytes(KEY_BYTES, "big")
    _remember(key, text)
    return key


def key_to_text(data: bytes) -> str:
    """Base58 of a key."""
    text = _texts.get(data)
    if text is None:
        text = base58(data)
        _remember(data, text)
    return text


_texts: Final[dict[bytes, str]] = {}
"""The texts of the keys that were read or written lately: who is named in an instruction is named in its receipt."""


def _remember(data: bytes, text: str) -> None:
    if len(_texts) >= _REMEMBERED:
        _texts.clear()
    _texts[data] = text


def from_base58(text: str) -> bytes:
    """Any number of bytes from base58; ``ValueError`` for another digit."""
    number = 0
    for digit in text.encode().translate(_DIGIT):
        if digit == _NO_DIGIT:
            raise ValueError(f"{text!r} is not base58")
        number = number * 58 + digit
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body


def base58(data: bytes) -> str:
    """Any number of bytes in base58."""
    number = int.from_bytes(data, "big")
    pairs: list[str] = []
    while number:
        # four digits at a time: what divides by less than 2^30 is fast
        number, four = divmod(number, _FOUR)
        pairs.append(_PAIRS[four % _PAIR])
        pairs.append(_PAIRS[four // _PAIR])
    pairs.reverse()
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(pairs).lstrip("1")
