"""The facts of Velocity that are not compared, each with its reason. ``docs/parity.md`` prints the list."""

from typing import Final

from seawall.audit.parity.facts_left_out import LeftOut

VELOCITY_LEFT_OUT: Final[tuple[LeftOut, ...]] = ()
