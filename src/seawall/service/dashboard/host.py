"""NiceGUI under a FastAPI application: mounted once for the process, bound to one service for each application.

NiceGUI is one global application with one event loop; it is configured when the first dashboard is mounted. Every
request and every socket that comes in through an application carries that application's ``Desk`` in its scope, so that
two applications in one process never show each other's venue.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import __version__, ui
from nicegui import app as nicegui_app
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.service.dashboard.desk import Desk

PATH: Final = "/dashboard"
_DESK: Final = "seawall.desk"
_ASSETS: Final = f"/_nicegui/{__version__}/"
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#0b5c6b"/>'
    '<path d="M5 21c3-3 5-3 8 0s5 3 8 0 5-3 6-1M5 14c3-3 5-3 8 0s5 3 8 0 5-3 6-1" fill="none" stroke="#fff" '
    'stroke-width="2.6" stroke-linecap="round"/></svg>'
)

_host: FastAPI | None = None


def _configured() -> FastAPI:
    """The application that NiceGUI believes to run in; it serves nothing, its lifespan starts and ends NiceGUI."""
    global _host
    if _host is None:
        from seawall.service.dashboard import pages

        pages.register()
        _host = FastAPI()
        ui.run_with(
            _host, mount_path=PATH, title="Seawall", favicon=_ICON, dark=None, language="en-US", tailwind=False,
            gzip_middleware_factory=_packed, show_welcome_message=False, reconnect_timeout=10.0,
            binding_refresh_interval=None,
        )  # fmt: skip
    return _host


def _packed(app: ASGIApp) -> GZipMiddleware:
    """Plotly alone has 4 MB: packed quickly rather than tightly."""
    return GZipMiddleware(app, minimum_size=1_000, compresslevel=3)


def attach(app: FastAPI, desk: Desk) -> None:
    """Serve the dashboard of a service under ``PATH`` of its application, and lead ``/`` there."""
    host = _configured()
    app.mount(PATH, Bound(nicegui_app, desk), name="dashboard")
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(outer: FastAPI) -> AsyncIterator[Any]:
        async with host.router.lifespan_context(host), inner(outer) as state:
            yield state
            desk.close()

    app.router.lifespan_context = lifespan
    if not any(getattr(route, "path", None) == "/" for route in app.routes):
        app.add_api_route("/", _to_dashboard, methods=["GET"], include_in_schema=False)


async def _to_dashboard() -> Response:
    # relative, so that it holds behind a proxy that serves all this under a path of its own
    return RedirectResponse(f"{PATH.removeprefix('/')}/")


class Bound:
    """NiceGUI for one service. Pages of other sites get nothing, sockets least of all.

    That development mode talks to this machine only is the service's door's business (``limits.Door``).
    """

    def __init__(self, inner: ASGIApp, desk: Desk) -> None:
        self._inner = inner
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the desk in its scope."""
        refusal = self._refusal(scope)
        if refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})
            else:
                await PlainTextResponse(refusal, 403)(scope, receive, send)
            return
        scope[_DESK] = self._desk
        is_asset = _ASSETS in scope["path"] and "/dynamic_resources/" not in scope["path"]

        async def out(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Frame-Options"] = "DENY"
                if is_asset and message["status"] == 200:
                    # their address has the version; NiceGUI's own middleware overlooks them where it is mounted
                    headers["Cache-Control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self._inner(scope, receive, out)

    def _refusal(self, scope: Scope) -> str:
        if scope["type"] not in ("http", "websocket"):
            return ""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        origin = headers.get("origin", "")
        here = {host, headers.get("x-forwarded-host", host)}
        if origin and origin.partition("://")[2] not in here:
            return "the dashboard does not talk to pages of other sites"
        return ""


def desk_of(request: Request) -> Desk:
    """The desk of the application that a request came in through."""
    desk = request.scope[_DESK]
    assert isinstance(desk, Desk)
    return desk
