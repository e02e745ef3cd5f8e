"""One writer a venue: a lock that the operating system drops when its process dies, however it dies."""

import fcntl
import os
from pathlib import Path

from seawall.ledger.errors import VenueLocked


class WriterLock:
    """Holds ``<database>-lock`` exclusively. The file stays behind on purpose: removing it would be a race."""

    def __init__(self, database: Path) -> None:
        """Take the lock; ``VenueLocked`` if another process (or another opening in this one) holds it."""
        self.path = Path(f"{database}-lock")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            raise VenueLocked(
                f"{database} is being written by another process (pid {holder or 'unknown'}); a venue has one writer. "
                "Close it there first, or open this one read-only"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another writer in."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
