"""What all instructions share: the tag, the wire format, the check of widths.

An instruction is a frozen msgspec struct. Its fields are annotated with the widths of ``records`` (``u64``, ``i64``,
…), which both document them and are checked when it is decoded or applied: a negative amount or one beyond its width
never reaches a rule. On the wire integers are numbers or decimal strings.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_from_text
from seawall.records import Width

Key = Annotated[str, "key"]
"""A public key as base58 or ``@label``."""

UserRef = Annotated[str, "user"]
"""A user account: ``<authority>/<sub-account>``; without the number it is sub-account 0."""


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Instruction(msgspec.Struct, frozen=True, kw_only=True, tag_field="ix", tag=_snake, forbid_unknown_fields=True):
    """Base of all instructions."""

    @property
    def ix(self) -> str:
        """The instruction's name on the wire, e.g. ``deposit``."""
        return _snake(type(self).__name__)


_types: dict[str, type[Instruction]] = {}


def instruction_types() -> dict[str, type[Instruction]]:
    """Every instruction by its wire name."""
    subclasses = Instruction.__subclasses__()
    if len(_types) != len(subclasses):
        _types.update((_snake(cls.__name__), cls) for cls in subclasses)
    return _types


@lru_cache(maxsize=1)
def _union() -> Any:
    return Union[tuple(Instruction.__subclasses__())]  # noqa: UP007 - built at run time


def _invalid(message: str) -> SettlementError:
    return SettlementError(ErrorCode.InvalidInstruction, message)


def decode(data: bytes | str) -> Instruction:
    """Read an instruction from JSON text; ``InvalidInstruction`` says what is wrong with it."""
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"not JSON: {error}") from None
    return decode_object(raw)


def decode_object(raw: Any) -> Instruction:
    """Read an instruction from decoded JSON data and check its fields."""
    if not isinstance(raw, dict):
        raise _invalid("an instruction is a JSON object with a field 'ix'")
    name = raw.get("ix")
    if name is None:
        raise _invalid("the field 'ix' with the instruction's name is missing")
    canonical = DOCUMENT_NAMES.get(name, name) if isinstance(name, str) else ""
    if canonical not in instruction_types():
        raise _invalid(f"unknown instruction {name!r}")
    given = _with_integers(_renamed({**raw, "ix": canonical}), instruction_types()[canonical])
    try:
        # strict, so that no number with a fraction or an exponent, which JSON rounds, passes for an integer
        instruction = msgspec.convert(given, _union())
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    assert isinstance(instruction, Instruction)
    validate(instruction)
    return instruction


DOCUMENT_NAMES = {
    "liquidate_borrow": "liquidate_spot",
    "resolve_borrow_bankruptcy": "resolve_spot_bankruptcy",
}
"""Names that the documents use for instructions of the programs (spec/README, «Names that differ»)."""

DOCUMENT_FIELDS = {
    "liquidation_if_factor": "if_liquidation_fee",
    "unrealized_pnl_max_imbalance": "unrealized_max_imbalance",
}
"""Names that the documents, or the program's own state, use for arguments of the programs' instructions."""


def _renamed(raw: dict[str, Any]) -> dict[str, Any]:
    """``raw`` with the documents' field names replaced, where the instruction has the program's name for them."""
    if DOCUMENT_FIELDS.keys().isdisjoint(raw):
        return raw
    fields = instruction_types()[raw["ix"]].__struct_fields__
    known = {old: new for old, new in DOCUMENT_FIELDS.items() if new in fields}
    return {known.get(name, name): value for name, value in raw.items()}


# --- decimal strings -------------------------------------------------------------------------------------------

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,99})")
_Reader = Callable[[Any], Any]


def _with_integers(raw: dict[str, Any], cls: type[msgspec.Struct]) -> dict[str, Any]:
    """``raw`` with the decimal strings read as integers wherever the struct has an integer."""
    readers = _readers(cls)
    return {name: readers[name](value) if name in readers else value for name, value in raw.items()}


@cache
def _readers(cls: type[msgspec.Struct]) -> dict[str, _Reader]:
    hints = get_type_hints(cls, include_extras=True)
    found = {name: _reader(hints[name]) for name in cls.__struct_fields__}
    return {name: reader for name, reader in found.items() if reader is not None}


