"""Instructions over HTTP: each is a POST of its own, generated from the instruction types, so that new ones appear.

The body holds the instruction's fields beside ``signer``, ``nonce``, ``expiry`` and ``signature``; the idempotency key
is a header. The receipt is answered once it is durable.
"""

import asyncio
from typing import Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from seawall.engine.receipts import Receipt
from seawall.engine.transaction import signer_key
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import DOCUMENT_NAMES, Instruction, decode_object, encode, instruction_types
from seawall.keys import from_base58
from seawall.ledger.journal import KEY_LENGTH
from seawall.service.admission import check_signature
from seawall.service.limits import body_of
from seawall.service.problems import Problem, ServiceError, status_of_receipt
from seawall.service.runtime import Service
from seawall.service.shapes import plain, receipt_data
from seawall.service.units import Units
from seawall.signing import NONCE_BYTES, SIGNATURE_BYTES, Proof

PATH: Final = "/v1/instructions/{ix}"
PROOF_FIELDS: Final = ("nonce", "expiry", "signature")
LONGEST_SIGNATURE: Final = 88
"""Characters of 64 bytes in base58, at most."""


LARGEST: Final = (1 << 53) - 1
"""The largest integer that a JSON number is taken for."""


class Asked(NamedTuple):
    """A request to carry out an instruction, as it was read."""

    instruction: Instruction
    signer: str
    proof: Proof | None
    idempotency_key: str | None


def router(service: Service) -> APIRouter:
    """The route under which every instruction is asked for; the OpenAPI document lists them one by one."""
    routes = APIRouter()

    @routes.post(PATH, include_in_schema=False)
    async def submit(request: Request) -> Response:
        ix = request.path_params["ix"]
        if ix not in instruction_types():
            raise Problem(
                ServiceError.NotFound, f"there is no instruction {ix[:60]!r}",
                "one that GET /v1/instructions lists",
            )  # fmt: skip
        dry_run = _flag(request, "dry_run")
        key = request.headers.get("idempotency-key")
        asked = read(ix, await body_of(request, service.settings.limits), key)
        if dry_run:
            return await _dry_run(service, asked)
        authorise(service, asked)
        return await _carry_out(service, asked)

    return routes


