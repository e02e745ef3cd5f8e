"""What goes out: records, receipts and answers as JSON data, integers as decimal strings with display amounts."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from seawall.engine.receipts import Limit, Receipt
from seawall.engine.store import Store
from seawall.keys import base58, key_to_text
from seawall.ledger.journal import Entry
from seawall.records import Record
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount
from seawall.service.units import LIMITS, Units
from seawall.signing import unpack_proof
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import PerpPosition, SpotPosition

MARKETS: Final = ("market_index", "spot_market_index", "perp_market_index")


def plain(value: Any, units: Units, market: int | None = None) -> Any:
    """A struct, or data that holds some, as JSON data: integers as decimal strings, ``display`` beside amounts."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(item, units, market) for name, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return _struct(value, units, market)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named(type(value).__name__, zip(value._fields, value, strict=True), units, market)
    if isinstance(value, list | tuple):
        return [plain(item, units, market) for item in value]
    if isinstance(value, bytes):
        return key_to_text(value) if len(value) == 32 else value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _struct(value: msgspec.Struct, units: Units, market: int | None) -> dict[str, Any]:
    fields = [(name, getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, Limit):
        return _limit(value, units, market)
    return _named(type(value).__name__, fields, units, market)


def _limit(limit: Limit, units: Units, market: int | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": limit.name, "value": str(limit.value), "asked": str(limit.asked), "note": limit.note,
    }  # fmt: skip
    of = LIMITS.get(limit.name, "")
    shown = {"value": units.show(of, limit.value, market), "asked": units.show(of, limit.asked, market)}
    if shown["value"] is not None:
        data["display"] = {name: text for name, text in shown.items() if text is not None}
    return data


def _named(owner: str, fields: Any, units: Units, market: int | None) -> dict[str, Any]:
    pairs = list(fields)
    for name, item in pairs:
        if name in MARKETS and type(item) is int:
            market = item
            break
    shown = units.beside(owner, pairs, market)
    data = {name: plain(item, units, market) for name, item in pairs}
    if shown:
        data["display"] = shown
    return data


def receipt_data(receipt: Receipt, units: Units) -> dict[str, Any]:
    """A receipt in full."""
    data: dict[str, Any] = {
        "sequence": str(receipt.sequence),
        "unix_timestamp": str(receipt.clock.unix_timestamp),
        "slot": str(receipt.clock.slot),
        "ix": receipt.ix,
        "signer": receipt.signer,
        "ok": receipt.ok,
        "refusal": None if receipt.refusal is None else plain(receipt.refusal, units),
        "events": [{"name": name, "fields": _event(fields, units)} for name, fields in receipt.events],
        "transfers": [plain(transfer, units) for transfer in receipt.transfers],
        "vaults": [plain(change, units) for change in receipt.vaults],
        "limits": [plain(limit, units) for limit in receipt.limits],
        "waterfall": None if receipt.waterfall is None else plain(receipt.waterfall, units),
        "effects": receipt.effects,
    }
    shown = units.show("time", receipt.clock.unix_timestamp, None)
    if shown is not None:
        data["display"] = {"unix_timestamp": shown}
    return data


def _event(fields: Mapping[str, Any], units: Units) -> dict[str, Any]:
    return _named("event", fields.items(), units, None)


def entry_data(entry: Entry) -> dict[str, Any]:
    """A journal entry, everything that its hash covers; instruction and outcome exactly as they are stored."""
    proof = unpack_proof(entry.signature) if entry.signature else None
    return {
        "sequence": str(entry.sequence),
        "unix_timestamp": str(entry.unix_timestamp),
        "slot": str(entry.slot),
        "signer": entry.signer,
        "nonce": None if proof is None else proof.nonce.hex(),
        "expiry": None if proof is None else str(proof.expiry),
        "signature": None if proof is None else base58(proof.signature),
        "idempotency_key": entry.idempotency_key,
        "instruction": entry.instruction.decode(),
        "outcome": entry.outcome.decode(),
        "hash": entry.hash.hex(),
    }


# --- records ---------------------------------------------------------------------------------------------------


def record_data(item: Record, store: Store, units: Units, market: int | None = None) -> dict[str, Any]:
    """A record of the state; ``market``: the market that it belongs to, where it does not say so itself."""
    market = getattr(item, "market_index", market)
    data: dict[str, Any] = {}
    integers: list[tuple[str, int]] = []
    for f in item.LAYOUT.fields:
        value = getattr(item, f.name)
        if f.kind == "record":
            data[f.name] = record_data(value, store, units, market)
        elif f.kind == "array":
            data[f.name] = [record_data(element, store, units, market) for element in value]
        elif f.kind == "enum":
            assert f.enum is not None
            data[f.name] = f.enum(value).name
        elif f.kind == "key":
            data[f.name] = key_to_text(value)
        elif f.kind == "keys":
            data[f.name] = [key_to_text(key) for key in value]
        elif f.kind == "int":
            data[f.name] = str(value)
            integers.append((f.name, value))
        else:
            data[f.name] = value
    owner = type(item).__name__.removeprefix("Frozen")
    shown = units.beside(owner, integers, market, _balances(item, store, units))
    if shown:
        data["display"] = shown
    return data


def _balances(item: Record, store: Store, units: Units) -> dict[str, str]:
    """What the scaled balances of a record are in tokens at the stored interest."""
    markets = store.spot_markets.objects
    found: dict[str, tuple[int, int]] = {}
    if isinstance(item, PoolBalance) and item.market_index < len(markets):
        tokens = get_token_amount(item.scaled_balance, markets[item.market_index], DEPOSIT)
        found["scaled_balance"] = tokens, item.market_index
    elif isinstance(item, SpotPosition) and item.market_index < len(markets):
        tokens = get_token_amount(item.scaled_balance, markets[item.market_index], item.balance_type)
        found["scaled_balance"] = get_signed_token_amount(tokens, item.balance_type), item.market_index
    elif isinstance(item, PerpPosition) and markets:
        tokens = get_token_amount(item.isolated_position_scaled_balance, markets[0], DEPOSIT)
        found["isolated_position_scaled_balance"] = tokens, 0
    elif isinstance(item, SpotMarket):
        found["deposit_balance"] = get_token_amount(item.deposit_balance, item, DEPOSIT), item.market_index
        found["borrow_balance"] = get_token_amount(item.borrow_balance, item, BORROW), item.market_index
    texts = {name: units.show("token", tokens, index) for name, (tokens, index) in found.items()}
    return {name: text for name, text in texts.items() if text is not None}
