"""What the figures of a margin calculation say of the whole account, for tests of the predicates that allocate none."""

from seawall.rules.velocity.margin import meets_margin_requirement
from seawall.state.facts import MarginCalculation
from seawall.state.user import POSITIONS


def meets_all(calculation: MarginCalculation) -> bool:
    """Whether cross margin (row −1) and every isolated position cover their requirements."""
    return all(meets_margin_requirement(calculation, row) for row in range(-1, POSITIONS))
