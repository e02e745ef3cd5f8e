"""Why a liquidation was refused, or went no further, with the numbers that the rules noted on the way.

Quote amounts are written in whole units in sentences and 1e6 in limits; base is 1e9, tokens are raw.
"""

from collections.abc import Callable
from typing import NamedTuple

from seawall.arithmetic import PRICE_PRECISION, pow10
from seawall.engine.explain import Explanation
from seawall.engine.handlers.order_refusals import short_of_margin
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.liquidation import (
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidatePerpWithFill,
    LiquidateSpot,
    LiquidateSpotWithSwap,
)
from seawall.rules.common.liquidation_math import LIQUIDATION_PCT_PRECISION
from seawall.rules.common.liquidation_steps import calculate_user_safest_position_tiers
from seawall.rules.common.perp_orders import twap_band_limit
from seawall.rules.common.perp_positions import find_perp_position, is_perp_position_available
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.velocity.isolated import CROSS, scope_of
from seawall.rules.velocity.liquidation_perp import price_with_fee
from seawall.rules.velocity.margin import margin_shortage, scope_figures
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MARGIN_INITIAL,
    PERP_LIQUIDATION,
    RULEBOOK_VELOCITY,
    SPOT_LIQUIDATION,
    VELOCITY_SPOT_LIQUIDATION,
    AssetTier,
    BalanceType,
    ContractTier,
)
from seawall.state.facts import LiquidationFacts, MarginCalculation
from seawall.state.oracle import HistoricalOracleData, OraclePriceData
from seawall.state.user import User

LimitedLiquidation = LiquidatePerp | LiquidateSpot | LiquidateBorrowForPerpPnl | LiquidatePerpPnlForDeposit
"""Liquidations in which the liquidator takes over, up to a maximum and within a limit price."""

AnyLiquidation = LimitedLiquidation | LiquidatePerpWithFill | LiquidateSpotWithSwap

_PARTS = {"liquidate_perp_with_fill": "liquidate_perp", "liquidate_spot_with_swap": "liquidate_spot"}


def spot_indices(ix: AnyLiquidation) -> list[int]:
    """The spot markets that take part: the asset's before the liability's."""
    if isinstance(ix, LiquidatePerp | LiquidatePerpWithFill):
        return []
    if isinstance(ix, LiquidateSpot | LiquidateSpotWithSwap):
        return [ix.asset_market_index, ix.liability_market_index]
    return [ix.spot_market_index]


