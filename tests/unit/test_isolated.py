"""Isolated positions by instruction: what moves, what is refused and in which words. Rules of velocity/isolated.md."""

from typing import Any

import pytest
from support.money import ONE_SOL, ONE_USDC, SOL, USDC
from support.trading import PERP, B, TradingVenue

from seawall.engine.attribution import _balances
from seawall.engine.queries.margin import margin
from seawall.engine.receipts import Receipt
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateSpotMarketPausedOperations,
    UpdateSpotMarketStatus,
)
from seawall.instructions.deposits import Withdraw
from seawall.instructions.isolated import (
    DepositIntoIsolatedPerpPosition,
    TransferIsolatedPerpPositionDeposit,
    UpdateUserPerpPositionCustomMarginRatio,
    WithdrawFromIsolatedPerpPosition,
)
from seawall.instructions.roles import UpdateFeatureBitFlags
from seawall.instructions.user_settings import UpdateUserDelegate
from seawall.state.enums import (
    EXCHANGE_DEPOSIT_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    POSITION_BANKRUPT,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    USER_BEING_LIQUIDATED,
    VELOCITY_SPOT_WITHDRAW,
)

LEAST = -(2**63)


class IsolatedVenue(TradingVenue):
    """A Velocity venue where Alice has 1,000 USDC in cross margin and Bob lends out another 1,000."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{"rulebook": "velocity", "isolated_positions": True, **config})
        self.trader("@alice", "@bob", usdc=1_000)

    def put(self, amount: int, user: str = "@alice", **options: Any) -> Receipt:
        """A deposit into the isolated position of whoever it is."""
        ix = DepositIntoIsolatedPerpPosition(
            **{"user": user, "perp_market_index": PERP, "amount": amount * ONE_USDC, **options}
        )
        return self.do(ix, user)

    def move(self, amount: int, user: str = "@alice") -> Receipt:
        """A transfer to (amount > 0) or from the isolated position."""
        tokens = amount if amount == LEAST else amount * ONE_USDC
        return self.do(TransferIsolatedPerpPositionDeposit(user=user, perp_market_index=PERP, amount=tokens), user)

    def take_out(self, amount: int, user: str = "@alice", signer: str = "") -> Receipt:
        """A withdrawal from the isolated position."""
        ix = WithdrawFromIsolatedPerpPosition(user=user, perp_market_index=PERP, amount=amount * ONE_USDC)
        return self.do(ix, signer or user)

    def collateral(self, name: str = "@alice") -> int:
        """Scaled collateral of the account's first row."""
        return self.perp_position(name).isolated_position_scaled_balance

    def latch(self, flag: int) -> None:
        """Put a flag on Alice's isolated row by hand."""
        user = self.user("@alice")
        user.perp_positions[0].position_flag |= flag
        self.change_user("@alice", perp_positions=user.perp_positions)


@pytest.fixture
def venue() -> IsolatedVenue:
    return IsolatedVenue()


def why(receipt: Receipt) -> tuple[str, str, str]:
    """The error, the message and what would pass."""
    assert receipt.refusal is not None
    return receipt.refusal.error, receipt.refusal.message, receipt.refusal.would_pass


# --- what moves ------------------------------------------------------------------------------------------------


def test_a_deposit_opens_the_position_and_is_a_claim_of_its_own(venue: IsolatedVenue) -> None:
    """The collateral lies in the vault beside cross margin, and the receipt books it under the position's name."""
    receipt = venue.put(300)
    assert receipt.ok
    position = venue.perp_position("@alice")
    assert (position.position_flag, position.isolated_position_scaled_balance) == (POSITION_ISOLATED, 300 * 10**9)
    assert venue.balance("@alice", USDC) == 1_000 * 10**9
    assert venue.vault(USDC) == 2_300 * ONE_USDC
    assert [leg.amount for leg in receipt.transfers if leg.account.endswith("/0.isolated.0")] == [300 * ONE_USDC]
    name, fields = receipt.events[-1]
    assert (name, fields["direction"], fields["amount"]) == ("DepositRecord", "Deposit", 300 * ONE_USDC)
    assert fields["user_token_amount_after"] == 1_300 * ONE_USDC


def test_collateral_goes_in_and_out_of_cross_margin_and_leaves_the_vault_alone(venue: IsolatedVenue) -> None:
    """Out and back again nothing is lost; the least i64 takes all of it."""
    assert venue.move(250).ok
    assert (venue.collateral(), venue.balance("@alice", USDC)) == (250 * 10**9, 750 * 10**9)
    assert venue.move(-50).ok
    assert (venue.collateral(), venue.balance("@alice", USDC)) == (200 * 10**9, 800 * 10**9)
    assert venue.move(LEAST).ok
    assert (venue.collateral(), venue.balance("@alice", USDC)) == (0, 1_000 * 10**9)
    assert venue.vault(USDC) == 2_000 * ONE_USDC


