"""Settling the P&L of many users: the bulk lane beside the exact lane, the same loop over the same rows.

Each account is an instruction of its own: refresh of the AMM, settlement with strict margin for losers, vault check;
about two fifths of the accounts are refused and restored. No receipts, no journal: what is compared is the rules.
"""

import copy
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.bulk_tables import random_tables

from seawall.bulk import kernels, unavailable_reason
from seawall.bulk.batch import Tables, run

USERS = 100_000
EXACT_USERS = 4_000
ROUNDS = 3


def seconds(tables: Tables, compiled: bool, now: int, slot: int) -> float:
    """The best of some rounds, each on a copy of the tables."""
    best = float("inf")
    for _ in range(ROUNDS):
        copied = copy.deepcopy(tables)
        start = time.perf_counter()
        run(
            kernels.settle_pnl, copied, compiled=compiled, market_index=0, quote_vault=2**63 - 1, now=now, slot=slot,
            mode=0,
        )  # fmt: skip
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Print accounts a second in both lanes, and the ratio."""
    reason = unavailable_reason()
    if reason is not None:
        print(f"the bulk lane is not available: {reason}")
        return
    print(f"{'positions':>10} {'exact /s':>12} {'bulk /s':>12} {'ratio':>7}")
    for positions in (2, 8):
        few, now, slot = random_tables(EXACT_USERS, positions=positions)
        many, _, _ = random_tables(USERS, positions=positions)
        seconds(few, True, now, slot)  # compile
        exact = EXACT_USERS / seconds(few, False, now, slot)
        bulk = USERS / seconds(many, True, now, slot)
        print(f"{f'{positions}+{positions}':>10} {exact:>12,.0f} {bulk:>12,.0f} {bulk / exact:>7.0f}")


if __name__ == "__main__":
    main()
