"""Public keys: base58 as Solana writes it, and labels."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.keys import DEFAULT_KEY, key_from_text, key_to_text

KNOWN = [
    ("1" * 32, bytes(32)),
    ("1" * 31 + "2", bytes(31) + b"\1"),
    ("So11111111111111111111111111111111111111112", "069b8857feab8184fb687f634618c035dac439dc1aeb3b5598a0f00000000001"),
    ("JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG", "ff" * 32),
]


@pytest.mark.parametrize(("text", "data"), KNOWN)
def test_known_keys(text: str, data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else bytes.fromhex(data)
    assert key_from_text(text) == raw
    assert key_to_text(raw) == text


def test_the_default_key_is_all_zeros() -> None:
    assert key_to_text(DEFAULT_KEY) == "1" * 32


@given(st.binary(min_size=32, max_size=32) | st.integers(0, 2**64).map(lambda n: n.to_bytes(32, "big")))
def test_text_and_bytes_are_each_others_inverse(data: bytes) -> None:
    """Every key has one text and comes back from it, leading zeros included."""
    assert key_from_text(key_to_text(data)) == data


def test_a_label_stands_for_the_hash_of_its_name() -> None:
    assert key_from_text("@alice") == sha256(b"seawall label alice").digest()
    assert key_from_text("@alice") != key_from_text("@Alice")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@", "a label needs a name"),
        ("", "it has 0 bytes instead of 32"),
        ("abc", "it has 3 bytes|it has 2 bytes"),
        ("1" * 33, "it has 33 bytes instead of 32"),
        ("0" * 32, "'0' is not in its alphabet"),
        ("So1111111111111111111111111111111111111111I", "'I' is not in its alphabet"),
        (" " + "1" * 32, "' ' is not in its alphabet"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        key_from_text(text)
