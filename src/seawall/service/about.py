"""The GETs of the service itself: the venue, its errors, its instructions, health, metrics, the keeper."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, Response

from seawall.engine.permissions import role_of
from seawall.engine.store import Store
from seawall.instructions.base import instruction_types
from seawall.keeper.status import KeeperStatus
from seawall.ledger.journal import Tip
from seawall.service.admission import LONGEST_LIFETIME
from seawall.service.documents import Answers
from seawall.service.limits import DEV_MODE, LIVE_MODE
from seawall.service.metrics import CONTENT_TYPE, Metrics
from seawall.service.parameters import page, page_of
from seawall.service.problems import Problem, ServiceError, catalogue, meaning, named, status_of
from seawall.service.reads import json_response
from seawall.service.runtime import Service, describe
from seawall.service.schemas import DECIMAL, HEX32, Schema, items, obj, optional, summary
from seawall.service.shapes import plain
from seawall.service.units import Units
from seawall.signing import NONCE_BYTES

TEXT: Final[Schema] = {"type": "string"}
VERSION: Final = version("seawall")

SIGNED_MESSAGE: Final = (
    '"seawall signed request 1\\n" | venue_id (32) | signer (32) | nonce (16) | expiry (i64) | '
    "length of the idempotency key (i32, -1 without one) | length of the instruction (i32) | idempotency key | "
    "SHA-256 of the instruction (32); integers little-endian; the instruction is its canonical JSON"
)


def routes(service: Service, answers: Answers, metrics: Metrics) -> APIRouter:
    """All of them."""
    found = APIRouter()
    _add_venue(found, service, answers)
    _add_catalogues(found, service, answers)
    _add_health(found, service, metrics)
    _add_keeper(found, service, answers)
    return found


# --- the venue -------------------------------------------------------------------------------------------------


def _venue_schema() -> Schema:
    limits = ("body_bytes", "body_seconds", "rate", "burst", "page", "streams", "expiry_seconds", "nonce_bytes")
    token = obj({"market_index": DECIMAL, "name": TEXT, "decimals": DECIMAL})
    contract = obj({"market_index": DECIMAL, "name": TEXT, "base_decimals": DECIMAL})
    return obj(
        {
            "name": optional(TEXT),
            "rulebook": optional(TEXT),
            "profile": optional(TEXT),
            "venue_id": {**optional(HEX32), "description": "What signatures are for; null while it is empty."},
            "mode": {"type": "string", "enum": [DEV_MODE, LIVE_MODE]},
            "state": TEXT,
            "version": TEXT,
            "sequence": DECIMAL,
            "hash": HEX32,
            "unix_timestamp": DECIMAL,
            "now": DECIMAL,
            "accounts": DECIMAL,
            "tokens": items(token),
            "contracts": items(contract),
            "limits": obj(dict.fromkeys(limits, DECIMAL)),
            "signed_message": TEXT,
        },
        "The venue and how to talk to it.",
        display=True,
    )


def _add_venue(found: APIRouter, service: Service, answers: Answers) -> None:
    answers.components.schemas["Venue"] = _venue_schema()

    @found.get(
        "/v1/venue", summary="The venue, its limits, and the message that is signed", tags=["service"],
        operation_id="venue", responses=answers.of({"$ref": "#/components/schemas/Venue"}),
    )  # fmt: skip
    def venue() -> Response:
        """Start here: what this venue is, where its journal stands, what may be asked of it."""
        return json_response(service.look(lambda store, tip: _venue(service, store, tip)))


def _venue(service: Service, store: Store, tip: Tip) -> dict[str, Any]:
    config = store.config.objects[0] if store.config.objects else None
    venue_id = service.venue.id
    limits = service.settings.limits
    data: dict[str, Any] = {
        "name": None if config is None else config.name,
        "rulebook": None if config is None else config.rulebook,
        "profile": None if config is None else config.profile,
        "venue_id": None if venue_id is None else venue_id.hex(),
        "mode": DEV_MODE if service.settings.dev else LIVE_MODE,
        "state": service.state,
        "version": VERSION,
        "sequence": str(tip.sequence),
        "hash": tip.hash.hex(),
        "unix_timestamp": str(tip.unix_timestamp if tip.sequence else 0),
        "now": str(service.time_at(tip).unix_timestamp),
        "accounts": str(store.users.count),
        "tokens": [
            {"market_index": str(m.market_index), "name": m.name, "decimals": str(m.decimals)}
            for m in store.spot_markets.objects
        ],
        "contracts": [
            {"market_index": str(m.market_index), "name": m.name, "base_decimals": "9"}
            for m in store.perp_markets.objects
        ],
        "limits": {
            **{name: str(getattr(limits, name)) for name in limits.__struct_fields__},
            "expiry_seconds": str(LONGEST_LIFETIME), "nonce_bytes": str(NONCE_BYTES),
        },
        "signed_message": SIGNED_MESSAGE,
    }  # fmt: skip
    shown = Units.of(store).beside("Venue", [("unix_timestamp", tip.unix_timestamp if tip.sequence else 0)], None)
    if shown:
        data["display"] = shown
    return data


# --- errors and instructions -----------------------------------------------------------------------------------


def _add_catalogues(found: APIRouter, service: Service, answers: Answers) -> None:
    error = obj(
        {"error": TEXT, "code": DECIMAL, "status": DECIMAL, "meaning": TEXT, "of": TEXT},
        "An error: its name, its code, the HTTP status it comes with, and what it means.",
    )
    answers.components.schemas["Error"] = error

    @found.get(
        "/v1/errors", summary="Every error there is", tags=["service"], operation_id="list_errors",
        responses=answers.of(page_of({"$ref": "#/components/schemas/Error"})),
    )  # fmt: skip
    def errors() -> Response:
        """The rulebooks' own, Seawall's, and those of this service."""
        return json_response(page([_error(one) for one in catalogue()], None))

    @found.get(
        "/v1/errors/{name}", summary="An error", tags=["service"], operation_id="error",
        responses=answers.of({"$ref": "#/components/schemas/Error"}, ServiceError.NotFound),
    )  # fmt: skip
    def error_named(name: str) -> Response:
        """What a problem's ``type`` points to."""
        one = named(name)
        if one is None:
            raise Problem(ServiceError.NotFound, f"there is no error {name[:60]!r}")
        return json_response(_error(one))

    instruction = obj(
        {"ix": TEXT, "family": TEXT, "description": TEXT, "path": TEXT, "signer": optional(TEXT)},
        "An instruction; ``signer``: the role whose key an administrative one needs.",
    )

    @found.get(
        "/v1/instructions", summary="Every instruction there is", tags=["service"], operation_id="list_instructions",
        responses=answers.of(page_of(instruction)),
    )  # fmt: skip
    def instructions() -> Response:
        """Each is a POST to its ``path``; this document describes the bodies."""
        state = service.look(lambda store, tip: store.state.objects[0] if store.state.objects else None)
        listed = [
            {
                "ix": ix,
                "family": cls.__module__.rpartition(".")[2],
                "description": summary(cls),
                "path": f"/v1/instructions/{ix}",
                "signer": role_of(state, ix) if state is not None and "admin" in _signer(summary(cls)) else None,
            }
            for ix, cls in sorted(instruction_types().items())
        ]
        return json_response(page(listed, None))