def test_a_withdrawal_pays_the_owner_and_tells_it(venue: IsolatedVenue) -> None:
    """Tokens leave the vault, and the event says so."""
    venue.put(300)
    receipt = venue.take_out(100)
    assert receipt.ok
    # a debit that leaves the vault rounds up by one, also where it is exact
    assert venue.collateral() == 200 * 10**9 - 1
    assert venue.vault(USDC) == 2_200 * ONE_USDC
    name, fields = receipt.events[-1]
    assert (name, fields["direction"], fields["amount"]) == ("DepositRecord", "Withdraw", 100 * ONE_USDC)


def test_an_emptied_row_may_come_back_as_a_cross_position(venue: IsolatedVenue) -> None:
    """A row without collateral, base and quote is free, whatever flag it carries; the next trade is cross margin's."""
    venue.put(300)
    assert venue.take_out(300).ok
    assert venue.perp_position("@alice").position_flag == POSITION_ISOLATED
    assert venue.take("@alice", "Long", B).ok
    position = venue.perp_position("@alice")
    assert (position.position_flag, position.base_asset_amount) == (0, B)


def test_a_position_that_is_traded_with_isolated_collateral_stays_isolated(venue: IsolatedVenue) -> None:
    """Its row is found by its market, so trades, fees and collateral meet in one position."""
    venue.put(300)
    assert venue.take("@alice", "Long", B).ok
    position = venue.perp_position("@alice")
    assert (position.position_flag, position.base_asset_amount) == (POSITION_ISOLATED, B)
    assert position.isolated_position_scaled_balance == 300 * 10**9


def test_isolated_collateral_earns_deposit_interest(venue: IsolatedVenue) -> None:
    """It is inside the market's deposits: the index that moves moves it too."""
    venue.put(300)
    assert venue.deposit("@bob", SOL, 100 * ONE_SOL).ok
    assert venue.withdraw("@bob", USDC, 1_500 * ONE_USDC).ok
    venue.now += 365 * 86_400
    assert venue.move(1).ok
    index = venue.market(USDC).cumulative_deposit_interest
    assert index > 10**10
    assert venue.collateral() == 300 * 10**9 + 10**6 * 10**13 // index


def test_whoever_bears_a_loss_is_named_position_by_position(venue: IsolatedVenue) -> None:
    """All claims on the quote market's deposits, listed as a loss would hit them: isolated collateral by itself."""
    venue.put(300)
    assert venue.take("@alice", "Long", B).ok
    claims = dict(_balances(venue.machine.store, USDC))
    assert sum(claims.values()) == venue.market(USDC).deposit_balance
    assert [claim for name, claim in claims.items() if name.endswith("/0.isolated.0")] == [300 * 10**9]


# --- what is refused -------------------------------------------------------------------------------------------


def test_without_the_feature_every_door_is_shut() -> None:
    """The switch is off unless asked for, and the refusal says who can turn it."""
    venue = IsolatedVenue(isolated_positions=False)
    for receipt in (venue.put(1), venue.move(1), venue.take_out(1)):
        assert why(receipt)[0] == "IsolatedPositionDisabled"
        assert "update_feature_bit_flags" in why(receipt)[2]
    venue.ok(UpdateFeatureBitFlags(feature="IsolatedPositions", enable=True))
    assert venue.put(1).ok
    venue.ok(UpdateFeatureBitFlags(feature="IsolatedPositions", enable=False))
    assert why(venue.take_out(1))[0] == "IsolatedPositionDisabled"


@pytest.mark.parametrize(
    ("bit", "doors"),
    [
        (EXCHANGE_DEPOSIT_PAUSED, {"deposit", "transfer"}),
        (EXCHANGE_WITHDRAW_PAUSED, {"transfer", "withdraw"}),
    ],
)
def test_the_exchange_bits_shut_their_doors(venue: IsolatedVenue, bit: int, doors: set[str]) -> None:
    """A transfer needs both open, for it is a withdrawal and a deposit."""
    venue.put(10)
    venue.ok(UpdateExchangeStatus(exchange_status=bit))
    tried = {"deposit": venue.put(1), "transfer": venue.move(1), "withdraw": venue.take_out(1)}
    assert {name for name, receipt in tried.items() if not receipt.ok} == doors
    assert {why(receipt)[0] for receipt in tried.values() if not receipt.ok} == {"ExchangePaused"}


