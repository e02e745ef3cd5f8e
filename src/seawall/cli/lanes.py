"""The choice between the two lanes as an option of commands."""

from enum import StrEnum

from seawall.bulk import unavailable_reason
from seawall.cli.opening import fail


class Lane(StrEnum):
    """Where rules run: as Python, or compiled."""

    EXACT = "exact"
    BULK = "bulk"


def require_bulk_lane() -> None:
    """End the command where nothing can be compiled, and say why."""
    reason = unavailable_reason()
    if reason is not None:
        raise fail(f"the bulk lane is not available: {reason}")