def _reader(hint: Any) -> _Reader | None:
    """How decimal strings in a value of a declared type are read; None where it holds no integers."""
    if get_origin(hint) is Annotated:
        return read_integer if isinstance(get_args(hint)[1], Width) else None
    if get_origin(hint) is list:
        inner = _reader(get_args(hint)[0])
        return None if inner is None else partial(_each, inner)
    structs = [cls for cls in (hint, *get_args(hint)) if isinstance(cls, type) and issubclass(cls, msgspec.Struct)]
    if structs:
        return partial(_struct, structs)
    return next((reader for option in get_args(hint) if (reader := _reader(option)) is not None), None)


def read_integer(value: Any) -> Any:
    """A decimal string as the integer that it stands for; anything else as it is."""
    return int(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


def _each(inner: _Reader, value: Any) -> Any:
    return [inner(item) for item in value] if isinstance(value, list) else value


def _struct(structs: list[type[msgspec.Struct]], value: Any) -> Any:
    for cls in structs if isinstance(value, dict) else ():
        config = cls.__struct_config__
        if config.tag_field is None or value.get(config.tag_field) == config.tag:
            return _with_integers(value, cls)
    return value


# --- the canonical form ----------------------------------------------------------------------------------------


def encode(instruction: Instruction) -> bytes:
    """The instruction as canonical JSON: fields in declared order, integers as numbers of any size."""
    return msgspec.json.encode(instruction)


@lru_cache(maxsize=1)
def _canonical() -> "msgspec.json.Decoder[Instruction]":
    return msgspec.json.Decoder(_union())


def decode_canonical(data: bytes) -> Instruction:
    """Read back what ``encode`` wrote, with exact types; ``InvalidInstruction``. Widths are not checked here."""
    try:
        return _canonical().decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(str(error)) from None


# --- field checks ----------------------------------------------------------------------------------------------


@cache
def _checks(cls: type) -> list[tuple[str, int, int, Any]]:
    """What is checked of each field: the bounds of an integer's width, or another mark (then the bounds are 0)."""
    checks: list[tuple[str, int, int, Any]] = []
    hints = get_type_hints(cls, include_extras=True)
    for name in cls.__struct_fields__:  # type: ignore[attr-defined]
        mark = _mark(hints[name])
        if isinstance(mark, Width):
            checks.append((name, mark.minimum, mark.maximum, mark))
        elif mark is not None:
            checks.append((name, 0, 0, mark))
    return checks


def _mark(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return get_args(hint)[1]
    if get_origin(hint) is list:
        inner = _mark(get_args(hint)[0])
        return ("list", inner) if inner is not None else None
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "struct"
    for option in get_args(hint):
        found = _mark(option)
        if found is not None:
            return found
    return None


def validate(instruction: msgspec.Struct, prefix: str = "") -> None:
    """Check every field against its declared width; ``InvalidInstruction`` names the field and what would pass."""
    for name, low, high, mark in _checks(type(instruction)):
        value = getattr(instruction, name)
        if low == high or value is None or not low <= value <= high:
            _check(f"{prefix}{name}", mark, value)


def _check(name: str, mark: Any, value: Any) -> None:
    if value is None:
        return
    if isinstance(mark, Width):
        if not mark.minimum <= value <= mark.maximum:
            raise _invalid(f"{name} must be within {mark.minimum} and {mark.maximum}, got {value}")
    elif mark == "key":
        try:
            key_from_text(value)
        except ValueError as error:
            raise _invalid(f"{name}: {error}") from None
    elif mark == "user":
        try:
            user_key(value)
        except SettlementError as error:
            raise _invalid(f"{name}: {error.detail}") from None
    elif mark == "struct":
        validate(value, f"{name}.")
    elif isinstance(mark, tuple):
        for i, element in enumerate(value):
            _check(f"{name}[{i}]", mark[1], element)


@lru_cache(maxsize=65_536)
def user_key(text: str) -> bytes:
    """The 34 bytes that a user account is found by: authority, then sub-account number; ``InvalidInstruction``."""
    authority, _, number = text.partition("/")
    if number and not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) < 1 << 16):
        raise _invalid(f"{text!r}: a sub-account is a number from 0 to 65535")
    try:
        return key_from_text(authority) + int(number or 0).to_bytes(2, "little")
    except ValueError as error:
        raise _invalid(str(error)) from None
