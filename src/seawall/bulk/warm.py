"""Compiling ahead of use."""

import pkgutil
from importlib import import_module
from typing import get_args

import seawall.rules
from seawall.bulk import kernels, kernels_risk
from seawall.bulk.compiler import declared_type, entry
from seawall.bulk.hints import parameter_hints
from seawall.lanes import RULES
from seawall.records import Record

ENTRY_LOOPS = (
    kernels.settle_pnl,
    kernels.settle_expired_positions,
    kernels.settle_funding,
    kernels_risk.mark_liquidatable,
)
"""The loops that ``batch.run`` is called with."""


def warm_loops() -> int:
    """Compile or load every loop; how many."""
    for loop in ENTRY_LOOPS:
        entry(loop, tuple(declared_type(hint) for hint in parameter_hints(loop).values()))
    return len(ENTRY_LOOPS)


def warm_rules() -> int:
    """Compile or load every rule by itself, once a kind of record that it admits; how many pieces."""
    for module in pkgutil.walk_packages(seawall.rules.__path__, "seawall.rules."):
        import_module(module.name)
    count = 0
    for rule in RULES.values():
        for parameters in rule_parameters(parameter_hints(rule)):
            entry(rule, parameters)
            count += 1
    return count


def rule_parameters(hints: dict[str, object]) -> list[tuple[object, ...]]:
    """The parameter types a rule can be called with: one choice a kind of record where a parameter admits several."""
    kinds = next((get_args(hint) for hint in hints.values() if _admits_several(hint)), (None,))
    return [tuple(declared_type(kind if _admits_several(hint) else hint) for hint in hints.values()) for kind in kinds]


def _admits_several(hint: object) -> bool:
    kinds = get_args(hint)
    return len(kinds) > 1 and all(isinstance(kind, type) and issubclass(kind, Record) for kind in kinds)
