"""What a keeper outside of this process asks: its questions over HTTP, each answered on a copy, a slice at a time."""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Query, Response

from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.keeper.liquidations import AskSteps, Steps
from seawall.keeper.markets import INTEREST_EVERY, AskMarkets, Prospects
from seawall.keeper.port import Question
from seawall.keeper.risk import NEAR, AskRisk, RiskFound
from seawall.keeper.settlements import SLICE, AskSettlements, SettlementsFound
from seawall.keeper.shares import AskShares, SharesFound
from seawall.ledger.journal import Tip
from seawall.service.documents import Answers
from seawall.service.parameters import LARGEST, canonical_key, require_account
from seawall.service.problems import Problem, ServiceError
from seawall.service.remote_port import LONGEST
from seawall.service.runtime import Service
from seawall.service.schemas import ACCOUNT, LABEL, Schema
from seawall.service.shapes import plain
from seawall.service.units import Units

A = TypeVar("A", bound=msgspec.Struct)

First = Annotated[int, Query(ge=0, le=LARGEST, description="The row that the slice begins with.")]
Account = Annotated[
    str, Query(description="A user account: authority/sub-account.", json_schema_extra=ACCOUNT, examples=["@alice/0"])
]
Signer = Annotated[
    str, Query(description="The keeper's key in base58, or @label.", json_schema_extra=LABEL, examples=["@keeper"])
]


class KeeperReads:
    """The routes; each question is a GET that has the question's fields as parameters."""

    def __init__(self, service: Service, answers: Answers) -> None:
        self.service = service
        self.answers = answers
        self.routes = APIRouter()

    def ask(self, question: Question[A]) -> Response:
        """The answer as a response."""
        clocks: list[Clock] = []

        def take(store: Store, tip: Tip) -> object:
            clocks.append(self.service.time_at(tip))
            return question.take(store, clocks[0])

        answer = question.answer(self.service.look(take), clocks[0])
        return Response(msgspec.json.encode(plain(answer, Units([], []))), media_type="application/json")

    def described(self, answer: type[msgspec.Struct]) -> dict[int | str, Any]:
        """The responses of a question."""
        schema: Schema = self.answers.components.struct(answer)
        return self.answers.of(schema)


def keeper_routes(service: Service, answers: Answers) -> APIRouter:
    """All of them."""
    reads = KeeperReads(service, answers)
    _add_markets(reads)
    _add_accounts(reads)
    return reads.routes


def _add_markets(reads: KeeperReads) -> None:
    routes, described = reads.routes, reads.described

    @routes.get(
        "/v1/keeper/markets", summary="What is due in the markets", tags=["keeper"], operation_id="keeper_markets",
        responses=described(Prospects),
    )  # fmt: skip
    def markets(
        liquidator: Account,
        interest_every: Annotated[int, Query(ge=1, le=LARGEST, description="Seconds.")] = INTEREST_EVERY,
    ) -> Response:
        """Every crank of every market: the instruction where it is due, else why it is not and when it will be."""
        return reads.ask(AskMarkets(liquidator=require_account(liquidator), interest_every=interest_every))

    @routes.get(
        "/v1/keeper/shares", summary="Which builders and referrers can be paid", tags=["keeper"],
        operation_id="keeper_shares", responses=described(SharesFound),
    )  # fmt: skip
    def shares(first: First = 0) -> Response:
        """Of a slice of the escrows (Velocity)."""
        return reads.ask(AskShares(first=first))


def _add_accounts(reads: KeeperReads) -> None:
    routes, described = reads.routes, reads.described

    @routes.get(
        "/v1/keeper/risk", summary="Which accounts can be liquidated, or have nothing but debts", tags=["keeper"],
        operation_id="keeper_risk", responses=described(RiskFound),
    )  # fmt: skip
    def risk(
        first: First = 0,
        milliseconds: Annotated[int, Query(ge=1, le=LONGEST, description="How long to work on the slice.")] = 100,
        only: Annotated[str, Query(pattern=ROWS, description="Rows, by commas, instead of a slice.")] = "",
        lane: Annotated[str, Query(pattern="^(auto|exact)$", description="exact: never the compiled one.")] = "auto",
    ) -> Response:
        """Of a slice of the accounts; ``looked_at`` tells how far the time sufficed."""
        return reads.ask(AskRisk(first=first, seconds=milliseconds / 1_000, only=_rows(only), lane=lane))

    @routes.get(
        "/v1/keeper/steps", summary="What can be done about an account in trouble", tags=["keeper"],
        operation_id="keeper_steps", responses=described(Steps),
    )  # fmt: skip
    def steps(user: Account, liquidator: Account) -> Response:
        """Liquidations and resolutions, the most urgent first; none where it is sound."""
        return reads.ask(AskSteps(user=require_account(user), liquidator=require_account(liquidator)))

    @routes.get(
        "/v1/keeper/settlements", summary="Whose P&L can be settled", tags=["keeper"],
        operation_id="keeper_settlements", responses=described(SettlementsFound),
    )  # fmt: skip
    def settlements(
        signer: Signer,
        first: First = 0,
        count: Annotated[int, Query(ge=1, le=SLICE, description="Accounts of the slice.")] = SLICE,
        least: Annotated[int, Query(ge=0, le=LARGEST, description="P&L (quote 1e6) that is left alone.")] = 1_000_000,
    ) -> Response:
        """Of a slice of the accounts, losers first; and what holds the others back."""
        return reads.ask(AskSettlements(signer=canonical_key(signer), first=first, count=count, least=least))


ROWS: Final = r"^([0-9]{1,9}(,[0-9]{1,9}){0,511})?$"


def _rows(text: str) -> list[int]:
    rows = text.split(",") if text else []
    if len(rows) > NEAR or not all(row.isascii() and row.isdigit() and len(row) < 10 for row in rows):
        raise Problem(ServiceError.InvalidParameter, f"only: up to {NEAR} rows, divided by commas")
    return [int(row) for row in rows]
