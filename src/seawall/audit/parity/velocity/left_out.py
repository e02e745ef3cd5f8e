"""The facts of Velocity that are not compared, each with its reason. ``docs/parity.md`` prints the list."""

from typing import Final

from seawall.audit.parity.facts_left_out import LeftOut

_ANY: Final = ("", "L", "P")

VELOCITY_LEFT_OUT: Final[tuple[LeftOut, ...]] = (
    # --- balances
    LeftOut(
        ("accrue_sequence_small(P) step 2", "accrue_sequence_small(P) step 3", "accrue_sequence_large(P) step 3"),
        "the carve-out is floored at every accrual; now its remainder is carried to the next",
        versions=_ANY,
    ),
    # --- fills
    LeftOut(
        ("perp_fee_tier(version with 2 thresholds)",),
        "a version between: two volume thresholds, a first tier of 35",
        versions=_ANY,
    ),
    LeftOut(
        ("perp_fee_tier_with_stake(P)",),
        "volumes as stored and a discount for staked governance tokens; now volumes decay and there is no discount",
        versions=_ANY,
    ),
    # --- liquidations
    LeftOut(
        ("liquidate_perp_pnl_for_deposit",),
        "a version between: it took more collateral than the loss was worth to the account; now that is refused",
        versions=_ANY,
        tests=("layer T; rejected at M",),
    ),
    # --- pools
    LeftOut(
        ("sweep_market_fees(P)",),
        "insurance was served first and the protocol was held to the buffer too; now the protocol comes first",
        versions=_ANY,
    ),
)