def _flag(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise Problem(ServiceError.InvalidParameter, f"{name} is true or false, not {given[:20]!r}")
    return given == "true"


# --- reading the request ---------------------------------------------------------------------------------------


def read(ix: str, body: bytes, idempotency_key: str | None) -> Asked:
    """The instruction, its signer and its proof; ``InvalidInstruction`` says what is wrong with the body."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _invalid("the body is nested too deep") from None
    if not isinstance(raw, dict):
        raise _invalid("the body is not a JSON object")
    if raw.get("ix", ix) not in (ix, DOCUMENT_NAMES.get(ix, ix)):
        raise _invalid(f"the body is for another instruction than {ix}")
    signer = raw.pop("signer", None)
    if not isinstance(signer, str):
        raise _invalid("signer: a public key in base58 is expected")
    signer_key(signer)
    proof = _proof({name: raw.pop(name) for name in PROOF_FIELDS if name in raw})
    if idempotency_key is not None and not (0 < len(idempotency_key) <= KEY_LENGTH and idempotency_key.isprintable()):
        raise _invalid(f"Idempotency-Key: it has 1 to {KEY_LENGTH} printable characters")
    try:
        instruction = decode_object({**{name: _exact(name, value) for name, value in raw.items()}, "ix": ix})
        encode(instruction)
    except RecursionError:
        raise _invalid("the body is nested too deep") from None
    except UnicodeEncodeError as error:
        raise _invalid(f"the body holds text that is none: {error}") from None
    return Asked(instruction, signer, proof, idempotency_key)


def _proof(given: dict[str, Any]) -> Proof | None:
    if not given:
        return None
    missing = [name for name in PROOF_FIELDS if name not in given]
    if missing:
        raise _invalid(f"{' and '.join(missing)}: missing beside {' and '.join(given)}")
    nonce, expiry, signature = (given[name] for name in PROOF_FIELDS)
    expiry = _exact("expiry", expiry)
    if isinstance(expiry, str) and expiry.isascii() and expiry.isdigit() and len(expiry) < 17:
        expiry = int(expiry)
    if type(expiry) is not int or not 0 <= expiry < 1 << 53:
        raise _invalid("expiry: unix seconds are expected")
    try:
        if not isinstance(nonce, str) or nonce != nonce.lower() or len(nonce) != 2 * NONCE_BYTES:
            raise ValueError
        nonce_bytes = bytes.fromhex(nonce)
    except ValueError:
        raise _invalid(f"nonce: {NONCE_BYTES} bytes in lower-case hexadecimal are expected") from None
    try:
        if not isinstance(signature, str) or len(signature) > LONGEST_SIGNATURE:
            raise ValueError
        signature_bytes = from_base58(signature)
        if len(signature_bytes) != SIGNATURE_BYTES:
            raise ValueError
    except ValueError:
        raise _invalid(f"signature: {SIGNATURE_BYTES} bytes in base58 are expected") from None
    return Proof(nonce_bytes, expiry, signature_bytes)


def _exact(name: str, value: Any) -> Any:
    """A value whose numbers are integers that every JSON library keeps: 33.0 is 33, beyond 2^53 none is exact."""
    if isinstance(value, float):
        if not value.is_integer():
            raise _invalid(f"{name}: an integer is expected, not {value}")
        value = int(value)
    if type(value) is int and not -LARGEST <= value <= LARGEST:
        raise _invalid(f"{name}: a JSON number is exact up to {LARGEST} only; write {value} as a decimal string")
    if isinstance(value, list):
        return [_exact(name, item) for item in value]
    if isinstance(value, dict):
        return {inner: _exact(f"{name}.{inner}", item) for inner, item in value.items()}
    return value


def _invalid(message: str) -> SettlementError:
    return SettlementError(ErrorCode.InvalidInstruction, message)


def authorise(service: Service, asked: Asked) -> None:
    """``SignatureInvalid`` unless the signer signed exactly this; in development mode nothing need be signed."""
    if asked.proof is None:
        if service.settings.dev:
            return
        raise SettlementError(
            ErrorCode.SignatureInvalid, "the request is not signed",
            "nonce, expiry and signature beside the instruction; GET /v1/venue describes what is signed",
        )  # fmt: skip
    try:
        check_signature(service.venue, asked.instruction, asked.signer, asked.proof, asked.idempotency_key)
    except SettlementError as error:
        if error.code != ErrorCode.SignatureInvalid:
            raise
        # what was to be signed, so that a client can find out what it signed instead
        raise Problem(
            error.code, error.detail, error.would_pass, canonical_instruction=encode(asked.instruction).decode(),
        ) from None  # fmt: skip


# --- carrying it out -------------------------------------------------------------------------------------------


async def _dry_run(service: Service, asked: Asked) -> Response:
    receipt = await run_in_threadpool(service.dry_run, asked.instruction, asked.signer)
    return answer(service, receipt, dry_run=True)


async def _carry_out(service: Service, asked: Asked) -> Response:
    before = service.venue.tip.sequence
    future = service.submit(asked.instruction, asked.signer, asked.proof, asked.idempotency_key)
    # a client that goes away does not stop what it asked for
    receipt = await asyncio.shield(asyncio.wrap_future(future))
    return answer(service, receipt, repeated=0 < receipt.sequence <= before)


def answer(service: Service, receipt: Receipt, dry_run: bool = False, repeated: bool = False) -> Response:
    """A receipt as a response: itself where it was carried out, a problem with everything in it where it was not."""
    units = Units.of(service.venue.store)
    headers = {}
    place = f"/v1/receipts/{receipt.sequence}" if receipt.sequence else None
    if place is not None:
        headers["Location"] = place
    if repeated:
        headers["Idempotent-Replay"] = "true"
    data = receipt_data(receipt, units)
    if receipt.refusal is None:
        return Response(msgspec.json.encode(data), 200, headers, "application/json")
    refusal = receipt.refusal
    problem = Problem(
        ErrorCode(refusal.code), refusal.message, refusal.would_pass, headers=headers,
        limits=plain(receipt.limits, units), receipt=data, dry_run=dry_run,
    )  # fmt: skip
    return problem.response(place, status_of_receipt(receipt))