class Liquidation(NamedTuple):
    """One liquidation: who takes over from whom, and what the rules noted.

    ``twaps``: 5-minute TWAPs of the spot markets that take part, as they were before.
    """

    tx: Transaction
    ix: AnyLiquidation
    user: User
    liquidator: User
    calculation: MarginCalculation
    facts: LiquidationFacts
    twaps: dict[int, int]

    @property
    def part(self) -> str:
        """The part of LiquidationRecord that tells of it."""
        return _PARTS.get(self.ix.ix, self.ix.ix)

    @property
    def asked(self) -> int:
        """The liquidator's own maximum: base, tokens of the liability, quote; tokens of the asset for a swap."""
        ix = self.ix
        if isinstance(ix, LiquidatePerp):
            return ix.liquidator_max_base_asset_amount
        if isinstance(ix, LiquidatePerpWithFill):
            return self.facts.held
        if isinstance(ix, LiquidateSpotWithSwap):
            return ix.amount_in
        if isinstance(ix, LiquidatePerpPnlForDeposit):
            return ix.liquidator_max_pnl_transfer
        return ix.liquidator_max_liability_transfer

    @property
    def taken(self) -> int:
        """What was taken over, in the same unit."""
        if isinstance(self.ix, LiquidateSpotWithSwap):
            return self.facts.asset_transfer
        return abs(self.facts.base_asset_amount) or self.facts.liability_transfer

    @property
    def unit(self) -> str:
        """The unit of ``asked`` and ``taken``."""
        if isinstance(self.ix, LiquidatePerp | LiquidatePerpWithFill):
            return "base 1e9"
        if isinstance(self.ix, LiquidateSpotWithSwap):
            return "tokens of the asset"
        return "quote 1e6" if isinstance(self.ix, LiquidatePerpPnlForDeposit) else "tokens of the liability"

    @property
    def perp_index(self) -> int | None:
        """The perp market that takes part."""
        if isinstance(self.ix, LiquidatePerp | LiquidatePerpWithFill):
            return self.ix.market_index
        return None if isinstance(self.ix, LiquidateSpot | LiquidateSpotWithSwap) else self.ix.perp_market_index

    @property
    def row(self) -> int:
        """The scope that is liquidated: the row of an isolated position, else −1, as always under Drift."""
        return CROSS if self.perp_index is None else scope_of(self.user, self.perp_index)

    @property
    def whose(self) -> str:
        """The scope in words."""
        return "the account" if self.row == CROSS else f"the isolated position in perp market {self.perp_index}"

    @property
    def is_velocity(self) -> bool:
        """Whether Velocity's rules apply."""
        return self.tx.state.rulebook == RULEBOOK_VELOCITY

    @property
    def buffered(self) -> tuple[int, int]:
        """What counts as collateral with the buffer, and the requirement with it."""
        calculation = self.calculation
        if not self.is_velocity:
            return calculation.total_collateral, calculation.margin_requirement_plus_buffer
        collateral, taken_off, _, required = scope_figures(calculation, self.row)
        return collateral + taken_off, required

    @property
    def spot_sides(self) -> list[tuple[int, int]]:
        """The spot balances of the user that take part: market and type. An isolated position has only its own."""
        types = [BORROW] if isinstance(self.ix, LiquidateBorrowForPerpPnl) else [DEPOSIT, BORROW]
        return [] if self.row != CROSS else list(zip(spot_indices(self.ix), types, strict=False))


# --- from the handler ------------------------------------------------------------------------------------------


def explain_liquidation(job: Liquidation, code: ErrorCode) -> SettlementError:
    """The refusal ``code`` of a liquidation, with its numbers; the limits that refused go to the receipt."""
    teller = _TELLERS.get(code)
    if teller is not None:
        try:
            message, would_pass, limits = teller(job)
        except (SettlementError, ArithmeticError, LookupError):
            # the state at the failure may not even bear a look; the meaning of the error still holds
            return SettlementError(code, MEANING[code])
        job.tx.limits.extend(limits)
        return SettlementError(code, message, would_pass)
    return SettlementError(code, MEANING[code])


def note_limits(job: Liquidation) -> None:
    """Note on the receipt what kept a liquidation from taking over all that was asked for, or anything."""
    tx, facts, asked, taken = job.tx, job.facts, job.asked, job.taken
    if taken == 0:
        tx.limit("liquidation", 0, asked, _why_nothing(job))
        return
    if taken < asked:
        name, bound, note = _bound(job)
        tx.limit(name, bound, asked, f"{note} ({job.unit})")
    in_one_unit = not isinstance(job.ix, LiquidateSpotWithSwap)
    if in_one_unit and facts.to_cover > taken and facts.max_pct_to_liquidate < LIQUIDATION_PCT_PRECISION:
        pct = facts.max_pct_to_liquidate
        note = f"part (1e4) of the shortage of {quote(facts.margin_shortage)} that may be covered by now; it grows"
        tx.limit("max_pct_to_liquidate", pct, LIQUIDATION_PCT_PRECISION, f"{note} with the slots")


def _why_nothing(job: Liquidation) -> str:
    facts = job.facts
    if facts.exited:
        how = "cancelling its orders was enough: " if facts.recorded else ""
        collateral, required = job.buffered
        return (
            f"{how}{job.whose} left liquidation: its collateral of {quote(collateral)} covers the "
            f"requirement with buffer of {quote(required)}"
        )
    if facts.recorded:
        return "orders were cancelled; safer positions or borrows of the account come first"
    if facts.max_pct_to_liquidate == 0:
        return f"of the shortage of {quote(facts.margin_shortage)} nothing more may be covered yet: it takes more slots"
    return f"nothing is left to take over; {job.whose} stays flagged"


