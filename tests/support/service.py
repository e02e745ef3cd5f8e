"""A real service on a real port: a whole venue on disk, its people with keys of their own."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn

from seawall.engine.machine import Request
from seawall.engine.venue import Venue
from seawall.instructions.base import decode_canonical, encode
from seawall.keys import base58
from seawall.service.app import create_app
from seawall.service.runtime import Service
from seawall.service.settings import Settings
from seawall.signing import public_key
from support.venues import WholeVenue


def secret_of(label: str) -> bytes:
    """The secret key of somebody in a test."""
    return sha256(f"secret of {label}".encode()).digest()


def key_of(label: str) -> str:
    """The public key of somebody in a test, in base58."""
    return base58(public_key(secret_of(label)))


def with_keys(requests: list[Request]) -> list[Request]:
    """The same requests by people who have keys instead of labels."""

    def keyed(text: str) -> str:
        return re.sub(r"@[a-z0-9-]+", lambda found: key_of(found[0]), text)

    return [
        request._replace(
            instruction=decode_canonical(keyed(encode(request.instruction).decode()).encode()),
            signer=keyed(request.signer),
        )
        for request in requests
    ]


def whole_venue(path: Path, keys: bool = True, **options: Any) -> None:
    """The venue of ``support.venues`` in a file; its last instruction was carried out just after ``START``."""
    asked = WholeVenue(**options).asked
    with Venue.open(path) as venue:
        for receipt in venue.apply_many(with_keys(asked) if keys else asked):
            assert receipt.ok, receipt.refusal


class Running:
    """A service behind uvicorn in a thread."""

    def __init__(self, service: Service, server: uvicorn.Server, url: str) -> None:
        self.service = service
        self.server = server
        self.url = url


@contextmanager
def serving(settings: Settings, now: Any = None) -> Iterator[Running]:
    """A service on a free port of this machine, until the block ends."""
    service = Service(settings) if now is None else Service(settings, now)
    service.start()
    app = create_app(service)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < until, "the server did not start"
            assert thread.is_alive()
            time.sleep(0.01)
        yield Running(service, server, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        app.state.stream.stop()
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()
