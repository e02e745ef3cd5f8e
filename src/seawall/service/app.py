"""The HTTP application over a running service."""

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from seawall.errors import SettlementError
from seawall.ledger.errors import LedgerError
from seawall.service import about, api
from seawall.service.documents import Answers, document
from seawall.service.history import (
    History,
    add_entries,
    add_heavy,
    add_parts,
    add_receipts,
    add_stream,
    add_times,
)
from seawall.service.keeper_api import keeper_routes
from seawall.service.limits import Door
from seawall.service.metrics import Metrics
from seawall.service.past import Past
from seawall.service.problems import Problem, ServiceError
from seawall.service.reads import Reads, add_questions, add_records
from seawall.service.runtime import NotReady, Service
from seawall.service.stream import Stream

_log = structlog.get_logger("seawall.http")


def create_app(service: Service) -> FastAPI:
    """The application: API, event stream, metrics, and the dashboard where NiceGUI is installed.

    It starts the service when the server starts, unless it runs already, and stops it when the server stops.
    """
    metrics = Metrics(service)
    stream = Stream(service, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stream.start()
        if not service.started:
            service.start(wait=False)
        yield
        stream.stop()
        await run_in_threadpool(service.stop)

    app = FastAPI(
        title="Seawall", version=about.VERSION, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.service = service
    app.state.stream = stream
    answers, past = Answers(), Past(service)
    _add_routes(app, service, answers, past, stream, metrics)
    _add_problems(app)
    _add_document(app, service, answers)
    app.add_middleware(Door, settings=service.settings, metrics=metrics)
    if service.settings.dashboard and importlib.util.find_spec("nicegui") is not None:
        _mount_dashboard(app, service)
    return app


def _add_routes(app: FastAPI, service: Service, answers: Answers, past: Past, stream: Stream, metrics: Metrics) -> None:
    app.include_router(about.routes(service, answers, metrics))
    app.include_router(api.router(service))
    history = History(service, past, answers, stream)
    for add in (add_receipts, add_parts, add_heavy, add_entries, add_times, add_stream):
        add(history)
    app.include_router(history.routes)
    reads = Reads(service, past, answers)
    add_records(reads)
    add_questions(reads)
    app.include_router(reads.routes)
    app.include_router(keeper_routes(service, answers))


def _mount_dashboard(app: FastAPI, service: Service) -> None:
    try:
        from seawall.service.dashboard import mount
    except ImportError as error:
        _log.warning("no dashboard", because=str(error))
        return
    mount(app, service)


def _add_document(app: FastAPI, service: Service, answers: Answers) -> None:
    @cache
    def made() -> dict[str, Any]:
        return document(app, answers, signed=not service.settings.dev, limits=service.settings.limits)

    app.openapi = made  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        return made()


# --- whatever goes wrong becomes a problem ---------------------------------------------------------------------


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response(request.url.path)

    @app.exception_handler(SettlementError)
    async def refused(request: Request, error: SettlementError) -> Response:
        return Problem(error.code, error.detail, error.would_pass).response(request.url.path)

    @app.exception_handler(NotReady)
    async def not_ready(request: Request, error: NotReady) -> Response:
        return Problem(ServiceError.VenueNotReady, str(error)).response(request.url.path)

    @app.exception_handler(LedgerError)
    async def stopped(request: Request, error: LedgerError) -> Response:
        _log.error("the venue cannot go on", error=str(error))
        return Problem(ServiceError.VenueStopped, str(error)).response(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        return Problem(ServiceError.InvalidParameter, faults[:2_000]).response(request.url.path)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        kind = {404: ServiceError.NotFound, 405: ServiceError.MethodNotAllowed}.get(error.status_code)
        if kind is None:
            return Problem(ServiceError.InvalidParameter, str(error.detail)).response(request.url.path)
        detail = f"{request.method} {request.url.path[:200]}"
        return Problem(kind, detail, headers=dict(error.headers or {})).response(request.url.path)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("unexpected", path=request.url.path, exc_info=error)
        return Problem(ServiceError.Unexpected, f"{type(error).__name__}").response(request.url.path)
