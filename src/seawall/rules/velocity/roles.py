"""What the pause admin may do. Source: velocity/protocol-fees-and-roles.md §6; ``auth.rs``."""

from seawall.lanes import rule


@rule
def only_adds_bits(old: int, new: int) -> bool:
    """Whether every pause bit that is set stays set."""
    return old & new == old
