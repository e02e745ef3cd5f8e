"""The OpenAPI document: what FastAPI knows of the GETs, and every instruction as a POST of its own."""

from enum import IntEnum
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from seawall.engine.receipts import Limit, Receipt, Refusal, Transfer, VaultChange, Waterfall
from seawall.instructions.base import Instruction, instruction_types
from seawall.ledger.journal import KEY_LENGTH
from seawall.service.problems import MEDIA_TYPE, status_of
from seawall.service.schemas import DECIMAL, HEX32, Components, Schema, example_of, items, obj, optional, ref, summary
from seawall.service.settings import Limits

ALWAYS: Final = (400, 429, 503)
"""What every request under /v1 may be answered with."""

STATUS_TEXT: Final = {
    200: "As asked.",
    400: "Malformed: a parameter or the body is not what is described here.",
    401: "Not signed, not by that signer, too late, or signed for something else.",
    403: "The signer may not do this.",
    404: "There is no such thing.",
    405: "Not that method.",
    408: "The body did not arrive in time.",
    409: "Refused: the state of the venue does not allow it now. The numbers and what would pass are told.",
    413: "The body is too large.",
    429: "Asked too often.",
    503: "Not now: the venue is being opened, another process writes it, or too many requests wait.",
}

DESCRIPTION: Final = """\
Exact accounting, settlement, revenue and insurance for a venue of perpetual futures and borrow/lend.

Every integer is a decimal string in base units; `display` beside it is for people. Every error is a problem (RFC 9457)
under the rulebook's own name, with the numbers and with what would pass. Every change is a signed POST; `GET /v1/venue`
describes the message that is signed.
"""


class Answers:
    """Descriptions of responses."""

    def __init__(self) -> None:
        self.components = Components()
        self._add_receipt()
        self._add_problem()

    def of(self, schema: Schema, *errors: IntEnum | int, media_type: str = "application/json") -> dict[int | str, Any]:
        """The responses of a GET: 200 with a schema, and the problems that it may be answered with instead."""
        found: dict[int | str, Any] = {
            200: {"description": STATUS_TEXT[200], "content": {media_type: {"schema": schema}}}
        }
        statuses = {status_of(error) if isinstance(error, IntEnum) else error for error in errors}
        # a moment that the journal has not reached yet is not found either
        for status in sorted(statuses.union(ALWAYS)):
            found[status] = problem_response(status)
        return found

    def _add_receipt(self) -> None:
        struct, schemas = self.components.struct, self.components.schemas
        value: Schema = {"description": "An integer as a decimal string, a key, a name, a flag, or a list of such."}
        schemas["Event"] = obj(
            {"name": {"type": "string"}, "fields": {"type": "object", "additionalProperties": value}},
            "One of the program's events, its fields under the program's names.",
        )
        schemas["Receipt"] = obj(
            {
                "sequence": {**DECIMAL, "description": "0: it never became part of the history (or a dry run)."},
                "unix_timestamp": DECIMAL,
                "slot": DECIMAL,
                "ix": {"type": "string"},
                "signer": {"type": "string"},
                "ok": {"type": "boolean"},
                "refusal": optional(struct(Refusal)),
                "events": items(ref("Event")),
                "transfers": items(struct(Transfer)),
                "vaults": items(struct(VaultChange)),
                "limits": items(struct(Limit)),
                "waterfall": optional(struct(Waterfall)),
                "effects": {"type": "string", "description": "Running hash over every row ever written."},
            },
            summary(Receipt),
            display=True,
        )
        schemas["Entry"] = obj(
            {
                "sequence": DECIMAL,
                "unix_timestamp": DECIMAL,
                "slot": DECIMAL,
                "signer": {"type": "string"},
                "nonce": optional({"type": "string"}),
                "expiry": optional(DECIMAL),
                "signature": optional({"type": "string"}),
                "idempotency_key": optional({"type": "string"}),
                "instruction": {"type": "string", "description": "Canonical JSON, exactly as it was signed."},
                "outcome": {"type": "string", "description": "The receipt as JSON, exactly as it is stored."},
                "hash": HEX32,
            },
            "A journal entry: everything that its hash covers, and the hash.",
        )

    def _add_problem(self) -> None:
        text: Schema = {"type": "string"}
        more: dict[str, Schema] = {
            "instance": text,
            "limits": items(self.components.struct(Limit)),
            "receipt": ref("Receipt"),
            "dry_run": {"type": "boolean"},
            "canonical_instruction": {**text, "description": "What was to be signed, as its canonical JSON."},
        }
        must: dict[str, Schema] = {
            "type": text,
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": text,
            "error": {**text, "description": "The error's name; GET /v1/errors lists them all."},
            "code": DECIMAL,
            "would_pass": {**text, "description": "What would pass instead; may be empty."},
        }
        schema = obj(must, "Why a request was not answered as asked (RFC 9457).")
        schema["properties"].update(more)
        self.components.schemas["Problem"] = schema


def problem_response(status: int) -> dict[str, Any]:
    """The description of a problem with a status."""
    response: dict[str, Any] = {
        "description": STATUS_TEXT[status],
        "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return response


# --- instructions ----------------------------------------------------------------------------------------------


def instruction_paths(answers: Answers, signed: bool) -> dict[str, Any]:
    """Every instruction as a POST of its own."""
    return {
        f"/v1/instructions/{ix}": {"post": _operation(answers, ix, cls, signed)}
        for ix, cls in sorted(instruction_types().items())
    }


def _operation(answers: Answers, ix: str, cls: type[Instruction], signed: bool) -> dict[str, Any]:
    text = summary(cls)
    body = {"schema": answers.components.instruction(cls, signed), "example": example_of(cls, signed)}
    ok = {
        "description": "Carried out and durable; or, with dry_run, what would be.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "The receipt."},
            "Idempotent-Replay": {"schema": {"type": "string"}, "description": "The receipt of the first request."},
        },
        "content": {"application/json": {"schema": ref("Receipt")}},
    }
    return {
        "operationId": ix,
        "summary": text.split("\n", 1)[0],
        "description": text,
        "tags": [cls.__module__.rpartition(".")[2]],
        "parameters": PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": ok, **{str(s): problem_response(s) for s in (400, 401, 403, 404, 408, 409, 413, 429, 503)}
        },
    }  # fmt: skip


PARAMETERS: Final = [
    {
        "name": "dry_run",
        "in": "query",
        "required": False,
        "schema": {"type": "boolean", "default": False},
        "description": "Answer with the receipt that there would be, and change nothing. Needs no signature.",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},
        "description": "A repeated request gets the first receipt; another body under the same key is refused.",
    },
]


def document(app: FastAPI, answers: Answers, signed: bool, limits: Limits) -> dict[str, Any]:
    """The whole document."""
    found = get_openapi(
        title="Seawall", version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "limit":
                    parameter["schema"]["maximum"] = limits.page
    found["paths"].update(instruction_paths(answers, signed))
    found["components"] = {"schemas": dict(sorted(answers.components.schemas.items()))}
    return found


TAGS: Final = [
    {"name": "service", "description": "The service itself."},
    {"name": "journal", "description": "Receipts and what is in them."},
    {"name": "records", "description": "Every record of every table."},
    {"name": "questions", "description": "What the engine answers."},
    {"name": "keeper", "description": "What a keeper elsewhere asks; each answer is about a slice of the accounts."},
]
