"""``seawall serve``: a venue over HTTP."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seawall.cli import app
from seawall.cli.opening import fail, open_venue

if TYPE_CHECKING:
    from seawall.service.runtime import Service
    from seawall.service.settings import Settings

DEFAULT_VENUE = "venue.seawall"


@app.command()
def serve(
    venue: Annotated[str, typer.Argument(help="The venue's database file; it is created if it is missing.")] = (
        DEFAULT_VENUE
    ),
    db: Annotated[str | None, typer.Option(help="A database server instead: postgresql://…[#schema].")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0: any free one.")] = 8_730,
    dev: Annotated[bool, typer.Option("--dev", help="Take unsigned requests, from this machine only.")] = False,
    standby: Annotated[bool, typer.Option("--standby", help="Follow another writer; take over when it dies.")] = False,
    keeper: Annotated[bool, typer.Option("--keeper", help="Crank the venue in this process.")] = False,
    keeper_key: Annotated[Path | None, typer.Option(help="The keeper's key file.")] = None,
    dashboard: Annotated[bool, typer.Option(help="Serve the dashboard, where it is installed.")] = True,
    genesis: Annotated[Path | None, typer.Option(help="Instructions that begin a venue which is empty.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory for the index, and a server's snapshots.")] = None,
    rate: Annotated[int, typer.Option(min=1, help="Requests a second of one client.")] = 500,
    burst: Annotated[int, typer.Option(min=1, help="Requests of one client at once.")] = 2_000,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of the largest body.")] = 4 << 20,
    max_page: Annotated[int, typer.Option(min=1, help="Items of the largest page.")] = 1_000,
    log: Annotated[Literal["auto", "json", "console"], typer.Option(help="The form of the log.")] = "auto",
) -> None:
    """Serve a venue over HTTP: API, event stream, metrics, dashboard."""
    try:
        from seawall.service.keyfiles import KeyFileError, read_key_file
        from seawall.service.logs import configure
        from seawall.service.runtime import Service
        from seawall.service.settings import Limits, Settings, is_loopback
    except ImportError as error:
        raise fail(f"{error}: the service needs pip install 'seawall[service]'") from None
    if dev and not is_loopback(host):
        raise fail(f"--dev takes unsigned requests and is for this machine only, not for {host}")
    if keeper and keeper_key is None and not dev:
        raise fail("--keeper signs what it does: name its key with --keeper-key (seawall keys create FILE)")
    try:
        secret = None if keeper_key is None else read_key_file(keeper_key)
    except KeyFileError as error:
        raise fail(str(error)) from None
    location = db or venue
    if genesis is not None:
        _begin(location, genesis)
    settings = Settings(
        location=location, host=host, port=port, dev=dev, standby=standby, keeper=keeper, keeper_key=secret,
        dashboard=dashboard, data=data,
        limits=Limits(rate=rate, burst=burst, body_bytes=max_body, page=max_page),
    )  # fmt: skip
    configure(log)
    listener = _listen(host, port)
    service = Service(settings)
    # the venue is opened while the libraries of the HTTP side are being imported
    service.start(wait=False)
    _run(service, settings, listener)


def _begin(location: str, genesis: Path) -> None:
    """Apply an instruction file to a venue that is empty, wholly or not at all; any other is left as it is."""
    from seawall.engine.request_lines import InstructionFileError, read_requests

    with open_venue(location) as venue:
        if venue.sequence:
            return
        try:
            requests = [request for _, request in read_requests(genesis)]
        except InstructionFileError as error:
            raise fail(str(error)) from None
        receipts = venue.apply_all_or_none(requests, lambda receipt: receipt.ok)
        if receipts and receipts[-1].refusal is not None:
            refusal = receipts[-1].refusal
            raise fail(f"{genesis}: instruction {len(receipts)}: {refusal.error}: {refusal.message}")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise fail(f"{host}:{port}: {error.strerror or error}") from None
    return listener


def _run(service: "Service", settings: "Settings", listener: socket.socket) -> None:
    import uvicorn

    from seawall.service.app import create_app
    from seawall.service.limits import DEV_MODE, LIVE_MODE

    application = create_app(service)
    port = listener.getsockname()[1]

    class Server(uvicorn.Server):
        """Ends its streams before it waits for connections, and ends itself where the venue cannot go on."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            typer.echo(f"http://{host}:{port}/  {DEV_MODE if settings.dev else LIVE_MODE}")

        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or service.stopped_because() is not None

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            application.state.stream.stop()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        application, log_config=None, access_log=False, proxy_headers=False, server_header=False,
        timeout_graceful_shutdown=10, backlog=2_048,
    )  # fmt: skip
    Server(config).run(sockets=[listener])
    because = service.stopped_because()
    if because is not None:
        raise fail(because)
