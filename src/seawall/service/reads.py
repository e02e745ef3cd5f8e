"""The GETs of the state: every record of every table, and every question that the engine answers, now or ``as_of``."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from seawall.engine.claims import Claim, claims
from seawall.engine.conservation import Totals, totals
from seawall.engine.queries.insurance import FundView, StakeView, insurance_fund, insurance_stake
from seawall.engine.queries.margin import Margin, Withdrawable, margin, withdrawable
from seawall.engine.queries.pnl import ClaimablePnl, claimable_pnl
from seawall.engine.queries.revenue_share import RevenueShares, revenue_shares
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.tables import Table
from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_from_text
from seawall.records import Record
from seawall.service.documents import Answers
from seawall.service.parameters import (
    PAGE,
    AsOf,
    Authority,
    Cursor,
    Limit,
    Market,
    SubAccount,
    account_ref,
    canonical_key,
    page,
    page_limit,
    page_of,
)
from seawall.service.past import Moment, Past
from seawall.service.problems import Problem, ServiceError
from seawall.service.runtime import Service
from seawall.service.schemas import items
from seawall.service.shapes import plain, record_data
from seawall.service.units import Units

Question = Callable[[Store, Clock], Any]

KEYED = {
    "users": ("authority", "sub_account_id"),
    "user_stats": ("authority",),
    "stakes": ("authority", "market_index"),
    "wallets": ("authority", "market_index"),
    "revenue_share_escrows": ("authority",),
}
"""Tables whose records are asked for by their keys; the others by their row."""


def json_response(data: Any) -> Response:
    """JSON data as a response."""
    return Response(msgspec.json.encode(data), 200, media_type="application/json")


class Reads:
    """Answers of the state, as JSON responses."""

    def __init__(self, service: Service, past: Past, answers: Answers) -> None:
        self.service = service
        self.past = past
        self.answers = answers
        self.routes = APIRouter()

    def ask(self, as_of: str | None, question: Callable[[Store, Clock], Any], market: int | None = None) -> Response:
        """The answer to a question as a response; the headers tell what state it is of."""
        moment = self.past.moment(as_of)
        answer, units = self.past.ask(moment, lambda store, clock: (question(store, clock), Units.of(store)))
        response = json_response(plain(answer, units, market))
        self._tell(response, moment)
        return response

    def _tell(self, response: Response, moment: Moment | None) -> None:
        sequence = self.service.venue.tip.sequence if moment is None else moment.sequence
        response.headers["Seawall-Sequence"] = str(sequence)


# --- records ---------------------------------------------------------------------------------------------------


def _table(store: Store, name: str) -> "Table[Any]":
    table: Table[Any] = getattr(store, name)
    return table


def _row(store: Store, name: str, index: int) -> dict[str, Any]:
    table = _table(store, name)
    market = index if name in ("vaults", "spot_markets", "perp_markets") else None
    return record_data(table.read(index), store, Units.of(store), market)


def add_records(reads: Reads) -> None:
    """Two routes a table: its records in pages, and one of them."""
    for table in Store().tables:
        _add_list(reads, table.name, table.record)
        if table.name in KEYED:
            continue
        _add_row(reads, table.name, table.record)
    _add_by_authority(reads, "user_stats")
    _add_by_authority(reads, "revenue_share_escrows")
    _add_by_market(reads, "stakes")
    _add_by_market(reads, "wallets")
    _add_user(reads)


def path_of(name: str) -> str:
    """The path of a table."""
    return f"/v1/{name.replace('_', '-')}"


def _add_list(reads: Reads, name: str, record: type[Record]) -> None:
    schema = page_of(reads.answers.components.record(record))

    def listed(limit: Limit = PAGE, cursor: Cursor = None, as_of: AsOf = None) -> Response:
        first, most = cursor or 0, page_limit(limit, reads.service.settings.limits)

        def question(store: Store, clock: Clock) -> dict[str, Any]:
            last = min(_table(store, name).count, first + most)
            rows = [_row(store, name, index) for index in range(first, last)]
            return page(rows, last if last < _table(store, name).count else None)

        return reads.ask(as_of, question)

    reads.routes.get(
        path_of(name), summary=f"The table {name}", responses=reads.answers.of(schema, ServiceError.NotFound),
        tags=["records"], operation_id=f"list_{name}",
    )(listed)  # fmt: skip


def _add_row(reads: Reads, name: str, record: type[Record]) -> None:
    def one(row: Market, as_of: AsOf = None) -> Response:
        def question(store: Store, clock: Clock) -> dict[str, Any]:
            if row >= _table(store, name).count:
                raise Problem(ServiceError.NotFound, f"{name} has {_table(store, name).count} rows, no row {row}")
            return _row(store, name, row)

        return reads.ask(as_of, question)

    reads.routes.get(
        path_of(name) + "/{row}", summary=f"One record of the table {name}", tags=["records"],
        operation_id=f"get_{name}",
        responses=reads.answers.of(reads.answers.components.record(record), ServiceError.NotFound),
    )(one)  # fmt: skip


def _by_key(reads: Reads, as_of: str | None, name: str, key: bytes, what: str) -> Response:
    def question(store: Store, clock: Clock) -> dict[str, Any]:
        index = _table(store, name).index.get(key)
        if index is None:
            error = {"users": ErrorCode.UserNotFound, "stakes": ErrorCode.InsuranceFundStakeNotFound}.get(name)
            raise Problem(error or ServiceError.NotFound, f"{name}: there is nothing for {what}")
        return _row(store, name, index)

    return reads.ask(as_of, question)


def _add_by_authority(reads: Reads, name: str) -> None:
    def one(authority: Authority, as_of: AsOf = None) -> Response:
        return _by_key(reads, as_of, name, key_from_text(canonical_key(authority)), authority)

    reads.routes.get(
        path_of(name) + "/{authority}", summary=f"An authority's record of the table {name}", tags=["records"],
        operation_id=f"get_{name}",
        responses=reads.answers.of(reads.answers.components.record(_record(name)), ServiceError.NotFound),
    )(one)  # fmt: skip


def _add_by_market(reads: Reads, name: str) -> None:
    def one(authority: Authority, market_index: Market, as_of: AsOf = None) -> Response:
        key = key_from_text(canonical_key(authority)) + market_index.to_bytes(2, "little")
        return _by_key(reads, as_of, name, key, f"{authority} in market {market_index}")

    reads.routes.get(
        path_of(name) + "/{authority}/{market_index}", summary=f"An authority's record of the table {name}",
        tags=["records"], operation_id=f"get_{name}",
        responses=reads.answers.of(reads.answers.components.record(_record(name)), ServiceError.NotFound),
    )(one)  # fmt: skip


def _add_user(reads: Reads) -> None:
    def one(authority: Authority, sub_account: SubAccount, as_of: AsOf = None) -> Response:
        key = key_from_text(canonical_key(authority)) + sub_account.to_bytes(2, "little")
        return _by_key(reads, as_of, "users", key, f"{authority}/{sub_account}")

    reads.routes.get(
        "/v1/users/{authority}/{sub_account}", summary="A user account", tags=["records"], operation_id="get_users",
        responses=reads.answers.of(reads.answers.components.record(_record("users")), ErrorCode.UserNotFound),
    )(one)  # fmt: skip


def _record(name: str) -> type[Record]:
    record: type[Record] = _table(Store(), name).record
    return record


# --- questions -------------------------------------------------------------------------------------------------


def add_questions(reads: Reads) -> None:
    """What the engine answers about accounts, funds and vaults."""
    _add_account_questions(reads)
    _add_fund_questions(reads)
    _add_vault_questions(reads)


def _add_account_questions(reads: Reads) -> None:
    answers, routes = reads.answers, reads.routes
    struct = answers.components.struct
    not_there = (ErrorCode.UserNotFound, ErrorCode.SpotMarketNotFound, ErrorCode.PerpMarketNotFound)

    @routes.get(
        "/v1/users/{authority}/{sub_account}/margin", summary="The margin of an account", tags=["questions"],
        operation_id="margin", responses=answers.of(struct(Margin), *not_there, 409),
    )  # fmt: skip
    def margin_of(authority: Authority, sub_account: SubAccount, as_of: AsOf = None) -> Response:
        """What opens risk (initial), what withdrawals need (withdraw), what keeps the account safe (maintenance)."""
        ref = account_ref(authority, sub_account)
        return reads.ask(as_of, lambda store, clock: margin(store, clock, ref))

    @routes.get(
        "/v1/users/{authority}/{sub_account}/withdrawable/{market_index}", tags=["questions"],
        summary="The largest withdrawal that is paid now, and what binds", operation_id="withdrawable",
        responses=answers.of(struct(Withdrawable), *not_there, 409),
    )  # fmt: skip
    def withdrawable_of(
        authority: Authority, sub_account: SubAccount, market_index: Market, as_of: AsOf = None
    ) -> Response:
        """One token more would be refused with the error ``bound_by``."""
        ref = account_ref(authority, sub_account)
        return reads.ask(as_of, lambda store, clock: withdrawable(store, clock, ref, market_index))

    @routes.get(
        "/v1/users/{authority}/{sub_account}/claimable-pnl/{market_index}", tags=["questions"],
        summary="A user's P&L, how much of it is paid now, and why not more", operation_id="claimable_pnl",
        responses=answers.of(struct(ClaimablePnl), *not_there, 409),
    )  # fmt: skip
    def pnl_of(authority: Authority, sub_account: SubAccount, market_index: Market, as_of: AsOf = None) -> Response:
        """What ``settle_pnl`` signed by the owner would do now, with everything that caps it."""
        ref = account_ref(authority, sub_account)
        return reads.ask(as_of, lambda store, clock: claimable_pnl(store, clock, ref, market_index))

    @routes.get(
        "/v1/revenue-shares/{authority}", summary="What builders and referrers are owed out of an authority's fees",
        tags=["questions"], operation_id="revenue_shares",
        responses=answers.of(struct(RevenueShares), ErrorCode.UnableToLoadRevenueShareAccount),
    )  # fmt: skip
    def shares_of(authority: Authority, as_of: AsOf = None) -> Response:
        """The rows of the authority's escrow, and the builders that it approved (Velocity)."""
        key = canonical_key(authority)
        return reads.ask(as_of, lambda store, clock: revenue_shares(store, key))