def _bound(job: Liquidation) -> tuple[str, int, str]:
    """Name, value and sentence of what cut the amount."""
    facts, taken = job.facts, job.taken
    if isinstance(job.ix, LiquidatePerpWithFill):
        return "filled", taken, f"of the position; an order for {facts.allowed or taken} at most was offered"
    if taken == facts.held:
        return "held", facts.held, "all there is"
    if taken == facts.implied:
        return "implied", facts.implied, "what the asset pays for"
    if facts.max_pct_to_liquidate < LIQUIDATION_PCT_PRECISION:
        return "allowed", taken, "what may be taken over by now, in whole steps"
    return "margin_shortage", taken, f"what covers the shortage of {quote(facts.margin_shortage)}, in whole steps"


# --- the account -----------------------------------------------------------------------------------------------


def _sufficient_collateral(job: Liquidation) -> Explanation:
    have, need = job.facts.total_collateral, job.facts.margin_requirement
    _, buffered = job.buffered
    return (
        f"{job.whose} has a collateral of {quote(have)} and needs {quote(need)} (maintenance): {quote(have - need)} to "
        f"spare; once being liquidated it would have to reach {quote(buffered)}, the requirement with buffer",
        f"the same once the collateral is below {quote(need)}",
        [Limit("maintenance_margin_requirement", need, have, "an account that meets it is not liquidated")],
    )


def _bankrupt(job: Liquidation) -> Explanation:
    if is_bankrupt(job.user):
        return (
            "the account has only debts: nothing of it can pay a liquidator",
            "resolve_perp_bankruptcy or resolve_spot_bankruptcy of its debts",
            [],
        )
    return "the liquidator is bankrupt itself", "a liquidator that is not", []


def _liquidator_short(job: Liquidation) -> Explanation:
    error = short_of_margin(job.tx, job.liquidator, "the liquidator after the transfer", MARGIN_INITIAL)
    # short_of_margin has put its limit on the receipt itself
    return error.detail, "a smaller maximum, or more collateral of the liquidator first", []


def _no_buffer(job: Liquidation) -> Explanation:
    return (
        "the exchange has no liquidation margin buffer: no shortage can be measured",
        "the same once update_liquidation_margin_buffer_ratio has set one",
        [],
    )


def _dust(job: Liquidation) -> Explanation:
    return (
        "a spot position of the user or the liquidator has a balance that is worth no token, or a borrow asks for no "
        "margin: the margin cannot be computed",
        "the same once that balance was topped up or repaid",
        [],
    )


# --- what is taken over ----------------------------------------------------------------------------------------


def _perp_position_to_liquidate(job: Liquidation) -> Explanation:
    index = find_perp_position(job.user, job.perp_index or 0)
    position = job.user.perp_positions[index]
    base, amount = position.base_asset_amount, position.quote_asset_amount
    if base != 0:
        return (
            f"the position in perp market {job.perp_index} is still open: base {base}",
            "the same after liquidate_perp has taken it over",
            [],
        )
    wanted, other = "loss", "liquidate_borrow_for_perp_pnl"
    if isinstance(job.ix, LiquidateBorrowForPerpPnl):
        wanted, other = "profit", "liquidate_perp_pnl_for_deposit"
    return f"the closed position holds {quote(amount)}, which is no {wanted}", f"{other}, if there is a match", []


def _pool(job: Liquidation) -> Explanation:
    ix, pool = job.ix, job.liquidator.pool_id
    if isinstance(ix, LiquidateSpotWithSwap):
        pools = [job.tx.spot_market(index).pool_id for index in spot_indices(ix)]
        return f"the two markets are in pools {pools[0]} and {pools[1]}", "two markets of one pool", []
    if isinstance(ix, LiquidateSpot):
        found = next(i for i in spot_indices(ix) if job.tx.spot_market(i).pool_id != pool)
        wanted = job.tx.spot_market(found).pool_id
        return (
            f"the liquidator is in pool {pool}, spot market {found} in pool {wanted}",
            f"a liquidator of {wanted}",
            [],
        )
    return f"the liquidator is in pool {pool}; perp positions are taken over in pool 0", "a liquidator of pool 0", []


