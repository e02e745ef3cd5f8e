"""The door: what every request passes before anything looks at it, and every response on its way out.

Development mode talks to this machine only; a client may ask only so often; a body may be only so large, and must
arrive in time. Responses tell the mode that the service runs in. Written against ASGI itself, so that streams pass
unbuffered.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.service.metrics import Metrics
from seawall.service.problems import Problem, ServiceError
from seawall.service.settings import Limits, Settings, is_loopback

MODE_HEADER: Final = "Seawall-Mode"
DEV_MODE: Final = "development: unsigned requests are taken, from this machine only"
LIVE_MODE: Final = "live: every change must be signed"
CLIENTS: Final = 100_000
"""Client addresses that are remembered for the rate limit; the longest silent one is forgotten first."""
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

_log = structlog.get_logger("seawall.http")


class Buckets:
    """How often each client asked: ``rate`` a second in the long run, ``burst`` at once."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = limits.rate
        self._burst = limits.burst
        self._now = now
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Note a request; 0 if it passes, otherwise the seconds until one would."""
        now = self._now()
        left, at = self._clients.pop(client, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait = 0.0
        if left >= 1:
            left -= 1
        else:
            wait = (1 - left) / self._rate
        self._clients[client] = left, now
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return wait


class Door:
    """The middleware around everything."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.mode = DEV_MODE if settings.dev else LIVE_MODE
        self.buckets = Buckets(settings.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            if self.settings.dev and local_only(scope) is not None:
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return
        await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = uuid4().hex[:16]
        status = 0

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[MODE_HEADER] = self.mode
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._admit(scope)
            await self.app(scope, receive, out)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, out)
        except ClientDisconnect:
            status = status or 499
        finally:
            seconds = time.perf_counter() - started
            route = template(scope)
            self.metrics.request(scope["method"], route, status, seconds)
            if not route.startswith("/_nicegui"):
                _log.info(
                    "request", method=scope["method"], path=scope["path"], status=status, request=request_id,
                    milliseconds=round(seconds * 1000, 2), client=client_of(scope),
                )  # fmt: skip

    def _admit(self, scope: Scope) -> None:
        if self.settings.dev:
            why = local_only(scope)
            if why is not None:
                raise Problem(ServiceError.LoopbackOnly, why, "a request from this machine, to localhost")
        limits = self.settings.limits
        if scope["path"].startswith("/v1/"):
            wait = self.buckets.take(client_of(scope))
            if wait:
                raise Problem(
                    ServiceError.RateLimited,
                    f"{client_of(scope)} may make {limits.rate} requests a second, {limits.burst} at once",
                    f"the same in {wait:.3f} seconds", retry_after=max(1, round(wait + 0.5)),
                )  # fmt: skip
        length = Headers(scope=scope).get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:18]) > limits.body_bytes:
            raise too_large(limits)


def too_large(limits: Limits) -> Problem:
    """The problem with a body above the limit."""
    return Problem(
        ServiceError.BodyTooLarge, f"a body may have {limits.body_bytes} bytes", "a smaller body",
        headers={"Connection": "close"},
    )  # fmt: skip


async def body_of(request: Request, limits: Limits) -> bytes:
    """The whole body; ``BodyTooLarge`` as soon as it is, ``BodyTooSlow`` if it does not arrive in time."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise too_large(limits)
                parts.append(part)
    except TimeoutError:
        raise Problem(
            ServiceError.BodyTooSlow, f"the body did not arrive within {limits.body_seconds} seconds",
            headers={"Connection": "close"},
        ) from None  # fmt: skip
    return b"".join(parts)


def local_only(scope: Scope) -> str | None:
    """Why development mode does not talk to a client; None for a program or a page on this machine.

    The Host and Origin headers are looked at too, so that no foreign page in a browser on this machine can act, and no
    proxy passes strangers on.
    """
    headers = Headers(scope=scope)
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        return f"{client[0]} is not this machine"
    host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname or ""
    if not is_loopback(host):
        return f"the request is for the host {host!r}"
    origin = headers.get("origin")
    if origin is not None and not is_loopback(urlsplit(origin).hostname or ""):
        return f"the request comes from a page of {origin!r}"
    passed_on = next((name for name in FORWARDED if name in headers), None)
    return None if passed_on is None else f"the request was passed on by a proxy (header {passed_on!r})"


def client_of(scope: Scope) -> str:
    """The address of the client."""
    client = scope.get("client")
    return client[0] if client else "local"


def template(scope: Scope) -> str:
    """The route of a request without its parameters, so that metrics do not grow with what is asked for."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) and path else "unmatched"
