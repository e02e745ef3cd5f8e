"""The one list of facts that are not compared, each with its reason. ``docs/parity.md`` prints it.

Facts of version ``head`` are asserted by the last public source only; where its rule is that of v2.84.0 they are
compared all the same, otherwise they stand here.
"""

from typing import Any, Final, NamedTuple

_ALL: Final = ("both", "2024-08", "head")
_HEAD: Final = ("head",)


class LeftOut(NamedTuple):
    """Facts that are left out: of these functions (full name, or the name without the remark in parentheses), of these
    versions, of these tests (a test's name, or the remark in parentheses that its source has; none: of all), and only
    where the named input is true (none: always).
    """

    functions: tuple[str, ...]
    reason: str
    versions: tuple[str, ...] = _HEAD
    tests: tuple[str, ...] = ()
    where: str = ""


LEFT_OUT: Final[tuple[LeftOut, ...]] = (
    # --- rules that a later version changed
    LeftOut(("calculate_borrow_rate",), "the rate curve has six segments; that of v2.84.0 has one kink"),
    LeftOut(
        ("update_spot_market_cumulative_interest",),
        "interest at a utilization above the kink, on the curve of six segments",
        tests=("check_fee_collection_larger_nums",),
    ),
    LeftOut(
        ("calculate_max_borrow_token_amount", "withdraw limit components"),
        "borrows may reach 1/3 of the deposits (v2.84.0: 1/6), and markets are grouped in pools",
    ),
    LeftOut(("update_pool_balances",), "what a loser can pay includes the room to borrow, which is larger"),
    LeftOut(
        ("calculate_max_withdrawable_amount",),
        "one unit less of free collateral counts",
        tests=("sol_withdraw",),
    ),
    LeftOut(("margin calculation, liquidation context",), "a negative P&L counts with the margin buffer"),
    LeftOut(
        ("calculate_spread", "calculate_long_short_vol_spread"),
        "the volatility part of a spread is half as large, and spreads can be adjusted by inventory",
    ),
    LeftOut(("update_spreads",), "markets have an adjustment of their static spread"),
    LeftOut(("_update_amm",), "spreads with the smaller volatility part, deviations against the old TWAPs"),
    LeftOut(
        ("update_oracle_price_twap", "update_oracle_price_twap and update_mark_twap_from_estimates"),
        "deviations are the larger of two, against the TWAPs before the update",
    ),
    LeftOut(("determine_user_fee_tier",), "fee tiers by other volumes, and by a stake of the governance token"),
    # --- what v2.84.0 does not have
    LeftOut(
        ("calculate_fee_for_fulfillment_with_match", "calculate_fee_for_fulfillment_with_amm"),
        "there is no high leverage mode in v2.84.0",
        where="user_high_leverage_mode",
    ),
    LeftOut(("get_margin_ratio",), "there is no high leverage mode in v2.84.0", where="high_leverage"),
    LeftOut(("settle_pnl",), "there are no isolated positions in v2.84.0", where="isolated_position"),
    LeftOut(
        (
            "update_spot_balances on an isolated perp position",
            "is_cross_margin_bankrupt (isolated position)",
            "is_isolated_margin_bankrupt",
        ),
        "there are no isolated positions in v2.84.0",
    ),
    LeftOut(
        ("calculate_perp_position_value_and_pnl (prediction market)",),
        "there are no prediction markets in v2.84.0",
        versions=_ALL,
    ),
    LeftOut(
        ("insurance fund rebalance swap", "transfer_protocol_if_shares_to_revenue_pool"),
        "insurance funds cannot swap with outside venues in v2.84.0",
    ),
    LeftOut(("validate_swap_within_liquidation_boundaries",), "there are no liquidations by swap in v2.84.0"),
    # --- what Seawall does not model
    LeftOut(
        ("update_historical_index_price",),
        "index prices of an external spot venue; read by no modelled rule",
        versions=_ALL,
    ),
    LeftOut(("liquidate_perp (several slots)",), "a negative P&L counts with the margin buffer in the shortage"),
    LeftOut(
        ("liquidate_perp_pnl_for_deposit",),
        "the loss is weighted with the margin buffer",
        tests=("successful_liquidation_pnl_transfer_to_cover_margin_shortage",),
    ),
    LeftOut(
        ("calculate_asset_transfer_for_liability_transfer",),
        "tokens of fewer than 6 decimals fail with MathError in v2.84.0",
        tests=("full_liability_tranfer_asset_decimals_less_than_liability_decimals",),
    ),
    LeftOut(("get_liquidation_fee",), "liquidator fees do not grow with the slots in v2.84.0", versions=_ALL),
)


def left_out(
    entries: tuple[LeftOut, ...], function: str, version: str, source: str, inputs: dict[str, Any]
) -> LeftOut | None:
    """The entry that leaves a fact out, or None if it is compared."""
    names = (function, function.partition("(")[0].rstrip())
    test = source.rpartition("::")[2].partition(" @")[0]
    for entry in entries:
        if (
            version in entry.versions
            and any(name in entry.functions for name in names)
            and (not entry.tests or test in entry.tests or any(f"({remark})" in source for remark in entry.tests))
            and (not entry.where or inputs.get(entry.where) is True)
        ):
            return entry
    return None
