"""How a service is run: where the venue is, who may reach it, and its limits."""

import ipaddress
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from seawall.ledger.location import is_postgres

DEFAULT_PORT: Final = 8_730


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may ask for. Each limit has its own error; ``GET /v1/venue`` tells them.

    ``rate``: requests a second that a client's address may make in the long run; ``burst``: at once.
    """

    body_bytes: int = 4 << 20
    body_seconds: int = 20
    rate: int = 500
    burst: int = 2_000
    page: int = 1_000
    streams: int = 1_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``seawall serve`` was told.

    ``location``: a file or ``postgresql://…``. ``dev``: unsigned requests are taken, from this machine only.
    ``standby``: follow another writer and take over when it dies. ``keeper``: crank in this process as ``keeper_key``
    (a secret key, 32 bytes; in development mode a label does). ``data``: the directory for what is computed from the
    journal (index, snapshots of a venue in a database server); None: beside the file, or the user's cache directory.
    """

    location: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    dev: bool = False
    standby: bool = False
    keeper: bool = False
    keeper_key: bytes | None = None
    keeper_label: str = "@keeper"
    dashboard: bool = True
    data: Path | None = None
    limits: Limits = Limits()

    @property
    def computed(self) -> Path:
        """What the names of files begin with that are computed from the journal and may be deleted."""
        if not is_postgres(self.location):
            file = Path(self.location).absolute()
            return file if self.data is None else self.data / file.name
        directory = self.data
        if directory is None:
            directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seawall"
        return directory / f"venue-{sha256(self.location.encode()).hexdigest()[:16]}"

    @property
    def snapshots(self) -> Path:
        """What the names of snapshots begin with."""
        return self.computed if is_postgres(self.location) else Path(self.location).absolute().resolve()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine talking to itself."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
