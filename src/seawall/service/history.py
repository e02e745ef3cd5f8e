"""The GETs of the journal: receipts and what is in them, entries, flows, histories, and the event stream."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse

from seawall.engine.attribution import Attribution, attribute
from seawall.engine.receipts import Limit as Cap
from seawall.engine.receipts import Receipt, Transfer, Waterfall
from seawall.engine.results import fingerprint_in
from seawall.errors import ErrorCode
from seawall.service.documents import Answers
from seawall.service.parameters import (
    LARGEST,
    PAGE,
    AccountQuery,
    Cursor,
    Limit,
    Market,
    MarketQuery,
    Sequence_,
    Since,
    Until,
    page,
    page_limit,
    page_of,
    require_account,
)
from seawall.service.past import Past
from seawall.service.problems import Problem, ServiceError
from seawall.service.reads import json_response
from seawall.service.runtime import Service
from seawall.service.schemas import DECIMAL, DISPLAY, items, obj, optional, ref
from seawall.service.shapes import entry_data, plain, receipt_data
from seawall.service.stream import Stream, about, both, of
from seawall.service.units import Units
from seawall.service.views import Flow, Found, SharesAt, canonical_account

Ix = Annotated[str | None, Query(description="An instruction's name.", max_length=100, examples=["deposit"])]
Name = Annotated[str | None, Query(description="An error's name.", max_length=100)]
Signer = Annotated[str | None, Query(description="Who signed.", max_length=100)]
EVENT = obj(
    {
        "id": {"type": "string", "description": "The receipt's sequence number."},
        "event": {"type": "string", "enum": ["receipt"]},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": ref("Receipt")},
    },
    "One event.",
)


class History:
    """Answers of the journal and of the index behind it."""

    def __init__(self, service: Service, past: Past, answers: Answers, stream: Stream) -> None:
        self.service = service
        self.past = past
        self.answers = answers
        self.stream = stream
        self.routes = APIRouter()
        self._bearers: dict[int, Attribution] = {}

    @property
    def units(self) -> Units:
        """The units of the present."""
        return Units.of(self.service.venue.store)

    def receipt(self, sequence: int) -> Receipt:
        """A receipt; ``NotFound``."""
        found = self.service.venue.receipt(sequence)
        if found is None:
            last = self.service.venue.tip.sequence
            raise Problem(ServiceError.NotFound, f"there is no instruction {sequence}; the last is {last}")
        return found

    def page_limit(self, limit: int) -> int:
        """The limit of a page; ``PageTooLarge``."""
        return page_limit(limit, self.service.settings.limits)

    def receipts(self, cursor: int | None, limit: int, account: str | None) -> tuple[list[Receipt], int | None]:
        """A page of receipts, the newest first, and where the next one begins."""
        found = self.service.views.receipts(account=account, before=cursor, limit=limit)
        receipts = [self.receipt(item.sequence) for item in found]
        return receipts, found[-1].sequence if len(found) == limit else None

    def attribution(self, sequence: int) -> Attribution:
        """Everybody who bears a loss; computed once, from the state right after the instruction."""
        known = self._bearers.get(sequence)
        if known is not None:
            return known
        waterfall = self.receipt(sequence).waterfall
        if waterfall is None:
            raise Problem(ServiceError.NotFound, f"instruction {sequence} resolved no loss")
        found = self.past.after(sequence, lambda machine, _: attribute(machine.store, waterfall))
        if len(self._bearers) > 8:
            self._bearers.clear()
        self._bearers[sequence] = found
        return found


def add_receipts(history: History) -> None:
    """Lists of receipts, and one receipt with everything in it."""
    answers, routes = history.answers, history.routes
    found = obj(
        {
            "sequence": DECIMAL,
            "unix_timestamp": DECIMAL,
            "ix": {"type": "string"},
            "signer": {"type": "string"},
            "error": optional({"type": "string"}),
        },
        (Found.__doc__ or "").strip(),
        display=True,
    )

    @routes.get(
        "/v1/receipts", summary="Receipts, the newest first", tags=["journal"], operation_id="list_receipts",
        responses=answers.of(page_of(found)),
    )  # fmt: skip
    def receipts(
        account: AccountQuery = None,
        ix: Ix = None,
        signer: Signer = None,
        error: Name = None,
        losses: Annotated[bool, Query(description="Only those that resolved a loss.")] = False,
        refused: Annotated[bool, Query(description="Only those that were refused.")] = False,
        since: Since = None,
        until: Until = None,
        cursor: Cursor = None,
        limit: Limit = PAGE,
    ) -> Response:
        """Everything that fits every condition given. Looked up in the index, which may be a moment behind."""
        most = history.page_limit(limit)
        listed = history.service.views.receipts(
            account=None if account is None else require_account(account), ix=ix, signer=signer, error=error,
            losses=losses, refused=refused, since=since, until=until, before=cursor, limit=most,
        )  # fmt: skip
        units = history.units
        return json_response(
            page([plain(one, units) for one in listed], listed[-1].sequence if len(listed) == most else None)
        )

    @routes.get(
        "/v1/receipts/{sequence}", summary="A receipt", tags=["journal"], operation_id="receipt",
        responses=answers.of(ref("Receipt"), ServiceError.NotFound),
    )  # fmt: skip
    def receipt(sequence: Sequence_) -> Response:
        """Events, transfers, limits and waterfall of one instruction, or why it was refused."""
        return json_response(receipt_data(history.receipt(sequence), history.units))


def add_parts(history: History) -> None:
    """What is in receipts, one by one and over all of them."""
    answers, routes = history.answers, history.routes
    struct = answers.components.struct
    transfer, limit_schema = struct(Transfer), struct(Cap)

    @routes.get(
        "/v1/receipts/{sequence}/transfers", summary="The transfers of an instruction", tags=["journal"],
        operation_id="transfers_of", responses=answers.of(items(transfer), ServiceError.NotFound),
    )  # fmt: skip
    def transfers_of(sequence: Sequence_) -> Response:
        """One leg a touched claim; the legs of a market sum to the change of its vault."""
        return json_response(plain(history.receipt(sequence).transfers, history.units))

    @routes.get(
        "/v1/receipts/{sequence}/limits", summary="The limits that bound an instruction", tags=["journal"],
        operation_id="limits_of", responses=answers.of(items(limit_schema), ServiceError.NotFound),
    )  # fmt: skip
    def limits_of(sequence: Sequence_) -> Response:
        """Each cap's name, its value, what was asked, and what would change it."""
        return json_response(plain(history.receipt(sequence).limits, history.units))

    @routes.get(
        "/v1/receipts/{sequence}/waterfall", summary="Who paid for a loss, source by source", tags=["journal"],
        operation_id="waterfall_of", responses=answers.of(struct(Waterfall), ServiceError.NotFound),
    )  # fmt: skip
    def waterfall_of(sequence: Sequence_) -> Response:
        """The sources in order: what each held, what its caps admitted, what it paid, and to whom."""
        waterfall = history.receipt(sequence).waterfall
        if waterfall is None:
            raise Problem(ServiceError.NotFound, f"instruction {sequence} resolved no loss")
        return json_response(plain(waterfall, history.units))

    _add_lists(history, transfer, limit_schema)


