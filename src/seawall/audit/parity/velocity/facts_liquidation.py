"""Facts of Velocity: liquidations. The formulas, the fee splits, and whole liquidations of a scope that is short."""

from seawall.arithmetic import U16_MAX, U128_MAX
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import validity_rails
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.liquidation_math import (
    NO_LIMIT_PRICE,
    UNLIMITED,
    calculate_asset_transfer_for_liability_transfer_exact,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_max_pct_to_liquidate,
    calculate_perp_if_fee,
    calculate_spot_if_fee,
    validate_transfer_satisfies_limit_price,
)
from seawall.rules.common.liquidation_steps import lend_to_liquidator, note_perp_fees, repay_borrow_of_user
from seawall.rules.velocity.fee_ledger import accrue_liquidation_fees
from seawall.rules.velocity.liquidation import set_user_status_to_being_liquidated
from seawall.rules.velocity.liquidation_math import (
    PERIOD_MS,
    calculate_asset_transfer_for_liability_transfer,
    calculate_user_protective_asset_price,
    calculate_user_protective_liability_price,
    elapsed_periods,
    get_liquidation_fee,
    liability_transfer_to_cover_margin_shortage,
    validate_swap_within_liquidation_boundaries,
)
from seawall.rules.velocity.liquidation_perp import liquidate_perp, note_perp_fee_rates
from seawall.rules.velocity.liquidation_pnl import liquidate_borrow_for_perp_pnl, liquidate_perp_pnl_for_deposit
from seawall.rules.velocity.liquidation_spot import note_spot_fee_rates
from seawall.rules.velocity.margin import calculate_liquidation_margin
from seawall.state.enums import (
    BORROW,
    POSITION_BANKRUPT,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User, UserStats

_INDEX = 10_000_000_000
_PRICE = 1_000_000


def _numbers(inputs: Inputs, *names: str, **defaults: int) -> list[int]:
    """The inputs of these names in order; a missing one is 0, or its default."""
    return [inputs.number(name, defaults.get(name, 0)) for name in names]


# --- formulas --------------------------------------------------------------------------------------------------


def _base_to_cover(inputs: Inputs) -> Found:
    amount = calculate_base_asset_amount_to_cover_margin_shortage(
        *_numbers(
            inputs, "margin_shortage", "margin_ratio", "liquidation_fee", "if_liquidation_fee", "oracle_price",
            "quote_oracle_price",
        )
    )  # fmt: skip
    return {"base": amount}


def _liability_to_cover(inputs: Inputs) -> Found:
    amount = liability_transfer_to_cover_margin_shortage(
        *_numbers(
            inputs, "margin_shortage", "asset_weight", "asset_multiplier", "liability_weight", "liability_multiplier",
            "liability_decimals", "liability_price", "if_liquidation_fee", liability_decimals=6,
        )
    )  # fmt: skip
    return {"liability": U128_MAX if amount == UNLIMITED else amount}


def _implied_liability(inputs: Inputs) -> Found:
    amount = calculate_liability_transfer_implied_by_asset_amount(
        *_numbers(
            inputs, "asset", "asset_multiplier", "asset_decimals", "asset_price", "liability_multiplier",
            "liability_decimals", "liability_price", asset_decimals=6, liability_decimals=6,
        )
    )  # fmt: skip
    return {"liability": amount}


_EXACT = (
    "asset_multiplier", "asset_decimals", "asset_price", "liability", "liability_multiplier", "liability_decimals",
    "liability_price",
)  # fmt: skip


def _asset_for_liability(inputs: Inputs) -> Found:
    names = ("asset_amount", *_EXACT, "asset_price")
    numbers = _numbers(inputs, *names, asset_decimals=6, liability_decimals=6)
    return {"asset": calculate_asset_transfer_for_liability_transfer(*numbers)}


def _asset_for_liability_exact(inputs: Inputs) -> Found:
    numbers = _numbers(inputs, *_EXACT, asset_decimals=6, liability_decimals=6)
    return {"asset": calculate_asset_transfer_for_liability_transfer_exact(*numbers)}


def _protective_asset_price(inputs: Inputs) -> Found:
    return {"price": calculate_user_protective_asset_price(*_numbers(inputs, "price", "confidence", "twap_5min"))}


def _protective_liability_price(inputs: Inputs) -> Found:
    return {"price": calculate_user_protective_liability_price(*_numbers(inputs, "price", "confidence", "twap_5min"))}


def _perp_if_fee(inputs: Inputs) -> Found:
    rate = calculate_perp_if_fee(
        *_numbers(
            inputs, "margin_shortage", "user_base", "margin_ratio", "liquidator_fee", "oracle_price",
            "quote_oracle_price", "max_if_fee",
        )
    )  # fmt: skip
    return {"rate": rate}


def _spot_if_fee(inputs: Inputs) -> Found:
    rate = calculate_spot_if_fee(
        *_numbers(
            inputs, "margin_shortage", "token_amount", "asset_weight", "asset_multiplier", "liability_weight",
            "liability_multiplier", "liability_decimals", "liability_price", "max_if_fee", liability_decimals=6,
        )
    )  # fmt: skip
    return {"rate": rate}


def _max_pct(inputs: Inputs) -> Found:
    """A slot may last otherwise here; the rule counts periods."""
    elapsed = elapsed_periods(0, inputs.number("elapsed_slots", 0), inputs.number("slot_ms", PERIOD_MS))
    duration = inputs.number("duration_ms", 0) // PERIOD_MS
    freed, shortage, initial = _numbers(inputs, "margin_freed", "margin_shortage", "initial_pct")
    return {"pct": calculate_max_pct_to_liquidate(0, freed, shortage, elapsed, initial, duration)}


def _liquidation_fee(inputs: Inputs) -> Found:
    names = ("base_fee", "max_fee", "last_active_slot", "current_slot", "slot_ms")
    return {"fee": get_liquidation_fee(*_numbers(inputs, *names, slot_ms=PERIOD_MS))}


def _swap_bound(inputs: Inputs) -> Found:
    validate_swap_within_liquidation_boundaries(
        *_numbers(
            inputs, "asset_transfer", "liability_transfer", "asset_decimals", "liability_decimals", "asset_price",
            "liability_price", "asset_multiplier", "liability_multiplier", asset_decimals=6, liability_decimals=6,
        )
    )  # fmt: skip
    return {"ok": True}


def _limit_price(inputs: Inputs) -> Found:
    names = ("asset_transfer", "liability_transfer", "asset_decimals", "liability_decimals", "limit_price")
    validate_transfer_satisfies_limit_price(*_numbers(inputs, *names, asset_decimals=6, liability_decimals=6))
    return {"ok": True}


# --- fee splits ------------------------------------------------------------------------------------------------


def _perp_fee_split(inputs: Inputs) -> Found:
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    market.if_liquidation_fee, market.protocol_liquidation_fee = _numbers(
        inputs, "if_liquidation_fee", "protocol_liquidation_fee"
    )
    fee = inputs.number("liquidator_fee", 0)
    shortage, base, ratio, price, quote_price = _numbers(
        inputs, "margin_shortage", "user_base", "margin_ratio", "oracle_price", "quote_oracle_price"
    )
    facts = LiquidationFacts()
    total = note_perp_fee_rates(market, shortage, base, ratio, fee, price, quote_price, facts)
    note_perp_fees(inputs.number("base_asset_value", 0), fee, facts)
    accrue_liquidation_fees(market.fee_ledger, facts.if_fee, facts.protocol_fee)
    return {
        "total_rate": total,
        "if_rate": facts.if_rate,
        "protocol_rate": facts.protocol_rate,
        "if_fee": facts.if_fee,
        "protocol_fee": facts.protocol_fee,
        "liquidator_fee": facts.liquidator_fee,
        "pending_if": market.fee_ledger.pending_if_fee,
        "pending_protocol": market.fee_ledger.pending_protocol_fee,
        "total_liquidation_fee": market.fee_ledger.total_liquidation_fee,
    }


def _spot_fee_split(inputs: Inputs) -> Found:
    market = SpotMarket(rulebook=RULEBOOK_VELOCITY, decimals=inputs.number("liability_decimals", 6))
    market.cumulative_deposit_interest = inputs.number("cumulative_deposit_interest", _INDEX)
    market.cumulative_borrow_interest = inputs.number("cumulative_borrow_interest", _INDEX)
    market.if_liquidation_fee, market.protocol_liquidation_fee = _numbers(
        inputs, "if_liquidation_fee", "protocol_liquidation_fee"
    )
    user, liquidator = User(), User()
    owed, owned = _numbers(inputs, "user_borrow_scaled", "liquidator_scaled")
    user.spot_positions[0].scaled_balance, user.spot_positions[0].balance_type = owed, BORROW
    liquidator.spot_positions[0].scaled_balance = owned
    market.deposit_balance = owned + inputs.number("other_deposits_scaled", 0)
    market.borrow_balance = owed
    tokens = get_token_amount(owed, market, BORROW)
    facts = LiquidationFacts(liability_transfer=min(inputs.number("liability_transfer", 0), tokens))
    shortage, asset_weight, premium, weight, discount, price = _numbers(
        inputs, "margin_shortage", "asset_weight", "asset_multiplier", "liability_weight", "liability_multiplier",
        "liability_price",
    )  # fmt: skip
    total = note_spot_fee_rates(market, shortage, tokens, asset_weight, premium, weight, discount, price, facts)
    repay_borrow_of_user(user, market, facts)
    lend_to_liquidator(liquidator, market, facts.liability_transfer)
    return {
        "total_rate": total,
        "if_rate": facts.if_rate,
        "protocol_rate": facts.protocol_rate,
        "if_fee": facts.if_fee,
        "protocol_fee": facts.protocol_fee,
        "user_borrow_scaled": user.spot_positions[0].scaled_balance,
        "user_is_borrow": user.spot_positions[0].balance_type == BORROW,
        "liquidator_scaled": liquidator.spot_positions[0].scaled_balance,
        "liquidator_is_borrow": liquidator.spot_positions[0].balance_type == BORROW,
        "revenue_pool_scaled": market.revenue_pool.scaled_balance,
        "protocol_fee_pool_scaled": market.protocol_fee_pool.scaled_balance,
        "deposit_balance": market.deposit_balance,
        "borrow_balance": market.borrow_balance,
    }


# --- whole liquidations ----------------------------------------------------------------------------------------


class _Venue:
    """A user, a liquidator who can bear everything, market 0 (the quote token), market 1, and a perp market.

    The perp market's AMM is balanced at the price. No time passes.
    """

    ENOUGH = 10**15
    """Scaled balance of the liquidator's deposit."""

    def __init__(self, inputs: Inputs, price: int) -> None:
        self.user, self.liquidator = User(next_liquidation_id=1), User(next_liquidation_id=1)
        self.state = State(
            rulebook=RULEBOOK_VELOCITY,
            liquidation_margin_buffer_ratio=inputs.number("buffer", 0),
            # the tests' 100 %, which the program's field cannot hold in the unit that they wrote
            initial_pct_to_liquidate=min(inputs.number("initial_pct_to_liquidate", 0), U16_MAX),
            oracle_guard_rails=OracleGuardRails(validity=validity_rails()),
        )
        self.oracles = [
            self._oracle(_PRICE),
            self._oracle(inputs.number("liability_price", _PRICE)),
            self._oracle(price),
        ]
        self.spot_markets = [self._spot_market(index) for index in (0, 1)]
        self.perp_markets = [self._perp_market(price)]
        self.calculation, self.facts = MarginCalculation(), LiquidationFacts()
        self.liquidator.spot_positions[0].scaled_balance = self.ENOUGH

    @staticmethod
    def _oracle(price: int) -> OraclePriceData:
        return OraclePriceData(price=price, confidence=1, has_sufficient_number_of_data_points=True)

    def _spot_market(self, index: int) -> SpotMarket:
        market = SpotMarket(
            market_index=index,
            oracle_index=index,
            rulebook=RULEBOOK_VELOCITY,
            status=STATUS_ACTIVE,
            decimals=6,
            cumulative_deposit_interest=_INDEX,
            cumulative_borrow_interest=_INDEX,
            deposit_balance=3 * self.ENOUGH,
            borrow_balance=2 * self.ENOUGH,
            maintenance_asset_weight=10_000,
            initial_asset_weight=10_000,
            maintenance_liability_weight=10_000,
            initial_liability_weight=10_000,
        )
        history = market.historical_oracle_data
        history.last_oracle_price_twap = history.last_oracle_price_twap_5min = self.oracles[index].price
        return market

    @staticmethod
    def _perp_market(price: int) -> PerpMarket:
        market = PerpMarket(rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE, number_of_users=1)
        market.number_of_users_with_base = 1
        amm = market.amm
        amm.oracle_index = 2
        amm.peg_multiplier = price
        amm.concentration_coef = 1_414_200
        amm.order_step_size = 1
        amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 100_000_000_000
        history = amm.historical_oracle_data
        history.last_oracle_price = history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
        return market

    @property
    def lists(self) -> tuple[list[SpotMarket], list[PerpMarket], list[OraclePriceData], State]:
        """What every liquidation is handed."""
        return self.spot_markets, self.perp_markets, self.oracles, self.state


def _liquidate_perp(inputs: Inputs) -> Found:
    venue = _Venue(inputs, inputs.number("price"))
    market = venue.perp_markets[0]
    market.margin_ratio_maintenance, market.liquidator_fee, market.if_liquidation_fee = _numbers(
        inputs, "maintenance_ratio", "liquidator_fee", "if_liquidation_fee"
    )
    market.margin_ratio_initial = 2 * market.margin_ratio_maintenance
    market.protocol_liquidation_fee = inputs.number("protocol_liquidation_fee", 0)
    market.amm.order_step_size = inputs.number("step", 1)
    position = venue.user.perp_positions[0]
    base, quote = inputs.number("base"), inputs.number("quote")
    position.base_asset_amount, position.quote_asset_amount = base, quote
    position.quote_entry_amount = position.quote_break_even_amount = quote
    amm = market.amm
    if base > 0:
        amm.base_asset_amount_long, amm.quote_entry_amount_long, amm.quote_break_even_amount_long = base, quote, quote
    else:
        amm.base_asset_amount_short, amm.quote_entry_amount_short = base, quote
        amm.quote_break_even_amount_short = quote
    amm.base_asset_amount_with_amm, amm.quote_asset_amount = base, quote
    collateral = inputs.number("collateral", 0) * 1_000
    if inputs.text("scope", "cross") == "isolated":
        position.position_flag, position.isolated_position_scaled_balance = POSITION_ISOLATED, collateral
    else:
        venue.user.spot_positions[0].scaled_balance = collateral
    liquidate_perp(
        venue.user, UserStats(), venue.liquidator, UserStats(), 0, inputs.number("liquidator_max_base"),
        NO_LIMIT_PRICE, *venue.lists, 0, 0, FundingPaymentFacts(), FundingPaymentFacts(), venue.calculation,
        venue.facts,
    )  # fmt: skip
    taken = venue.liquidator.perp_positions[0]
    return {
        "user_base": position.base_asset_amount,
        "user_quote": position.quote_asset_amount,
        "liquidator_base": taken.base_asset_amount,
        "liquidator_quote": taken.quote_asset_amount,
        "if_fee": venue.facts.if_fee,
        "protocol_fee": venue.facts.protocol_fee,
        "liquidator_fee": venue.facts.liquidator_fee,
    }


def _liquidate_borrow_for_pnl(inputs: Inputs) -> Found:
    venue = _Venue(inputs, inputs.number("liability_price"))
    market, spot_market = venue.perp_markets[0], venue.spot_markets[1]
    market.liquidator_fee = inputs.number("perp_liquidator_fee", 0)
    market.unrealized_pnl_maintenance_asset_weight = inputs.number("pnl_weight", 10_000)
    market.unrealized_pnl_initial_asset_weight = market.unrealized_pnl_maintenance_asset_weight
    market.number_of_users_with_base = 0
    spot_market.decimals = inputs.number("liability_decimals", 6)
    spot_market.liquidator_fee = inputs.number("spot_liquidator_fee", 0)
    spot_market.maintenance_liability_weight = inputs.number("maintenance_liability_weight", 10_000)
    spot_market.initial_liability_weight = spot_market.maintenance_liability_weight
    spot_market.cumulative_borrow_interest = inputs.number("cumulative_borrow_interest", _INDEX)
    position, debt = venue.user.perp_positions[0], venue.user.spot_positions[1]
    position.quote_asset_amount = market.amm.quote_asset_amount = inputs.number("pnl")
    debt.market_index, debt.balance_type = 1, BORROW
    debt.scaled_balance = inputs.number("user_borrow_scaled")
    liquidate_borrow_for_perp_pnl(
        venue.user, venue.liquidator, 0, 1, inputs.number("liquidator_max_liability"), NO_LIMIT_PRICE, *venue.lists, 0,
        0, FundingPaymentFacts(), FundingPaymentFacts(), InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    after = MarginCalculation()
    calculate_liquidation_margin(venue.user, *venue.lists, after)
    return {
        "liability_transfer": venue.facts.liability_transfer,
        "user_borrow_scaled": debt.scaled_balance,
        "user_pnl": position.quote_asset_amount,
        "liquidator_borrow_scaled": venue.liquidator.spot_positions[1].scaled_balance,
        "liquidator_pnl": venue.liquidator.perp_positions[0].quote_asset_amount,
        "margin_requirement_plus_buffer_after": after.margin_requirement_plus_buffer,
    }


def _liquidate_isolated_pnl_for_deposit(inputs: Inputs) -> Found:
    """The loss of an isolated position against its own collateral, which lies in the quote market."""
    venue = _Venue(inputs, inputs.number("price", _PRICE))
    market, quote_market = venue.perp_markets[0], venue.spot_markets[0]
    market.liquidator_fee = inputs.number("perp_liquidator_fee", 0)
    market.number_of_users_with_base = 0
    venue.oracles[0].price = inputs.number("quote_price", _PRICE)
    quote_market.decimals = inputs.number("decimals", 6)
    quote_market.liquidator_fee = inputs.number("spot_liquidator_fee", 0)
    quote_market.maintenance_asset_weight = quote_market.initial_asset_weight = inputs.number("asset_weight", 10_000)
    quote_market.cumulative_deposit_interest = inputs.number("cumulative_deposit_interest", _INDEX)
    position, taken = venue.user.perp_positions[0], venue.liquidator.perp_positions[0]
    position.position_flag = POSITION_ISOLATED
    position.isolated_position_scaled_balance = inputs.number("isolated_scaled")
    position.quote_asset_amount = market.amm.quote_asset_amount = inputs.number("quote")
    collateral = venue.liquidator.spot_positions[0]
    collateral.scaled_balance = inputs.number("liquidator_deposit_scaled", _Venue.ENOUGH)
    most = inputs.number("liquidator_max_pnl", -position.quote_asset_amount)
    liquidate_perp_pnl_for_deposit(
        venue.user, venue.liquidator, 0, 0, most, NO_LIMIT_PRICE, *venue.lists, 0, 0, FundingPaymentFacts(),
        FundingPaymentFacts(), InterestFacts(), venue.calculation, venue.facts,
    )  # fmt: skip
    return {
        "isolated_scaled": position.isolated_position_scaled_balance,
        "quote": position.quote_asset_amount,
        "liquidator_deposit_scaled": collateral.scaled_balance,
        "liquidator_quote": taken.quote_asset_amount,
        "bankrupt": position.position_flag & POSITION_BANKRUPT != 0,
    }


def _set_status(inputs: Inputs) -> Found:
    """The state is told in words; an account without anything owed meets its requirement."""
    venue = _Venue(inputs, _PRICE)
    words = inputs.text("state")
    venue.user.status = {"bankrupt": USER_BANKRUPT, "being_liquidated": USER_BEING_LIQUIDATED}.get(words, 0)
    set_user_status_to_being_liquidated(venue.user, *venue.lists, 0, venue.calculation)
    return {"status": venue.user.status}


ADAPTERS: dict[str, Adapter] = {
    "calculate_base_asset_amount_to_cover_margin_shortage": _base_to_cover,
    "calculate_liability_transfer_to_cover_margin_shortage": _liability_to_cover,
    "calculate_liability_transfer_implied_by_asset_amount": _implied_liability,
    "calculate_asset_transfer_for_liability_transfer": _asset_for_liability,
    "calculate_asset_transfer_for_liability_transfer_exact": _asset_for_liability_exact,
    "calculate_user_protective_asset_price": _protective_asset_price,
    "calculate_user_protective_liability_price": _protective_liability_price,
    "calculate_perp_if_fee": _perp_if_fee,
    "calculate_spot_if_fee": _spot_if_fee,
    "calculate_max_pct_to_liquidate": _max_pct,
    "get_liquidation_fee": _liquidation_fee,
    "validate_swap_within_liquidation_boundaries": _swap_bound,
    "validate_transfer_satisfies_limit_price": _limit_price,
    "perp_liquidation_fee_split": _perp_fee_split,
    "spot_liquidation_fee_split": _spot_fee_split,
    "liquidate_perp": _liquidate_perp,
    "liquidate_borrow_for_perp_pnl": _liquidate_borrow_for_pnl,
    "liquidate_perp_pnl_for_deposit": _liquidate_isolated_pnl_for_deposit,
    "set_user_status_to_being_liquidated": _set_status,
}
