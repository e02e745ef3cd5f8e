"""Receipts: what an instruction did, in full, or why it was refused."""

from typing import Any

import msgspec


class Clock(msgspec.Struct, frozen=True):
    """The journal's time: unix seconds and slot."""

    unix_timestamp: int
    slot: int

    @staticmethod
    def at(unix_timestamp: int) -> "Clock":
        """A clock whose slots run at the usual 400 ms."""
        return Clock(unix_timestamp, max(0, unix_timestamp) * 5 // 2)


class Transfer(msgspec.Struct, frozen=True, array_like=True):
    """One leg: the change of one claim on a spot market's collateral vault, in tokens.

    The legs of a market sum to the change of its ``spot_vault``. ``account`` is a user account, a pool
    (``spot_market.0.revenue_pool``, ``perp_market.1.pnl_pool``, …), ``other_depositors`` or ``other_borrowers`` (what
    spread through an index), or ``dust`` (the vault's surplus over all claims, where roundings and leaks end).
    """

    market_index: int
    account: str
    amount: int


class VaultChange(msgspec.Struct, frozen=True, array_like=True):
    """The change of a vault's tokens: ``spot_vault`` or ``insurance_fund_vault``."""

    market_index: int
    vault: str
    amount: int


class Limit(msgspec.Struct, frozen=True):
    """A cap that bound or refused: its name, its value, what was asked, and a sentence with what would change it."""

    name: str
    value: int
    asked: int
    note: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why an instruction was refused: the program's error name and code, what it means here, what would pass."""

    error: str
    code: int
    message: str
    would_pass: str = ""


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one instruction. ``refusal`` is None when it was carried out."""

    sequence: int
    clock: Clock
    ix: str
    signer: str
    refusal: Refusal | None = None
    events: list[tuple[str, dict[str, Any]]] = []
    transfers: list[Transfer] = []
    vaults: list[VaultChange] = []
    limits: list[Limit] = []
    effects: str = ""

    @property
    def ok(self) -> bool:
        """Whether the instruction was carried out."""
        return self.refusal is None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt as JSON, integers as numbers of any size."""
    return _encoder.encode(receipt)


def decode_receipt(data: bytes) -> Receipt:
    """Read a receipt back."""
    return _decoder.decode(data)