def test_zero_is_refused_under_each_instructions_own_name(venue: IsolatedVenue) -> None:
    """A deposit of nothing is no deposit; the others are plain errors."""
    assert [why(r)[0] for r in (venue.put(0), venue.move(0), venue.take_out(0))] == [
        "InsufficientDeposit",
        "DefaultError",
        "DefaultError",
    ]


def test_a_cross_position_is_in_the_way(venue: IsolatedVenue) -> None:
    """One market, one position: it is cross or isolated, and the refusal says which."""
    assert venue.take("@alice", "Long", B).ok
    for receipt in (venue.put(1), venue.move(1), venue.move(-1), venue.take_out(1)):
        error, message, passes = why(receipt)
        assert error == "InvalidPerpPosition"
        assert "cross margin" in message and "closed" in passes


def test_only_the_quote_market_can_be_collateral(venue: IsolatedVenue) -> None:
    """Another spot market is not the one that the perp market settles in."""
    assert venue.deposit("@alice", SOL, ONE_SOL).ok
    assert why(venue.put(1, spot_market_index=SOL))[0] == "InvalidIsolatedPerpMarket"


def test_a_delegate_may_deposit_and_transfer_but_not_withdraw(venue: IsolatedVenue) -> None:
    """Money leaves for the authority's wallet on the authority's word alone."""
    venue.ok(UpdateUserDelegate(user="@alice", delegate="@bob"), "@alice")
    deposit = DepositIntoIsolatedPerpPosition(user="@alice", perp_market_index=PERP, amount=ONE_USDC)
    assert venue.do(deposit, "@bob").ok
    transfer = TransferIsolatedPerpPositionDeposit(user="@alice", perp_market_index=PERP, amount=1)
    assert venue.do(transfer, "@bob").ok
    assert why(venue.take_out(1, signer="@bob"))[0] == "Unauthorized"


@pytest.mark.parametrize(
    ("status", "deposit", "withdrawal"),
    [
        ("Active", "", ""),
        ("ReduceOnly", "MarketActionPaused", ""),
        ("Settlement", "MarketActionPaused", ""),
        ("Delisted", "MarketActionPaused", "MarketWithdrawPaused"),
        ("Initialized", "MarketBeingInitialized", "MarketWithdrawPaused"),
    ],
)
def test_the_spot_markets_status_decides(venue: IsolatedVenue, status: Any, deposit: str, withdrawal: str) -> None:
    """Only an active market takes isolated deposits; one that winds down still pays out."""
    venue.put(10)
    venue.ok(UpdateSpotMarketStatus(market_index=USDC, status=status))
    got = [receipt.refusal.error if receipt.refusal else "" for receipt in (venue.put(1), venue.take_out(1))]
    assert got == [deposit, withdrawal]


def test_a_paused_withdraw_operation_holds_isolated_collateral_too(venue: IsolatedVenue) -> None:
    """But it may still go to cross margin, where the same pause waits."""
    venue.put(10)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=USDC, paused_operations=VELOCITY_SPOT_WITHDRAW))
    assert why(venue.take_out(1))[0] == "MarketWithdrawPaused"
    assert venue.move(-10).ok


def test_asking_for_more_than_is_held_names_what_is_held(venue: IsolatedVenue) -> None:
    """Both ways out say how much there is, and that so much would pass."""
    venue.put(10)
    for receipt in (venue.take_out(11), venue.move(-11)):
        assert why(receipt) == (
            "InsufficientCollateral",
            f"the isolated position in perp market 0 holds {10 * ONE_USDC} tokens",
            f"at most {10 * ONE_USDC} tokens now",
        )
        assert [(limit.name, limit.value) for limit in receipt.limits] == [("isolated_collateral", 10 * ONE_USDC)]


def test_an_open_position_keeps_its_own_margin(venue: IsolatedVenue) -> None:
    """Cross margin's thousand does not back it: what may go is what Initial margin leaves of its own collateral."""
    venue.put(300)
    assert venue.take("@alice", "Long", 10 * B).ok
    receipt = venue.move(-250)
    error, message, passes = why(receipt)
    assert error == "InsufficientCollateral"
    assert message.startswith("strict margin of the isolated position in perp market 0 would ask for")
    most = int(passes.split()[2])
    passing, failing = (
        TransferIsolatedPerpPositionDeposit(user="@alice", perp_market_index=PERP, amount=-amount)
        for amount in (most, most + 1)
    )
    assert why(venue.do(failing, "@alice"))[0] == "InsufficientCollateral"
    assert venue.do(passing, "@alice").ok


def test_cross_margin_keeps_its_own_margin(venue: IsolatedVenue) -> None:
    """A transfer in may borrow, up to what cross margin bears; with nothing else to bear it, not one token."""
    receipt = venue.move(1_001)
    error, message, passes = why(receipt)
    assert error == "InsufficientCollateral"
    assert message.startswith("strict margin of cross margin would ask for")
    assert passes == f"at most {1_000 * ONE_USDC} tokens now"
    assert venue.deposit("@alice", SOL, 10 * ONE_SOL).ok
    assert venue.move(1_001).ok
    assert venue.balance("@alice", USDC) < 0


