"""Parameters of the GET requests, described once, and the pages that lists come in."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Path, Query

from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import user_key
from seawall.keys import key_from_text, key_to_text
from seawall.service.problems import Problem, ServiceError
from seawall.service.schemas import ACCOUNT, DECIMAL, LABEL, Schema, items, obj, optional
from seawall.service.settings import Limits

LARGEST: Final = (1 << 53) - 1
PAGE: Final = 100

AS_OF: Final[Schema] = {"anyOf": [{"type": "string", "format": "u53"}, {"type": "string", "format": "date-time"}]}

AsOf = Annotated[
    str | None,
    Query(
        description="After this instruction (a sequence number), or at this time (RFC 3339); without it: now.",
        json_schema_extra=AS_OF,
        examples=["4"],
    ),
]
Cursor = Annotated[
    int | None,
    Query(ge=0, le=LARGEST, description="Where the page begins: ``next_cursor`` of the page before."),
]
Limit = Annotated[int, Query(ge=1, le=LARGEST, description="Items on the page; the service's limit is told by venue.")]
Sequence_ = Annotated[int, Path(ge=1, le=LARGEST, description="A sequence number.", examples=[4])]
Market = Annotated[int, Path(ge=0, le=65_535, description="A market's index.", examples=[0])]
MarketQuery = Annotated[int, Query(ge=0, le=65_535, description="A spot market's index.", examples=[0])]
Authority = Annotated[
    str,
    Path(description="A public key in base58, or @label.", json_schema_extra=LABEL, examples=["@alice"]),
]
SubAccount = Annotated[int, Path(ge=0, le=65_535, description="The number of the sub-account.", examples=[0])]
AccountQuery = Annotated[
    str | None,
    Query(description="A user account: authority/sub-account.", json_schema_extra=ACCOUNT, examples=["@alice/0"]),
]
Since = Annotated[int | None, Query(ge=0, le=LARGEST, description="Unix seconds, included.")]
Until = Annotated[int | None, Query(ge=0, le=LARGEST, description="Unix seconds, included.")]


def page_limit(limit: int, limits: Limits) -> int:
    """The limit of a page; ``PageTooLarge``."""
    if limit > limits.page:
        raise Problem(
            ServiceError.PageTooLarge,
            f"a page holds {limits.page} items, not {limit}",
            f"limit from 1 to {limits.page}",
        )
    return limit


def page(found: Sequence[Any], next_cursor: int | None) -> dict[str, Any]:
    """A page of a list."""
    return {"items": list(found), "next_cursor": None if next_cursor is None else str(next_cursor)}


def page_of(schema: Schema) -> Schema:
    """The schema of a page of a list."""
    cursor = {**optional(DECIMAL), "description": "Where the next page begins; null at the end."}
    return obj({"items": items(schema), "next_cursor": cursor})


def canonical_key(authority: str) -> str:
    """An authority in base58; ``InvalidParameter``."""
    try:
        return key_to_text(key_from_text(authority))
    except ValueError as error:
        raise Problem(ServiceError.InvalidParameter, str(error), "a public key in base58, or @label") from None


def account_ref(authority: str, sub_account: int) -> str:
    """A user account by its parts; ``InvalidParameter``."""
    return f"{canonical_key(authority)}/{sub_account}"


def require_account(ref: str) -> str:
    """A user account as it was given; ``InvalidParameter`` where it is none."""
    try:
        user_key(ref)
    except SettlementError as error:
        if error.code != ErrorCode.InvalidInstruction:
            raise
        raise Problem(ServiceError.InvalidParameter, error.detail, "authority/sub-account, e.g. @alice/0") from None
    return ref
