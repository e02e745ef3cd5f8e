"""Instruction files: one JSON object a line, an instruction with its time and its signer.

``{"at": 1651881600, "signer": "@alice", "ix": "deposit", "user": "@alice/0", "market_index": 0, "amount": "5000000"}``

Beside the instruction's own fields a line has ``at`` (unix seconds), ``signer``, optionally ``slot`` (default: 400 ms a
slot) and ``idempotency_key``. Blank lines are skipped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from seawall.engine.receipts import Clock
from seawall.engine.transaction import signer_key
from seawall.engine.venue import Request
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import decode_object, read_integer


class InstructionFileError(Exception):
    """An instruction file cannot be read; the message names the file, the line and what is wrong with it."""


def read_requests(path: Path) -> Iterator[tuple[int, Request]]:
    """Every request of a file with its line number; ``InstructionFileError`` at the first line that is none."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    try:
                        yield number, request_from_line(text)
                    except SettlementError as error:
                        cut = "" if text.endswith(b"\n") else " (the file ends here: was it cut?)"
                        raise InstructionFileError(f"{path}:{number}: {error.detail}{cut}") from None
    except OSError as error:
        raise InstructionFileError(f"{path}: {error.strerror}") from None


def request_from_line(text: bytes) -> Request:
    """The request of one line; ``InvalidInstruction`` says what is wrong."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise invalid("a line is a JSON object")
    at = _integer(raw, "at", None)
    slot = _integer(raw, "slot", Clock.at(at).slot)
    signer = raw.pop("signer", None)
    if not isinstance(signer, str):
        raise invalid("the field 'signer' (base58 key or @label) is missing")
    signer_key(signer)
    idempotency_key = raw.pop("idempotency_key", None)
    if idempotency_key is not None and not isinstance(idempotency_key, str):
        raise invalid("idempotency_key is text")
    return Request(decode_object(raw), signer, Clock(at, slot), idempotency_key)


def _integer(raw: dict[str, Any], name: str, default: int | None) -> int:
    value = read_integer(raw.pop(name, default))
    if value is None:
        raise invalid(f"the field {name!r} is missing")
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"{name} is a whole number, not {value!r}")
    if not 0 <= value < 1 << 63:
        raise invalid(f"{name} must be within 0 and {(1 << 63) - 1}, got {value}")
    return value


def invalid(message: str) -> SettlementError:
    """An ``InvalidInstruction`` with its reason."""
    return SettlementError(ErrorCode.InvalidInstruction, message)
