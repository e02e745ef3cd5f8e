"""Receipts: what an instruction did, in full, or why it was refused."""

from typing import Any

import msgspec


class Clock(msgspec.Struct, frozen=True, gc=False):
    """The journal's time: unix seconds and slot."""

    unix_timestamp: int
    slot: int

    @staticmethod
    def at(unix_timestamp: int) -> "Clock":
        """A clock whose slots run at the usual 400 ms."""
        return Clock(unix_timestamp, max(0, unix_timestamp) * 5 // 2)


class Transfer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One leg: the change of one claim on a spot market's collateral vault, in tokens.

    The legs of a market sum to the change of its ``spot_vault``. ``account`` is a user account, ``users`` (all that a
    batch settled), a pool (``spot_market.0.revenue_pool``, ``perp_market.1.pnl_pool``, …), ``other_depositors`` or
    ``other_borrowers`` (what spread through an index), or ``dust`` (the vault's surplus over all claims, where
    roundings and leaks end).
    """

    market_index: int
    account: str
    amount: int


class VaultChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The change of a vault's tokens: ``spot_vault`` or ``insurance_fund_vault``."""

    market_index: int
    vault: str
    amount: int


class Limit(msgspec.Struct, frozen=True, gc=False):
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


class Cap(msgspec.Struct, frozen=True, array_like=True):
    """What limited a source: the cap's name and how much it admitted (tokens)."""

    name: str
    value: int


class Source(msgspec.Struct, frozen=True):
    """One source of a waterfall, in tokens: what it held, how much each cap admitted, what it paid, and where to.

    ``paid_to`` is an account as in ``Transfer``; ``dust`` where the program credits the payment to nobody.
    """

    name: str
    held: int
    caps: list[Cap]
    paid: int
    paid_to: str

    @property
    def cap(self) -> Cap | None:
        """The tightest cap: what this source could pay at most."""
        return min(self.caps, key=lambda cap: cap.value, default=None)


class IndexChange(msgspec.Struct, frozen=True, array_like=True):
    """An index that spreads a loss: its name, and its value before and after."""

    name: str
    before: int
    after: int


class EstateStep(msgspec.Struct, frozen=True, array_like=True):
    """What a bankrupt account's own means did before anybody else paid, in quote tokens; Velocity only.

    ``step``: ``recovered`` (another market's pool paid a claim of the account), ``set_off`` (its deposit paid the
    debt), ``forfeited`` (a claim that no pool could pay became that market's pending insurance fee, a counter).
    """

    step: str
    amount: int
    paid_by: str
    paid_to: str


class Waterfall(msgspec.Struct, frozen=True):
    """Who paid for a loss, in tokens of spot market ``market_index``: every source in order, then everybody else.

    ``loss`` = all that the sources paid + ``socialised`` + ``uncovered``. What is socialised is spread through
    ``indices``, which are rounded up: ``rounding`` is the socialised loss less what they take from all bearers together
    (0 or negative). ``engine.attribution`` lists the bearers. ``uncovered`` is borne by nobody yet.
    ``revenue_settled``: revenue that reached the insurance fund first, in the same instruction. Velocity: ``loss`` is
    what the ``estate`` left; ``outcome`` says whether it was ``resolved``, ``covered_by_set_off``, or ``unlatched``:
    the account still has something to seize, and nobody paid.
    """

    kind: str
    market_index: int
    perp_market_index: int | None
    account: str
    loss: int
    revenue_settled: int
    sources: list[Source]
    socialised: int = 0
    uncovered: int = 0
    indices: list[IndexChange] = []
    rounding: int = 0
    estate: list[EstateStep] = []
    outcome: str = "resolved"

    @property
    def paid(self) -> int:
        """What all sources paid."""
        return sum(source.paid for source in self.sources)


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one instruction. ``refusal`` is None if it was carried out, ``waterfall`` if it was no loss."""

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
    waterfall: Waterfall | None = None

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