def test_a_failing_isolated_row_blocks_cross_withdrawals(venue: IsolatedVenue) -> None:
    """Every scope must meet its requirement, whichever of them pays."""
    venue.put(110)
    assert venue.take("@alice", "Long", 10 * B).ok
    venue.post("SOL", 99_000_000)
    ix = Withdraw(user="@alice", market_index=USDC, amount=ONE_USDC)
    assert why(venue.do(ix, "@alice"))[0] == "InsufficientCollateral"


def test_the_query_tells_the_margin_of_every_scope(venue: IsolatedVenue) -> None:
    """Cross margin's figures, and beside them each isolated position's; safe where all meet maintenance."""
    venue.put(300)
    assert venue.take("@alice", "Long", 10 * B).ok
    found = margin(venue.machine.store, venue.clock, "@alice")
    assert (found.initial.total_collateral, found.initial.margin_requirement) == (1_000 * ONE_USDC, 0)
    [position] = found.isolated
    assert (position.perp_market_index, position.collateral) == (PERP, 300 * ONE_USDC)
    assert position.initial.margin_requirement == 2 * position.maintenance.margin_requirement == 100 * ONE_USDC
    assert 190 * ONE_USDC < position.initial.free_collateral < 200 * ONE_USDC
    assert found.safe
    venue.post("SOL", 72_000_000)
    found = margin(venue.machine.store, venue.clock, "@alice")
    assert found.maintenance.met and not found.isolated[0].maintenance.met and not found.safe


# --- liquidation and bankruptcy --------------------------------------------------------------------------------


def test_a_deposit_that_heals_ends_the_rows_liquidation_only(venue: IsolatedVenue) -> None:
    """The row's latch falls where it can exit with the buffer; cross margin's stays."""
    venue.put(10)
    venue.latch(POSITION_BEING_LIQUIDATED)
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED)
    assert venue.put(1).ok
    assert venue.perp_position("@alice").position_flag == POSITION_ISOLATED
    assert venue.user("@alice").status == USER_BEING_LIQUIDATED


def test_a_transfer_ends_the_liquidation_of_the_scope_that_gave(venue: IsolatedVenue) -> None:
    """Having met Initial margin it needs no other test; the other scope's latch stays."""
    venue.put(10)
    venue.latch(POSITION_BEING_LIQUIDATED)
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED)
    assert venue.move(1).ok
    assert venue.user("@alice").status == 0
    assert venue.perp_position("@alice").position_flag == POSITION_ISOLATED | POSITION_BEING_LIQUIDATED
    assert venue.move(-1).ok
    assert venue.perp_position("@alice").position_flag == POSITION_ISOLATED


def test_one_bankrupt_row_shuts_every_door(venue: IsolatedVenue) -> None:
    """While any scope is latched bankrupt nothing isolated moves."""
    venue.put(10)
    venue.latch(POSITION_BANKRUPT)
    assert {why(receipt)[0] for receipt in (venue.put(1), venue.move(1), venue.move(-1), venue.take_out(1))} == {
        "UserBankrupt"
    }


# --- one position's margin ratio -------------------------------------------------------------------------------


def test_a_positions_own_margin_ratio_binds_its_initial_margin_only(venue: IsolatedVenue) -> None:
    """Half of the notional instead of a tenth: the same trade passes or not by it."""
    venue.put(300)
    ratio = UpdateUserPerpPositionCustomMarginRatio(user="@alice", perp_market_index=PERP, margin_ratio=5_000)
    venue.ok(ratio, "@alice")
    assert why(venue.do(ratio, "@bob"))[0] == "Unauthorized"
    assert why(venue.take("@alice", "Long", 7 * B))[0] == "InsufficientCollateral"
    assert venue.take("@alice", "Long", 5 * B).ok
    assert why(venue.move(-60))[0] == "InsufficientCollateral"
    assert venue.move(-40).ok


def test_a_margin_ratio_waits_for_the_position_to_be_opened(venue: IsolatedVenue) -> None:
    """It may be set before the position exists; the row that the market then takes still has it."""
    ratio = UpdateUserPerpPositionCustomMarginRatio(user="@alice", perp_market_index=PERP, margin_ratio=5_000)
    venue.ok(ratio, "@alice")
    venue.put(300)
    assert venue.perp_position("@alice").max_margin_ratio == 5_000
    assert venue.perp_position("@alice").position_flag == POSITION_ISOLATED