def _add_fund_questions(reads: Reads) -> None:
    answers, routes = reads.answers, reads.routes
    struct = answers.components.struct

    @routes.get(
        "/v1/insurance-funds", summary="Every insurance fund", tags=["questions"], operation_id="insurance_funds",
        responses=answers.of(items(struct(FundView)), ServiceError.AsOfBeyondJournal, 409),
    )  # fmt: skip
    def funds(as_of: AsOf = None) -> Response:
        """Share price, owners, and what the next revenue settlement will bring."""
        return reads.ask(
            as_of,
            lambda store, clock: [insurance_fund(store, clock, m.market_index) for m in store.spot_markets.objects],
        )

    @routes.get(
        "/v1/insurance-funds/{market_index}", summary="An insurance fund", tags=["questions"],
        operation_id="insurance_fund", responses=answers.of(struct(FundView), ErrorCode.SpotMarketNotFound, 409),
    )  # fmt: skip
    def fund(market_index: Market, as_of: AsOf = None) -> Response:
        """Share price, owners, and what the next revenue settlement will bring."""
        return reads.ask(as_of, lambda store, clock: insurance_fund(store, clock, market_index))

    @routes.get(
        "/v1/stakes/{authority}/{market_index}/value", summary="What a stake is worth", tags=["questions"],
        operation_id="stake_value",
        responses=answers.of(struct(StakeView), ErrorCode.InsuranceFundStakeNotFound, 409),
    )  # fmt: skip
    def stake(authority: Authority, market_index: Market, as_of: AsOf = None) -> Response:
        """Rebased, with a pending request's payout and what removing or cancelling it forfeits."""
        key = canonical_key(authority)
        return reads.ask(as_of, lambda store, clock: insurance_stake(store, clock, key, market_index))