def _add_lists(history: History, transfer: dict[str, Any], cap: dict[str, Any]) -> None:
    answers, routes = history.answers, history.routes
    place = {"sequence": DECIMAL, "ix": {"type": "string"}}

    @routes.get(
        "/v1/transfers", summary="Transfers, the newest first", tags=["journal"], operation_id="list_transfers",
        responses=answers.of(page_of(obj({**place, "transfer": transfer}))),
    )  # fmt: skip
    def transfers(
        account: AccountQuery = None,
        market_index: Annotated[int | None, Query(ge=0, le=65_535, description="Of this spot market only.")] = None,
        cursor: Cursor = None,
        limit: Limit = PAGE,
    ) -> Response:
        """Those of up to ``limit`` receipts; with an account, its own legs in the receipts that moved it."""
        most = history.page_limit(limit)
        name = None if account is None else f"user.{canonical_account(require_account(account))}"
        receipts, following = history.receipts(cursor, most, account)
        units = history.units
        legs = [
            {"sequence": str(receipt.sequence), "ix": receipt.ix, "transfer": plain(leg, units)}
            for receipt, leg in _legs(receipts, name, market_index)
        ]
        return json_response(page(legs, following))

    @routes.get(
        "/v1/limits", summary="Limits that bound or refused, the newest first", tags=["journal"],
        operation_id="list_limits",
        responses=answers.of(page_of(obj({**place, "error": optional({"type": "string"}), "limit": cap}))),
    )  # fmt: skip
    def limits(
        name: Annotated[str | None, Query(description="Only limits of this name.", max_length=100)] = None,
        account: AccountQuery = None,
        cursor: Cursor = None,
        limit: Limit = PAGE,
    ) -> Response:
        """Those of up to ``limit`` receipts."""
        ref_ = None if account is None else require_account(account)
        receipts, following = history.receipts(cursor, history.page_limit(limit), ref_)
        units = history.units
        found = [
            {
                "sequence": str(receipt.sequence),
                "ix": receipt.ix,
                "error": None if receipt.refusal is None else receipt.refusal.error,
                "limit": plain(one, units),
            }
            for receipt in receipts
            for one in receipt.limits
            if name is None or one.name == name
        ]
        return json_response(page(found, following))


