"""What a client is told when it does not get what it asked for: RFC 9457 problems under named errors.

The engine's refusals keep their names, numbers and what would pass. What the service itself turns away has names of its
own, with codes from 9100; nothing of that ever reached the venue.
"""

from enum import IntEnum
from typing import Any, Final

import msgspec
from starlette.responses import Response

from seawall.engine.receipts import Receipt
from seawall.errors import MEANING, ErrorCode

MEDIA_TYPE: Final = "application/problem+json"


class ServiceError(IntEnum):
    """Why the service did not even ask the venue."""

    BodyTooLarge = 9100
    BodyTooSlow = 9101
    RateLimited = 9102
    PageTooLarge = 9103
    TooManyStreams = 9104
    InvalidParameter = 9105
    NotFound = 9106
    MethodNotAllowed = 9107
    VenueNotReady = 9108
    VenueStopped = 9109
    AsOfBeyondJournal = 9110
    AsOfTakesLonger = 9111
    LoopbackOnly = 9112
    Unexpected = 9113


SERVICE_MEANING: Final = {
    ServiceError.BodyTooLarge: "the request's body is larger than this service takes",
    ServiceError.BodyTooSlow: "the request's body did not arrive in time",
    ServiceError.RateLimited: "this client asks more often than this service answers",
    ServiceError.PageTooLarge: "a page holds no more than the service's limit",
    ServiceError.TooManyStreams: "no more clients are admitted to the event stream",
    ServiceError.InvalidParameter: "a parameter, a header or the body is not what the API describes",
    ServiceError.NotFound: "there is no such thing here",
    ServiceError.MethodNotAllowed: "this address does not take that method",
    ServiceError.VenueNotReady: "the venue is not open for this here",
    ServiceError.VenueStopped: "the venue cannot go on; the service must be started again",
    ServiceError.AsOfBeyondJournal: "the journal has not come that far",
    ServiceError.AsOfTakesLonger: "the state of that time is still being computed",
    ServiceError.LoopbackOnly: "development mode talks to this machine only",
    ServiceError.Unexpected: "the service failed; nothing is known to be wrong with the request",
}

STATUS: Final[dict[IntEnum, int]] = {
    ServiceError.BodyTooLarge: 413,
    ServiceError.BodyTooSlow: 408,
    ServiceError.RateLimited: 429,
    ServiceError.PageTooLarge: 400,
    ServiceError.TooManyStreams: 503,
    ServiceError.InvalidParameter: 400,
    ServiceError.NotFound: 404,
    ServiceError.MethodNotAllowed: 405,
    ServiceError.VenueNotReady: 503,
    ServiceError.VenueStopped: 503,
    ServiceError.AsOfBeyondJournal: 404,
    ServiceError.AsOfTakesLonger: 503,
    ServiceError.LoopbackOnly: 403,
    ServiceError.Unexpected: 500,
    ErrorCode.SignatureInvalid: 401,
    ErrorCode.SignatureExpired: 401,
    ErrorCode.SignatureReplayed: 401,
    ErrorCode.Unauthorized: 403,
    ErrorCode.VenueBusy: 503,
    ErrorCode.AccountFrozen: 503,
    ErrorCode.InvalidInstruction: 400,
    ErrorCode.UserNotFound: 404,
    ErrorCode.InsuranceFundStakeNotFound: 404,
    ErrorCode.SpotMarketNotFound: 404,
    ErrorCode.PerpMarketNotFound: 404,
    ErrorCode.OracleNotFound: 404,
    ErrorCode.UnableToLoadRevenueShareAccount: 404,
}
"""The HTTP status of an error; 409 for every other reason of the rulebook: the state does not allow it now."""

RETRY_AFTER: Final = 1
"""Seconds after which what is busy, not ready or too often may be asked again."""


class Problem(Exception):
    """A request is answered with a problem instead."""

    def __init__(
        self,
        error: IntEnum,
        detail: str = "",
        would_pass: str = "",
        *,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(error.name, detail)
        self.error = error
        self.detail = detail or meaning(error)
        self.would_pass = would_pass
        self.headers = dict(headers or {})
        if retry_after is None and status_of(error) in (429, 503):
            retry_after = RETRY_AFTER
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        self.more = more

    def response(self, instance: str | None = None, status: int | None = None) -> Response:
        """The problem as an HTTP response."""
        if status is None:
            status = status_of(self.error)
        data: dict[str, Any] = {
            "type": f"/v1/errors/{self.error.name}",
            "title": meaning(self.error),
            "status": status,
            "detail": self.detail,
            "error": self.error.name,
            "code": str(int(self.error)),
            "would_pass": self.would_pass,
        }
        if instance is not None:
            data["instance"] = instance
        data.update(self.more)
        return Response(msgspec.json.encode(data), status, self.headers, f"{MEDIA_TYPE}; charset=utf-8")


def meaning(error: IntEnum) -> str:
    """One sentence for an error of the venue or of the service."""
    return MEANING[error] if isinstance(error, ErrorCode) else SERVICE_MEANING[ServiceError(error)]


def status_of(error: IntEnum) -> int:
    """The HTTP status that an error is answered with."""
    return STATUS.get(error, 409)


def status_of_receipt(receipt: Receipt) -> int:
    """The HTTP status of a receipt.

    A malformed request never gets as far as a receipt: here ``InvalidInstruction`` too is a refusal by the state.
    """
    if receipt.refusal is None:
        return 200
    error = ErrorCode(receipt.refusal.code)
    return 409 if error == ErrorCode.InvalidInstruction else status_of(error)


def named(error: str) -> IntEnum | None:
    """An error by its name, of the venue or of the service."""
    if error in ErrorCode.__members__:
        return ErrorCode[error]
    return ServiceError[error] if error in ServiceError.__members__ else None


def catalogue() -> list[IntEnum]:
    """Every error there is, in the order of codes."""
    return sorted([*ErrorCode, *ServiceError], key=int)