def _add_vault_questions(reads: Reads) -> None:
    answers, routes = reads.answers, reads.routes
    struct = answers.components.struct

    @routes.get(
        "/v1/spot-markets/{market_index}/totals", summary="Deposits, borrows and the vault of a market",
        tags=["questions"], operation_id="totals", responses=answers.of(struct(Totals), ErrorCode.SpotMarketNotFound),
    )  # fmt: skip
    def totals_of(market_index: Market, as_of: AsOf = None) -> Response:
        """In tokens; what the vault holds beyond deposits less borrows is the dust."""

        def question(store: Store, clock: Clock) -> Totals:
            if market_index >= store.spot_markets.count:
                raise SettlementError(ErrorCode.SpotMarketNotFound, f"there is no spot market {market_index}")
            return totals(store.spot_markets.objects[market_index], store.vaults.objects[market_index].spot_vault)

        return reads.ask(as_of, question, market_index)

    @routes.get(
        "/v1/claims", summary="Who claims what of each vault", tags=["questions"], operation_id="claims",
        responses=answers.of(items(struct(Claim)), ServiceError.AsOfBeyondJournal),
    )  # fmt: skip
    def claims_of(as_of: AsOf = None) -> Response:
        """Every kind of claim, added up over all accounts; debts to the vault are negative."""
        moment = reads.past.moment(as_of)
        if moment is None:
            # every account is read: on a copy, so that the writer waits for the copying alone
            store = reads.service.look(lambda live, tip: copy_of(live))
            response = json_response(plain(claims(store), Units.of(store)))
            reads._tell(response, moment)
            return response
        return reads.ask(as_of, lambda store, clock: claims(store))


def copy_of(store: Store) -> Store:
    """A copy of what ``claims`` reads of a state, which may be read while the venue goes on."""
    copied = Store()
    for table, target in zip(store.tables, copied.tables, strict=True):
        if table.name in NEEDED_FOR_CLAIMS:
            target.load(b"".join(table.segments()), table.count)
    return copied


NEEDED_FOR_CLAIMS = frozenset({"config", "state", "spot_markets", "vaults", "perp_markets", "users"})