def _signer(text: str) -> str:
    return text.partition("Signer:")[2].partition("\n\n")[0].partition(". ")[0]


def _error(one: Any) -> dict[str, str]:
    code = int(one)
    source = "service" if isinstance(one, ServiceError) else "seawall" if code >= 9000 else "rulebook"
    return {
        "error": one.name, "code": str(code), "status": str(status_of(one)), "meaning": meaning(one), "of": source,
    }  # fmt: skip


# --- health ----------------------------------------------------------------------------------------------------


def _add_health(found: APIRouter, service: Service, metrics: Metrics) -> None:
    health = obj(
        {
            "state": TEXT,
            "ready": {"type": "boolean"},
            "sequence": optional(DECIMAL),
            "indexed": optional(DECIMAL),
            "failure": optional(TEXT),
        }
    )
    content = {"application/json": {"schema": health}}
    problem = {"description": "Not now.", "content": {"application/problem+json": {"schema": PROBLEM}}}

    @found.get(
        "/healthz", summary="Whether the process lives", tags=["service"], operation_id="healthz",
        responses={200: {"description": "It does.", "content": content}, 503: problem},
    )  # fmt: skip
    def healthz() -> Response:
        """503 only where it cannot go on and must be started again."""
        failed = service.stopped_because()
        if failed is not None:
            raise Problem(ServiceError.VenueStopped, failed)
        return json_response(plain(describe(service), Units([], [])))

    @found.get(
        "/readyz", summary="Whether instructions are taken", tags=["service"], operation_id="readyz",
        responses={200: {"description": "They are.", "content": content}, 503: problem},
    )  # fmt: skip
    def readyz() -> Response:
        """Only once the venue is open and verified, and this process writes it."""
        if not service.ready:
            raise Problem(ServiceError.VenueNotReady, service.stopped_because() or service.why_not())
        return json_response(plain(describe(service), Units([], [])))

    @found.get(
        "/metrics", summary="Metrics for Prometheus", tags=["service"], operation_id="metrics",
        responses={200: {"description": "The text format.", "content": {"text/plain": {"schema": TEXT}}}},
        response_class=Response,
    )  # fmt: skip
    def scrape() -> Response:
        """Requests, instructions, the writer, the index, the keeper."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)


PROBLEM: Final[Schema] = {"$ref": "#/components/schemas/Problem"}


def _add_keeper(found: APIRouter, service: Service, answers: Answers) -> None:
    @found.get(
        "/v1/keeper", summary="What the keeper of this process does", tags=["service"], operation_id="keeper",
        responses=answers.of(answers.components.struct(KeeperStatus), ServiceError.NotFound),
    )  # fmt: skip
    def keeper() -> Response:
        """Each crank: what it did, why it was skipped, when it is due next."""
        status = service.keeper
        if status is None:
            raise Problem(ServiceError.NotFound, "no keeper runs in this process", "the same with serve --keeper")
        return json_response(plain(status, Units([], [])))