def _worsens(job: Liquidation) -> Explanation:
    return (
        "the deposit given, at its weight and the premium, would count for no less than the loss, so that "
        f"the shortage of {quote(job.facts.margin_shortage or margin_shortage(job.calculation, job.row))} would "
        "not shrink",
        "another deposit, of a smaller weight or a smaller liquidator_fee",
        [],
    )


def _not_filled(job: Liquidation) -> Explanation:
    index = find_perp_position(job.user, job.perp_index or 0)
    held, price = job.facts.held, price_with_fee(job.user.perp_positions[index].base_asset_amount, job.facts)
    return (
        f"nothing was filled of an order to close part of a position of {held} (base 1e9) within a price of {price}",
        "liquidate_perp, or fills whose price is within the limit",
        [Limit("liquidation_order_price", price, job.facts.oracle_price, "the oracle's price less or plus the fee")],
    )


def _nothing_open(job: Liquidation) -> Explanation:
    index = find_perp_position(job.user, job.perp_index or 0)
    held = quote(job.user.perp_positions[index].quote_asset_amount)
    return (
        f"the position in perp market {job.perp_index} has no base and no orders, only a P&L of {held}",
        "liquidate_perp_pnl_for_deposit of a loss, liquidate_borrow_for_perp_pnl of a profit",
        [],
    )


def _no_perp_position(job: Liquidation) -> Explanation:
    held = [p.market_index for p in job.user.perp_positions if not is_perp_position_available(p)]
    where = f"only in perp markets {held}" if held else "in no perp market"
    return f"the user has no position in perp market {job.perp_index}; it has one {where}", "", []


def _no_spot_position(job: Liquidation) -> Explanation:
    lacking = [index for index, _ in job.spot_sides if find_spot_position(job.user, index) < 0]
    return f"the user has no balance in spot market {lacking[0]}", "a market in which it has one", []


def _wrong_balance_type(job: Liquidation) -> Explanation:
    for index, wanted in job.spot_sides:
        position = job.user.spot_positions[find_spot_position(job.user, index)]
        if position.balance_type != wanted:
            found = BalanceType(position.balance_type).name
            needed = BalanceType(wanted).name
            return f"the balance in spot market {index} is a {found}, not a {needed}", f"a market with a {needed}", []
    return MEANING[ErrorCode.WrongSpotBalanceType], "", []


def _empty_balance(job: Liquidation) -> Explanation:
    sides = " and ".join(f"a {BalanceType(wanted).name} in market {index}" for index, wanted in job.spot_sides)
    return f"there must be {sides} worth at least one token", "", []


def _no_slot(job: Liquidation) -> Explanation:
    return "the liquidator has no free slot for what it would take over", "the same after it has emptied one", []


def _invalid_liquidation(job: Liquidation) -> Explanation:
    tx, perp = job.tx, job.perp_index
    if perp is not None and tx.perp_market(perp).paused_operations & PERP_LIQUIDATION:
        return f"liquidations are paused in perp market {perp}", "the same once they are resumed", []
    for index in spot_indices(job.ix):
        if spot_operation_paused(tx.spot_market(index), SPOT_LIQUIDATION, VELOCITY_SPOT_LIQUIDATION):
            return f"liquidations are paused in spot market {index}", "the same once they are resumed", []
    if perp is not None and job.is_velocity and job.facts.liquidation_id == 0:
        expiry = tx.perp_market(perp).expiry_ts
        if expiry != 0 and tx.now >= expiry:
            return f"perp market {perp} expired at {expiry} and is not settled", "settle_expired_market first", []
    if isinstance(job.ix, LiquidateSpotWithSwap):
        return _invalid_swap(job, job.ix)
    if job.facts.liquidation_id == 0 and isinstance(job.ix, LiquidateSpot):
        delays = [tx.spot_oracle(index).delay for index in spot_indices(job.ix)]
        return (
            f"in this pool prices must be of this slot; theirs are {delays} slots old",
            "the same with new prices",
            [],
        )
    limit = Limit("liquidator_max_transfer", job.asked, 1, f"the liquidator's own maximum ({job.unit})")
    return "nothing would be transferred", "a maximum above 0", [limit]


