"""The form that stakes and unstakes. In development mode it submits; otherwise it shows what to sign and sends that."""

import asyncio
import base64
import binascii
import re
import secrets
import shlex
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from nicegui import ui

from seawall.engine.receipts import Receipt
from seawall.errors import SettlementError
from seawall.instructions.base import Instruction, decode_object, encode, validate
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    InitializeInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
)
from seawall.keys import from_base58, key_from_text
from seawall.ledger.errors import LedgerError
from seawall.service.admission import LONGEST_LIFETIME, check_signature
from seawall.service.dashboard.frame import Look, Panel
from seawall.service.dashboard.journal import outcome_of
from seawall.service.dashboard.markup import Markup, amount, countdown, join, note, pairs, tag, when
from seawall.service.runtime import NotReady
from seawall.signing import NONCE_BYTES, SIGNATURE_BYTES, Proof, signed_message

ACTIONS: Final = {
    "open": "open a stake",
    "add": "stake",
    "request": "ask to unstake",
    "cancel": "take the request back",
    "remove": "be paid out",
}
WITH_AMOUNT: Final = ("add", "request")
ANSWER_WITHIN: Final = 15.0
"""Seconds to wait for a receipt."""

_AMOUNT: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{128}")


def read_amount(given: str, decimals: int) -> int:
    """Tokens as people write them, in base units, exactly; ``ValueError`` says what would pass."""
    written = given.strip().replace(",", "").replace("_", "")
    if not _AMOUNT.fullmatch(written):
        raise ValueError("an amount is a positive number of tokens, like 1250.5")
    whole, _, fraction = written.partition(".")
    digits = fraction.rstrip("0")
    if len(digits) > decimals:
        raise ValueError(f"this token has {decimals} decimals; {given.strip()} has {len(digits)}")
    found = int(f"{whole or '0'}{digits.ljust(decimals, '0')}")
    if found == 0:
        raise ValueError("an amount above zero")
    return found


def read_signature(given: str) -> bytes:
    """A signature of 64 bytes in hexadecimal, base58 or base64; ``ValueError``."""
    written = "".join(given.split())
    if _HEX.fullmatch(written.removeprefix("0x")):
        return bytes.fromhex(written.removeprefix("0x"))
    found = b""
    with suppress(ValueError, binascii.Error):
        found = base64.b64decode(written, validate=True) if "=" in written else from_base58(written)
    if len(found) != SIGNATURE_BYTES:
        raise ValueError("a signature has 64 bytes, in hexadecimal, base58 or base64")
    return found


def instruction_of(action: str, authority: str, market: int, given: str, decimals: int) -> Instruction:
    """The instruction that a form asks for; ``ValueError`` or ``SettlementError`` where it is none."""
    if not authority:
        raise ValueError("whose stake? An authority is missing")
    key_from_text(authority)
    made: Instruction
    if action == "open":
        made = InitializeInsuranceFundStake(authority=authority, market_index=market)
    elif action == "add":
        made = AddInsuranceFundStake(authority=authority, market_index=market, amount=read_amount(given, decimals))
    elif action == "request":
        tokens = read_amount(given, decimals)
        made = RequestRemoveInsuranceFundStake(authority=authority, market_index=market, amount=tokens)
    elif action == "cancel":
        made = CancelRequestRemoveInsuranceFundStake(authority=authority, market_index=market)
    else:
        made = RemoveInsuranceFundStake(authority=authority, market_index=market)
    validate(made)
    return made


class Unsigned(NamedTuple):
    """A request that waits for its signature."""

    instruction: Instruction
    signer: str
    nonce: bytes
    expiry: int
    message: bytes


def prepare(venue_id: bytes | None, instruction: Instruction, signer: str, now: int) -> Unsigned:
    """The message to sign, good for as long as the service admits; ``ValueError`` where nobody can sign it."""
    if venue_id is None:
        raise ValueError("the venue is empty: it has no id to sign for yet")
    if signer.startswith("@"):
        raise ValueError("a label has no secret key: nobody can sign for it. Give a key in base58")
    nonce, expiry = secrets.token_bytes(NONCE_BYTES), now + LONGEST_LIFETIME
    message = signed_message(venue_id, key_from_text(signer), nonce, expiry, None, encode(instruction))
    return Unsigned(instruction, signer, nonce, expiry, message)