def _legs(receipts: list[Receipt], account: str | None, market: int | None) -> Iterator[tuple[Receipt, Transfer]]:
    for receipt in receipts:
        for leg in receipt.transfers:
            own = account is None or leg.account == account or leg.account.startswith(f"{account}.")
            if own and (market is None or leg.market_index == market):
                yield receipt, leg


def add_heavy(history: History) -> None:
    """What is computed from a receipt: who bears a loss, what became of each account of a batch."""
    answers, routes = history.answers, history.routes
    struct = answers.components.struct

    @routes.get(
        "/v1/receipts/{sequence}/bearers", summary="Who bears a loss, account by account", tags=["questions"],
        operation_id="bearers_of", responses=answers.of(struct(Attribution), ServiceError.NotFound),
    )  # fmt: skip
    def bearers_of(sequence: Sequence_, cursor: Cursor = None, limit: Limit = PAGE) -> Response:
        """A page of ``insurers`` and of ``bearers`` each, the largest share first; the sums are of all of them."""
        first, most = cursor or 0, history.page_limit(limit)
        found = history.attribution(sequence)
        waterfall = history.receipt(sequence).waterfall
        assert waterfall is not None
        shown = msgspec.structs.replace(
            found,
            insurers=sorted(found.insurers, key=lambda one: -one.share)[first : first + most],
            bearers=sorted(found.bearers, key=lambda one: -one.share)[first : first + most],
        )
        return json_response(plain(shown, history.units, waterfall.market_index))

    row = obj(
        {
            "row": optional(DECIMAL),
            "user": {"type": "string"},
            "settled": {"type": "boolean"},
            "amount": optional(DECIMAL),
            "error": optional({"type": "string"}),
        },
        "What became of one account of a batch; amount in quote 1e6, null if refused.",
    )

    @routes.get(
        "/v1/receipts/{sequence}/results", summary="What became of each account of a batch", tags=["journal"],
        operation_id="results_of", responses=answers.of(page_of(row), ServiceError.NotFound),
    )  # fmt: skip
    def results_of(sequence: Sequence_, cursor: Cursor = None, limit: Limit = PAGE) -> Response:
        """In the order in which the accounts were settled. Their hash is in the receipt."""
        first, most = cursor or 0, history.page_limit(limit)
        if fingerprint_in(history.receipt(sequence)) is None:
            raise Problem(ServiceError.NotFound, f"instruction {sequence} is no batch")
        table = history.service.venue.results(sequence)
        assert table is not None
        rows = table.slice(first, most).to_pylist()
        last = first + len(rows)
        return json_response(page(plain(rows, history.units), last if last < table.num_rows else None))


