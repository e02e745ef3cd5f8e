"""``seawall keeper``: a keeper in a process of its own, over HTTP."""

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seawall.cli import app
from seawall.cli.opening import fail

if TYPE_CHECKING:
    from seawall.keeper.runner import Keeper
    from seawall.keeper.status import KeeperStatus


@app.command()
def keeper(
    service: Annotated[str, typer.Argument(help="The service's address, e.g. http://127.0.0.1:8730.")],
    key: Annotated[Path | None, typer.Option(help="The key file that it signs with (seawall keys create).")] = None,
    signer: Annotated[
        str | None, typer.Option(help="Without a key: a label, for a service in development mode.")
    ] = None,
    liquidator: Annotated[
        str | None, typer.Option(help="The account that takes over; without it the signer's first.")
    ] = None,
    tick: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two rounds.")] = 1.0,
    budget: Annotated[float, typer.Option(min=0.01, max=10, help="Seconds a round for each scan.")] = 0.15,
    interest_every: Annotated[int, typer.Option(min=1, help="Seconds between accruals of interest.")] = 300,
    settle_every: Annotated[
        int, typer.Option(min=0, help="Seconds in which every account's P&L comes round; 0: each round.")
    ] = 3_600,
    settle_least: Annotated[int, typer.Option(min=0, help="P&L (quote 1e6) that is left alone.")] = 1_000_000,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Serve metrics for Prometheus on this machine's port.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then a table of what became of each crank.")] = False,
    log: Annotated[Literal["auto", "json", "console"], typer.Option(help="The form of the log.")] = "auto",
) -> None:
    """Crank a venue that a service elsewhere runs: interest, funding, settlements, liquidations, bankruptcies, …"""
    try:
        from seawall.keeper.runner import Keeper, KeeperSettings
        from seawall.service.client import Client
        from seawall.service.keyfiles import KeyFileError, read_key_file
        from seawall.service.logs import configure
        from seawall.service.remote_port import RemotePort
    except ImportError as error:
        raise fail(f"{error}: the keeper needs pip install 'seawall[service]'") from None
    if (key is None) == (signer is None):
        raise fail("a keeper signs with --key FILE; for a service in development mode --signer @LABEL does instead")
    try:
        secret = None if key is None else read_key_file(key)
    except KeyFileError as error:
        raise fail(str(error)) from None
    configure(log)
    # what it asks and sends is in the service's log
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with Client(service, secret, signer=signer) as client:
        settings = KeeperSettings(
            tick=tick, budget=budget, liquidator=liquidator, interest_every=interest_every, settle_every=settle_every,
            settle_least=settle_least,
        )  # fmt: skip
        runner = Keeper(RemotePort(client), settings)
        if metrics_port is not None:
            _serve_metrics(runner, metrics_port)
        if once:
            runner.tick()
            _show(runner.status())
            return
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        runner.run(stop)


def _serve_metrics(runner: "Keeper", port: int) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from seawall.keeper.metrics import KeeperMetrics

    registry = CollectorRegistry()
    registry.register(KeeperMetrics(runner.status))
    try:
        server, _ = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise fail(f"127.0.0.1:{port}: {error.strerror or error}") from None
    typer.echo(f"metrics on http://127.0.0.1:{server.server_port}/metrics")


def _show(status: "KeeperStatus") -> None:
    """Every crank with what became of it; exit code 1 where the round could not be ended."""
    from rich.console import Console

    from seawall.cli.text import table, when

    console = Console(highlight=False)
    shown = table(
        f"Keeper {status.signer}", "crank", "of", "done", "idle", "refused", "skipped", "next", "because",
        left=("of", "because"),
    )  # fmt: skip
    for crank in status.cranks:
        counts = (crank.done, crank.idle, crank.refused, crank.skipped)
        upcoming = "" if crank.next_at is None else when(crank.next_at)
        shown.add_row(crank.name, crank.subject, *map(str, counts), upcoming, crank.last_skipped_because)
    console.print(shown)
    for scan in status.scans:
        console.print(f"{scan.name}: {scan.looked_at:,} of {scan.accounts:,} looked at, {scan.left:,} left {scan.lane}")
    if status.failure:
        raise fail(status.failure)
