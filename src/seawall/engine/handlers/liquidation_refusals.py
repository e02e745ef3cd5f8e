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
    LiquidateSpot,
)
from seawall.rules.common.liquidation_math import LIQUIDATION_PCT_PRECISION
from seawall.rules.common.liquidation_steps import calculate_user_safest_position_tiers
from seawall.rules.common.perp_orders import twap_band_limit
from seawall.rules.common.perp_positions import find_perp_position
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.common.user_status import is_bankrupt
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MARGIN_INITIAL,
    PERP_LIQUIDATION,
    SPOT_LIQUIDATION,
    VELOCITY_SPOT_LIQUIDATION,
    AssetTier,
    BalanceType,
    ContractTier,
)
from seawall.state.facts import LiquidationFacts, MarginCalculation
from seawall.state.oracle import HistoricalOracleData, OraclePriceData
from seawall.state.user import User

AnyLiquidation = LiquidatePerp | LiquidateSpot | LiquidateBorrowForPerpPnl | LiquidatePerpPnlForDeposit


class Liquidation(NamedTuple):
    """One liquidation: who takes over from whom, and what the rules noted."""

    tx: Transaction
    ix: AnyLiquidation
    user: User
    liquidator: User
    calculation: MarginCalculation
    facts: LiquidationFacts

    @property
    def asked(self) -> int:
        """The liquidator's own maximum: base, tokens of the liability, or quote."""
        ix = self.ix
        if isinstance(ix, LiquidatePerp):
            return ix.liquidator_max_base_asset_amount
        if isinstance(ix, LiquidatePerpPnlForDeposit):
            return ix.liquidator_max_pnl_transfer
        return ix.liquidator_max_liability_transfer

    @property
    def taken(self) -> int:
        """What was taken over, in the same unit."""
        return abs(self.facts.base_asset_amount) or self.facts.liability_transfer

    @property
    def unit(self) -> str:
        """The unit of ``asked`` and ``taken``."""
        if isinstance(self.ix, LiquidatePerp):
            return "base 1e9"
        return "quote 1e6" if isinstance(self.ix, LiquidatePerpPnlForDeposit) else "tokens of the liability"

    @property
    def perp_index(self) -> int | None:
        """The perp market that takes part."""
        if isinstance(self.ix, LiquidatePerp):
            return self.ix.market_index
        return None if isinstance(self.ix, LiquidateSpot) else self.ix.perp_market_index

    @property
    def spot_sides(self) -> list[tuple[int, int]]:
        """The spot markets that take part, each with the type of balance that the user must have."""
        ix = self.ix
        if isinstance(ix, LiquidatePerp):
            return []
        if isinstance(ix, LiquidateSpot):
            return [(ix.asset_market_index, DEPOSIT), (ix.liability_market_index, BORROW)]
        return [(ix.spot_market_index, BORROW if isinstance(ix, LiquidateBorrowForPerpPnl) else DEPOSIT)]


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
    if facts.to_cover > taken and facts.max_pct_to_liquidate < LIQUIDATION_PCT_PRECISION:
        pct = facts.max_pct_to_liquidate
        note = f"part (1e4) of the shortage of {quote(facts.margin_shortage)} that may be covered by now; it grows"
        tx.limit("max_pct_to_liquidate", pct, LIQUIDATION_PCT_PRECISION, f"{note} with the slots")


def _why_nothing(job: Liquidation) -> str:
    facts, calculation = job.facts, job.calculation
    if facts.exited:
        how = "cancelling its orders was enough: " if facts.recorded else ""
        return (
            f"{how}the account left liquidation: its collateral of {quote(calculation.total_collateral)} covers the "
            f"requirement with buffer of {quote(calculation.margin_requirement_plus_buffer)}"
        )
    if facts.recorded:
        return "orders were cancelled; safer positions or borrows of the account come first"
    if facts.max_pct_to_liquidate == 0:
        return f"of the shortage of {quote(facts.margin_shortage)} nothing more may be covered yet: it takes more slots"
    return "nothing is left to take over; the account stays flagged"


def _bound(job: Liquidation) -> tuple[str, int, str]:
    """Name, value and sentence of what cut the amount."""
    facts, taken = job.facts, job.taken
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
    buffered = job.calculation.margin_requirement_plus_buffer
    return (
        f"the account has a collateral of {quote(have)} and needs {quote(need)} (maintenance): {quote(have - need)} to "
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


def _nothing_open(job: Liquidation) -> Explanation:
    index = find_perp_position(job.user, job.perp_index or 0)
    held = quote(job.user.perp_positions[index].quote_asset_amount)
    return (
        f"the position in perp market {job.perp_index} has no base and no orders, only a P&L of {held}",
        "liquidate_perp_pnl_for_deposit of a loss, liquidate_borrow_for_perp_pnl of a profit",
        [],
    )


def _no_perp_position(job: Liquidation) -> Explanation:
    held = [p.market_index for p in job.user.perp_positions if find_perp_position(job.user, p.market_index) >= 0]
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
    perp = job.perp_index
    if perp is not None and job.tx.perp_market(perp).paused_operations & PERP_LIQUIDATION:
        return f"liquidations are paused in perp market {perp}", "the same once they are resumed", []
    for index, _ in job.spot_sides:
        if spot_operation_paused(job.tx.spot_market(index), SPOT_LIQUIDATION, VELOCITY_SPOT_LIQUIDATION):
            return f"liquidations are paused in spot market {index}", "the same once they are resumed", []
    limit = Limit("liquidator_max_transfer", job.asked, 1, f"the liquidator's own maximum ({job.unit})")
    return "nothing would be transferred", "a maximum above 0", [limit]


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
    limit, facts = job.ix.limit_price or 0, job.facts
    if isinstance(job.ix, LiquidatePerp):
        price = facts.oracle_price
        note = "the most to pay for a long, the least to be paid for a short"
    else:
        decimals = [job.tx.spot_market(index).decimals for index, _ in job.spot_sides]
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
    if isinstance(job.ix, LiquidatePerp):
        perp, oracle = tx.perp_market(job.ix.market_index), tx.perp_oracle(job.ix.market_index)
        price = job.facts.oracle_price or oracle.price
        found.append((f"perp market {perp.market_index}", price, perp.amm.historical_oracle_data, oracle))
    for index, _ in job.spot_sides:
        spot, oracle = tx.spot_market(index), tx.spot_oracle(index)
        found.append((f"spot market {index}", oracle.price, spot.historical_oracle_data, oracle))
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
}