def add_entries(history: History) -> None:
    """The journal as it is stored, so that anybody can verify its hash chain and its signatures."""
    answers, routes = history.answers, history.routes

    @routes.get(
        "/v1/entries", summary="The journal, from the first entry on", tags=["journal"], operation_id="list_entries",
        responses=answers.of(page_of(ref("Entry"))),
    )  # fmt: skip
    def entries(cursor: Cursor = None, limit: Limit = PAGE) -> Response:
        """Everything that the hashes cover; ``cursor``: the sequence number after which the page begins."""
        most, venue = history.page_limit(limit), history.service.venue
        after, tip = cursor or 0, venue.tip.sequence
        found: list[dict[str, Any]] = []
        for entry in venue.journal.entries(after):
            if entry.sequence > tip or len(found) == most:
                break
            found.append(entry_data(entry))
        last = after + len(found)
        return json_response(page(found, last if found and last < tip else None))

    @routes.get(
        "/v1/entries/{sequence}", summary="A journal entry", tags=["journal"], operation_id="entry",
        responses=answers.of(ref("Entry"), ServiceError.NotFound),
    )  # fmt: skip
    def entry(sequence: Sequence_) -> Response:
        """The signed instruction, the stored receipt and the hash."""
        history.receipt(sequence)
        found = history.service.venue.journal.entry(sequence)
        assert found is not None
        return json_response(entry_data(found))


def add_times(history: History) -> None:
    """What happened over time, from the index."""
    answers, routes = history.answers, history.routes
    struct = answers.components.struct

    @routes.get(
        "/v1/flows", summary="Where tokens went in a period", tags=["journal"], operation_id="flows",
        responses=answers.of(items(struct(Flow)), ErrorCode.SpotMarketNotFound),
    )  # fmt: skip
    def flows(market_index: MarketQuery = 0, since: Since = None, until: Until = None) -> Response:
        """From which kind of claim to which, by instruction; whole hours."""
        found = history.service.views.flows(market_index, since or 0, LARGEST if until is None else until)
        return json_response(plain(found, history.units, market_index))

    point = obj(
        {
            "sequence": DECIMAL,
            "unix_timestamp": DECIMAL,
            "vault": DECIMAL,
            "total_shares": DECIMAL,
        },
        (SharesAt.__doc__ or "").strip(),
    )
    point["properties"]["display"] = DISPLAY

    @routes.get(
        "/v1/insurance-funds/{market_index}/history", summary="A fund's vault and shares over time",
        tags=["questions"], operation_id="fund_history", responses=answers.of(page_of(point)),
    )  # fmt: skip
    def fund_history(market_index: Market, since: Since = None, cursor: Cursor = None, limit: Limit = PAGE) -> Response:
        """After each receipt that told them, in order of time; two points give what a share earned between them."""
        first, most = cursor or 0, history.page_limit(limit)
        found = history.service.views.shares(market_index, since or 0)
        last = first + most
        return json_response(
            page(plain(found[first:last], history.units, market_index), last if last < len(found) else None)
        )


def add_stream(history: History) -> None:
    """The event stream."""
    answers, routes = history.answers, history.routes

    @routes.get(
        "/v1/stream", summary="Receipts as they become durable (server-sent events)", tags=["journal"],
        operation_id="stream", response_class=StreamingResponse,
        responses=answers.of(EVENT, media_type="text/event-stream"),
    )  # fmt: skip
    async def stream(
        after: Annotated[
            int | None, Query(ge=0, le=LARGEST, description="Begin after this sequence number; without it: now.")
        ] = None,
        last_event_id: Annotated[
            str,
            Header(description="Where a broken connection goes on; goes before ``after``.", pattern="^[0-9]{0,15}$"),
        ] = "",
        account: AccountQuery = None,
        ix: Ix = None,
        wait: Annotated[bool, Query(description="false: end with what there is now.")] = True,
    ) -> Response:
        """Every receipt once and in order, with its sequence number as the event's id: reconnect with it."""
        tip = history.service.venue.tip.sequence
        start = int(last_event_id) if last_event_id else after
        accept = None if account is None else about(canonical_account(require_account(account)))
        history.stream.admit()
        accept = both(accept, None if ix is None else of(ix))
        events = history.stream.events(tip if start is None else start, accept, wait)
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