def _invalid_swap(job: Liquidation, ix: LiquidateSpotWithSwap) -> Explanation:
    facts = job.facts
    if facts.exited:
        _, required = job.buffered
        return f"{job.whose} covers its requirement with buffer of {quote(required)}: no swap is needed", "", []
    if facts.to_cover != 0 and facts.allowed == 0:
        return (
            f"of the shortage of {quote(facts.margin_shortage)} nothing more may be covered yet",
            "some slots later",
            [],
        )
    most = min(facts.implied, facts.held)
    if ix.amount_in > most:
        note = (
            "the deposit, and what the part of the shortage that may be covered by now is worth (tokens of the asset)"
        )
        return f"at most {most} tokens may be swapped", f"{most}", [Limit("amount_in", most, ix.amount_in, note)]
    asset, liability = (job.tx.spot_market(index) for index in spot_indices(ix))
    return (
        f"{ix.amount_out} tokens for {ix.amount_in} are less than a liquidator would have to pay at the prices "
        f"{facts.liability_price} and {facts.asset_price} with fees of {liability.liquidator_fee} and "
        f"{asset.liquidator_fee} (1e6)",
        "a larger amount out",
        [],
    )


def _below_step(job: Liquidation) -> Explanation:
    step = job.tx.perp_market(job.perp_index or 0).amm.order_step_size
    return (
        f"the liquidator's maximum of {job.asked} is less than a step of {step} (base 1e9)",
        f"a maximum of at least {step}",
        [Limit("order_step_size", step, job.asked, "the smallest change of a position")],
    )


def _tiers(job: Liquidation) -> Explanation:
    tx = job.tx
    spot, perp = calculate_user_safest_position_tiers(job.user, tx.spot_markets, tx.perp_markets)
    tier = tx.perp_market(job.perp_index or 0).contract_tier
    return (
        f"a loss in a contract of tier {ContractTier(tier).name} comes after safer ones: the account's safest contract "
        f"is of tier {ContractTier(perp).name}, its safest borrow of tier {AssetTier(spot).name}",
        "the same after those were liquidated",
        [],
    )


# --- prices ----------------------------------------------------------------------------------------------------


def _limit_price(job: Liquidation) -> Explanation:
    if isinstance(job.ix, LiquidatePerpWithFill | LiquidateSpotWithSwap):
        return MEANING[ErrorCode.LiquidationDoesntSatisfyLimitPrice], "", []
    limit, facts = job.ix.limit_price or 0, job.facts
    if isinstance(job.ix, LiquidatePerp):
        index = find_perp_position(job.user, job.ix.market_index)
        # without a rate, as under Drift, this is the oracle's price
        price = price_with_fee(job.user.perp_positions[index].base_asset_amount, facts)
        note = "the most to pay for a long, the least to be paid for a short"
    else:
        decimals = [job.tx.spot_market(index).decimals for index in spot_indices(job.ix)]
        if isinstance(job.ix, LiquidateBorrowForPerpPnl):
            decimals = [6, *decimals]
        elif isinstance(job.ix, LiquidatePerpPnlForDeposit):
            decimals = [*decimals, 6]
        value = facts.asset_transfer * PRICE_PRECISION // pow10(decimals[0])
        price = value * pow10(decimals[1]) // facts.liability_transfer
        note = "the least asset for a unit of the liability"
    return (
        f"the price is {price}, the limit {limit} (1e6): {note}",
        f"a limit of {price}",
        [Limit("limit_price", limit, price, note)],
    )