def preview(receipt: Receipt, name: str, decimals: int) -> Markup:
    """What would happen: the outcome, and the shares and tokens of the record that it would write."""
    shown = []
    for kind, fields in receipt.events:
        if kind == "InsuranceFundStakeRecord":
            before, after = int(fields["if_shares_before"]), int(fields["if_shares_after"])
            shown = [
                ("tokens", f"{amount(int(fields['amount']), decimals, decimals)} {name}"),
                ("shares", f"{before:,} → {after:,}"),
            ]
    return join((outcome_of(receipt), pairs(shown, "preview") if shown else ""))


def read_proof(given: str, unsigned: Unsigned) -> Proof:
    """The proof that was pasted: the signature of the message shown, or all that ``seawall keys sign`` prints.

    ``ValueError`` where it is neither, or signs something else.
    """
    if not given.strip().startswith("{"):
        return Proof(unsigned.nonce, unsigned.expiry, read_signature(given))
    try:
        body = msgspec.json.decode(given)
        nonce, expiry, signature, signer = (body.pop(name) for name in ("nonce", "expiry", "signature", "signer"))
        # the name of the instruction stands in the address that the body is sent to
        asked = decode_object({"ix": unsigned.instruction.ix, **body})
        proof = Proof(bytes.fromhex(nonce), int(expiry), read_signature(signature))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError, SettlementError) as error:
        raise ValueError(f"that is not what seawall keys sign prints: {error}") from None
    if len(proof.nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    if signer != unsigned.signer or asked != unsigned.instruction:
        raise ValueError("that was signed by another key or for another instruction than the one shown")
    return proof


def to_sign(unsigned: Unsigned, venue_id: bytes, now: int) -> Markup:
    """The exact bytes to sign, and what they stand for."""
    rows = [
        ("instruction", tag("code", encode(unsigned.instruction).decode())),
        ("signer", tag("code", unsigned.signer)),
        ("nonce", tag("code", unsigned.nonce.hex())),
        ("expires", join((f"{when(unsigned.expiry)} UTC ({unsigned.expiry}), in ", countdown(unsigned.expiry, now)))),
        ("message, hexadecimal", tag("code", unsigned.message.hex(), data_figure="message")),
        ("message, base64", tag("code", base64.b64encode(unsigned.message).decode())),
    ]
    remark = note(
        "Sign these bytes with the signer's Ed25519 key, as a wallet signs a message, and paste the signature. "
        "It is good for this request, this venue and this time alone. With a key file, this prints what may be pasted "
        "as it is:"
    )
    asked = shlex.quote(encode(unsigned.instruction).decode())
    command = tag("pre", f"seawall keys sign KEYFILE {asked} --venue {venue_id.hex()}", data_figure="command")
    return join((tag("h3", "What to sign"), pairs(rows, "to-sign"), remark, command))


class StakeForm:
    """The panel with the form."""

    def __init__(
        self,
        look: Look,
        tokens: dict[int, str],
        decimals: dict[int, int],
        authority: ui.input,
        done: Callable[[], Awaitable[None]],
    ) -> None:
        self._look = look
        self._tokens = tokens
        self._decimals = decimals
        self._authority = authority
        self._done = done
        self._unsigned: Unsigned | None = None
        self.panel = panel = Panel("Stake or unstake", "stake-form")
        if not tokens:
            panel.show(tag("p", "no token yet", css="empty"))
            return
        panel.controls.set_visibility(True)
        with panel.controls:
            self._action = ui.select(ACTIONS, label="What", value="add", on_change=self._changed)
            self._market = ui.select(tokens, label="Token", value=next(iter(tokens)))
            for field in (self._action, self._market):
                field.props("dense outlined options-dense")
            self._amount = ui.input("Amount in tokens", placeholder="1250.5").props("dense outlined inputmode=decimal")
            ui.button("Preview", on_click=self._preview).props("outline dense no-caps")
            label = "Submit unsigned" if look.desk.dev else "Show what to sign"
            ui.button(label, on_click=self._submit if look.desk.dev else self._prepare).props(
                "unelevated dense no-caps"
            )
        with panel.box:
            self._signing = ui.element("div")
            self._signing.set_visibility(False)
            with self._signing:
                self._message = ui.html("", sanitize=False)
                with ui.element("div").classes("controls"):
                    self._signature = ui.input("Signature", placeholder="64 bytes, or the output of the command")
                    self._signature.props("dense outlined").classes("wide")
                    ui.button("Send", on_click=self._send).props("unelevated dense no-caps")
        panel.show(note("For the authority above, who signs. ", tag("b", "Preview"), " changes nothing."))

    def _changed(self) -> None:
        self._amount.set_visibility(self._action.value in WITH_AMOUNT)

    # --- what the buttons do ----------------------------------------------------------------------------------

    def _asked(self) -> tuple[Instruction, str]:
        """The instruction of the form and its signer."""
        authority, market = (self._authority.value or "").strip(), int(self._market.value)
        given = self._amount.value or ""
        return instruction_of(self._action.value, authority, market, given, self._decimals[market]), authority

    def _refuse(self, error: object) -> None:
        self.panel.show(tag("p", str(error), css="refused", role="alert"))

    async def _preview(self) -> None:
        service = self._look.desk.service
        try:
            instruction, signer = self._asked()
            receipt = await self._look.desk.run(lambda: service.dry_run(instruction, signer))
        except (ValueError, SettlementError, NotReady, LedgerError) as error:
            self._refuse(error)
            return
        market: Any = self._market.value
        self.panel.show(tag("h3", "Preview"), preview(receipt, self._tokens[market], self._decimals[market]))

    async def _submit(self) -> None:
        # checked here, not only where the button is made: what a browser sends is nobody's word
        if not self._look.desk.dev:
            self._refuse("unsigned requests are taken in development mode only")
            return
        try:
            instruction, signer = self._asked()
        except (ValueError, SettlementError) as error:
            self._refuse(error)
            return
        await self._carry_out(instruction, signer, None)

    async def _prepare(self) -> None:
        service = self._look.desk.service
        self._signing.set_visibility(False)
        self._unsigned = None
        try:
            instruction, signer = self._asked()
            now = service.clock().unix_timestamp
            venue_id = await self._look.desk.run(lambda: service.venue.id)
            unsigned = prepare(venue_id, instruction, signer, now)
            receipt = await self._look.desk.run(lambda: service.dry_run(instruction, signer))
        except (ValueError, SettlementError, NotReady, LedgerError) as error:
            self._refuse(error)
            return
        market: Any = self._market.value
        self._unsigned = unsigned
        self._message.set_content(str(to_sign(unsigned, venue_id or b"", now)))
        self._signature.set_value("")
        self._signing.set_visibility(True)
        self.panel.show(tag("h3", "Preview"), preview(receipt, self._tokens[market], self._decimals[market]))

    async def _send(self) -> None:
        unsigned, service = self._unsigned, self._look.desk.service
        if unsigned is None:
            return
        try:
            proof = read_proof(self._signature.value or "", unsigned)
            await self._look.desk.run(
                lambda: check_signature(service.venue, unsigned.instruction, unsigned.signer, proof, None)
            )
        except (ValueError, SettlementError, NotReady, LedgerError) as error:
            self._refuse(error)
            return
        await self._carry_out(unsigned.instruction, unsigned.signer, proof)

    async def _carry_out(self, instruction: Instruction, signer: str, proof: Proof | None) -> None:
        service = self._look.desk.service
        try:
            future = service.submit(instruction, signer, proof)
            receipt = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), ANSWER_WITHIN)
        except TimeoutError:
            self._refuse(f"no receipt within {ANSWER_WITHIN:.0f} seconds; look into the journal before you try again")
            return
        except (SettlementError, NotReady, LedgerError, RuntimeError) as error:
            self._refuse(error)
            return
        if receipt.ok:
            self._signing.set_visibility(False)
            self._unsigned = None
        self.panel.show(tag("h3", "Receipt"), outcome_of(receipt))
        await self._done()
