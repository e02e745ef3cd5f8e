"""What can be wrong with a stored venue.

    LedgerError
    ├── VenueLocked        another process writes to the venue
    ├── JournalDamaged     the journal is not what was acknowledged: a flipped byte, a truncated file, a lost entry
    ├── SnapshotDamaged    a snapshot is not what was written, or was written by another version
    ├── ReplayDiffers      re-executed, an instruction has another outcome than the journal says
    └── VenueUnusable      this process may not go on with the venue: closed, a failed commit, or a forked child

Nothing is ever repaired silently: each message names the file and what to do about it.
"""


class LedgerError(Exception):
    """A stored venue cannot be opened or written; the message says why and what to do."""


class VenueLocked(LedgerError):
    """A second writer was refused."""


class JournalDamaged(LedgerError):
    """The journal is not what was acknowledged."""


class SnapshotDamaged(LedgerError):
    """A snapshot is not what was written."""


class ReplayDiffers(LedgerError):
    """Re-executed, an instruction has another outcome than the journal says."""


class VenueUnusable(LedgerError):
    """This process may not go on with the venue."""