def _prices(job: Liquidation) -> list[tuple[str, int, HistoricalOracleData, OraclePriceData]]:
    """Of each market whose price a liquidation looks at: its name, the price, its TWAPs and its oracle."""
    tx = job.tx
    found: list[tuple[str, int, HistoricalOracleData, OraclePriceData]] = []
    if isinstance(job.ix, LiquidatePerp | LiquidatePerpWithFill):
        perp, oracle = tx.perp_market(job.ix.market_index), tx.perp_oracle(job.ix.market_index)
        price = job.facts.oracle_price or oracle.price
        found.append((f"perp market {perp.market_index}", price, perp.amm.historical_oracle_data, oracle))
    for index in spot_indices(job.ix):
        spot, oracle = tx.spot_market(index), tx.spot_oracle(index)
        history = spot.historical_oracle_data
        if job.is_velocity:
            # its band looks at the average as it was before
            history = HistoricalOracleData(
                last_oracle_price_twap=history.last_oracle_price_twap, last_oracle_price_twap_5min=job.twaps[index]
            )
        found.append((f"spot market {index}", oracle.price, history, oracle))
    return found


def _price_bands(job: Liquidation) -> Explanation:
    limit = twap_band_limit(job.tx.state.oracle_guard_rails)
    worst, shown = -1, ""
    for name, price, history, _ in _prices(job):
        twap = history.last_oracle_price_twap_5min
        distance = abs(price - twap) * PRICE_PRECISION // abs(twap)
        if distance > worst:
            worst, shown = distance, f"the price {price} of {name} is {distance} millionths from the TWAP {twap}"
    return (
        f"{shown} of 5 minutes; it must be less than {limit}",
        "the same once the TWAP has caught up with the price",
        [Limit("oracle_twap_5min_percent_divergence", limit, worst, "of the 5-minute oracle TWAP, 1e6")],
    )


def _invalid_oracle(job: Liquidation) -> Explanation:
    rails = job.tx.state.oracle_guard_rails.validity
    shown = [
        f"price {oracle.price} of {name} against a 1-hour TWAP of {history.last_oracle_price_twap}"
        for name, _, history, oracle in _prices(job)
    ]
    return (
        f"{', '.join(shown)}: a price may be at most {rails.too_volatile_ratio} times its TWAP, or the TWAP the price",
        "the same with a positive price nearer to its TWAP",
        [],
    )


_TELLERS: dict[ErrorCode, Callable[[Liquidation], Explanation]] = {
    ErrorCode.SufficientCollateral: _sufficient_collateral,
    ErrorCode.UserBankrupt: _bankrupt,
    ErrorCode.InsufficientCollateral: _liquidator_short,
    ErrorCode.InvalidMarginCalculation: _no_buffer,
    ErrorCode.InvalidMarginRatio: _dust,
    ErrorCode.InvalidPerpPositionToLiquidate: _perp_position_to_liquidate,
    ErrorCode.PositionDoesntHaveOpenPositionOrOrders: _nothing_open,
    ErrorCode.UserHasNoPositionInMarket: _no_perp_position,
    ErrorCode.CouldNotFindSpotPosition: _no_spot_position,
    ErrorCode.WrongSpotBalanceType: _wrong_balance_type,
    ErrorCode.InvalidSpotPosition: _empty_balance,
    ErrorCode.MaxNumberOfPositions: _no_slot,
    ErrorCode.NoSpotPositionAvailable: _no_slot,
    ErrorCode.InvalidLiquidation: _invalid_liquidation,
    ErrorCode.InvalidBaseAssetAmountForLiquidatePerp: _below_step,
    ErrorCode.TierViolationLiquidatingPerpPnl: _tiers,
    ErrorCode.LiquidationDoesntSatisfyLimitPrice: _limit_price,
    ErrorCode.PriceBandsBreached: _price_bands,
    ErrorCode.InvalidOracle: _invalid_oracle,
    ErrorCode.InvalidPoolId: _pool,
    ErrorCode.LiquidationWorsensAccountHealth: _worsens,
    ErrorCode.LiquidationOrderFailedToFill: _not_filled,
}
