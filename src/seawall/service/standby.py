"""Following a venue that another process writes, and becoming its writer once that one is gone.

Who writes holds the store's lock: an advisory lock of its session in PostgreSQL, a file lock beside an SQLite
database. Server and operating system drop it when the session or the process ends, however it ends. A standby tries
to get it all the time, and meanwhile carries out what is new in the journal, so that little is left to do when it gets
it. Then it catches up once more: with the lock held nobody else can add anything, and whatever was acknowledged is in
the journal. Only then it takes instructions.

What the dead writer was asked and did not acknowledge may be in the journal or not. A client that repeats it under its
``Idempotency-Key`` gets the first receipt or a new one, and in either case it happened once.
"""

import logging
import time
from typing import TYPE_CHECKING, Final

from seawall.ledger.errors import (
    JournalDamaged,
    LedgerError,
    ReplayDiffers,
    SnapshotDamaged,
    VenueLocked,
    VenueUnusable,
)

if TYPE_CHECKING:
    from seawall.service.runtime import Service

POLL: Final = 0.05
"""Seconds between two looks at the journal and at the lock."""

POLL_UNREACHABLE: Final = 1.0
"""Seconds between two tries to reach a server that cannot be reached."""

_FINAL: Final = (JournalDamaged, SnapshotDamaged, ReplayDiffers, VenueUnusable)
_log = logging.getLogger("seawall.standby")


def follow(service: "Service") -> bool:
    """Follow the venue until its writer is gone, then become the writer; False where the service stops before that.

    Errors as ``Venue.open``; but a server that cannot be reached is only waited for.
    """
    venue = service.venue
    unreachable = ""
    while not service.stopping.is_set():
        pause = POLL
        try:
            if venue.catch_up():
                service.noticed()
            started = time.perf_counter()
            venue.promote()
        except VenueLocked:
            unreachable = ""
        except _FINAL:
            raise
        except LedgerError as error:
            pause = POLL_UNREACHABLE
            if str(error) != unreachable:
                unreachable = str(error)
                _log.warning("the store cannot be read, it is tried again: %s", error)
        else:
            _log.info(
                "writes from here on, after instruction %d; %.3f s", venue.sequence, time.perf_counter() - started
            )
            service.noticed()
            return True
        service.stopping.wait(pause)
    return False
