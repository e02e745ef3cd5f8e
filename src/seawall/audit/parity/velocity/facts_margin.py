"""Facts of Velocity: collateral into, out of, and between an isolated position and cross margin."""

from typing import Any

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import validity_rails
from seawall.rules.common.balances import get_spot_balance
from seawall.rules.common.vaults import validate_max_token_deposits
from seawall.rules.velocity.isolated_transfers import (
    deposit_into_isolated_perp_position,
    transfer_isolated_perp_position_deposit,
    withdraw_from_isolated_perp_position,
)
from seawall.state.enums import (
    CONTRACT_TIER_A,
    DEPOSIT,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    VELOCITY_SPOT_WITHDRAW,
    MarketStatus,
)
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import InterestFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

ONE_TOKEN = 1_000_000
DUST_PRICE = 1
"""Price (1e6) of a perp market whose fact names none: what is held is worth nothing, so that margin binds nobody."""


class _Account:
    """An account in the quote market and one perp market, its only position row 0."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.amount = inputs.number("amount", ONE_TOKEN)
        self.user = User()
        self.quote = SpotMarket(
            rulebook=RULEBOOK_VELOCITY,
            decimals=inputs.number("decimals", 6),
            cumulative_deposit_interest=inputs.number("cumulative_deposit_interest", 10**10),
            cumulative_borrow_interest=inputs.number("cumulative_borrow_interest", 10**10),
            status=MarketStatus[inputs.text("spot_status", "Active")],
            optimal_utilization=1,
        )
        inputs.fill(self.quote, deposit_twap="deposit_token_twap", borrow_twap="borrow_token_twap")
        if inputs.flag("withdraw_operation_paused", False):
            self.quote.paused_operations = VELOCITY_SPOT_WITHDRAW
        self.quote.historical_oracle_data.last_oracle_price_twap = ONE_TOKEN
        self.quote.historical_oracle_data.last_oracle_price_twap_5min = ONE_TOKEN
        self.perp = PerpMarket(rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE, contract_tier=CONTRACT_TIER_A)
        inputs.fill(self.perp)
        self.perp.amm.oracle_index = 1
        price = inputs.number("price", DUST_PRICE)
        self.perp.amm.historical_oracle_data.last_oracle_price_twap = price
        self.oracles = [
            OraclePriceData(price=ONE_TOKEN, confidence=1, has_sufficient_number_of_data_points=True),
            OraclePriceData(price=price, has_sufficient_number_of_data_points=True),
        ]
        self.state = State(rulebook=RULEBOOK_VELOCITY, oracle_guard_rails=OracleGuardRails(validity=validity_rails()))
        self._fill_row()
        self._fill_cross()
        self._fill_totals()

    @property
    def row(self) -> PerpPosition:
        return self.user.perp_positions[0]

    def _fill_row(self) -> None:
        """The row as given; «none» is a free one; without a word one with as much collateral as is asked for."""
        row = self.row
        if "row" not in self.inputs:
            row.position_flag = POSITION_ISOLATED
            row.isolated_position_scaled_balance = get_spot_balance(abs(self.amount), self.quote, DEPOSIT, False)
            return
        if not self.inputs.is_object("row"):
            self.inputs.ignore("row")
            return
        given = self.inputs.nested("row")
        row.position_flag = given.number("position_flag", POSITION_ISOLATED if given.flag("isolated", False) else 0)
        given.fill(
            row,
            base="base_asset_amount",
            quote="quote_asset_amount",
            isolated_scaled="isolated_position_scaled_balance",
        )
        if not row.position_flag and not (row.base_asset_amount or row.quote_asset_amount or row.open_orders):
            row.open_orders = 1  # a cross position is given to be in the way, so it is in use

    def _fill_cross(self) -> None:
        """The account's deposit in the quote market, and a cross position in another perp market."""
        cross = self.user.spot_positions[0]
        cross.scaled_balance = self.inputs.number("cross_scaled", 0)
        if "cross_collateral" in self.inputs:
            collateral = self.inputs.number("cross_collateral")
            cross.scaled_balance = get_spot_balance(collateral, self.quote, DEPOSIT, False)
        self.perps = [self.perp]
        if "cross_base" in self.inputs:
            other = self.perp.copy()
            other.market_index = 1
            self.perps.append(other)
            self.user.perp_positions[1].market_index = 1
            self.user.perp_positions[1].base_asset_amount = self.inputs.number("cross_base")

    def _fill_totals(self) -> None:
        """All deposits of the market, the account's own included."""
        own = self.user.spot_positions[0].scaled_balance + self.row.isolated_position_scaled_balance
        others = self.inputs.number("other_deposits_scaled", 0)
        self.quote.deposit_balance = self.inputs.number("deposit_scaled", own + others)
        self.quote.borrow_balance = self.inputs.number("borrow_scaled", 0)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What a controller takes: no time passes, funding goes on."""
        markets = [self.quote], self.perps, self.oracles, self.state
        return self.user, 0, 0, self.amount, *markets, 0, 0, False, InterestFacts()

    @property
    def found(self) -> Found:
        """The balances as the facts name them."""
        return {
            "ok": True,
            "isolated_scaled": self.row.isolated_position_scaled_balance,
            "position_flag": self.row.position_flag,
            "cross_scaled": self.user.spot_positions[0].scaled_balance,
            "deposit_scaled": self.quote.deposit_balance,
        }


def _deposit(inputs: Inputs) -> Found:
    account = _Account(inputs)
    deposit_into_isolated_perp_position(*account.arguments)
    validate_max_token_deposits(account.quote)
    return account.found


def _transfer(inputs: Inputs) -> Found:
    account = _Account(inputs)
    transfer_isolated_perp_position_deposit(*account.arguments)
    return account.found


def _withdraw(inputs: Inputs) -> Found:
    account = _Account(inputs)
    withdraw_from_isolated_perp_position(*account.arguments)
    validate_max_token_deposits(account.quote)
    return account.found


ADAPTERS: dict[str, Adapter] = {
    "deposit_into_isolated_perp_position": _deposit,
    "transfer_isolated_perp_position_deposit": _transfer,
    "withdraw_from_isolated_perp_position": _withdraw,
}
