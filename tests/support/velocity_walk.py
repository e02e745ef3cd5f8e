"""The walk of ``support.walk`` over a venue that runs by Velocity, or that comes to it on the way.

Beside what Drift's venue sees: isolated positions, the fee sweep and the protocol's withdrawals, builders, liquidations
by fill and by swap, role keys, Velocity's parameters and pauses, and the migration with every claim compared.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from seawall.engine.claims import claims
from seawall.engine.conservation import surplus
from seawall.engine.queries.margin import margin
from seawall.errors import SettlementError
from seawall.instructions import administration as admin
from seawall.instructions.amm import (
    UpdateAmms,
    UpdateAmmSpreadAdjustment,
    UpdateMmOracle,
    UpdatePerpMarketDisableFormulaicKUpdate,
    UpdatePerpMarketFundingDeadZone,
    UpdatePerpMarketOracleSlotDelayOverrides,
    UpdatePerpMarketReferencePriceOffsetDeadband,
)
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketVault, PauseSpotMarketDepositWithdraw
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.isolated import (
    DepositIntoIsolatedPerpPosition,
    TransferIsolatedPerpPositionDeposit,
    UpdateUserPerpPositionCustomMarginRatio,
    WithdrawFromIsolatedPerpPosition,
)
from seawall.instructions.liquidation import (
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidatePerpWithFill,
    LiquidateSpot,
    LiquidateSpotWithSwap,
)
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.parameters import (
    UpdatePerpMarketBankruptcyIfFloorPct,
    UpdatePerpMarketFeePoolBufferTarget,
    UpdatePerpMarketTakerFeeAddon,
    UpdatePromoFeeTier,
)
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder
from seawall.instructions.pnl import TransferFeeAndPnlPool, UpdatePerpMarketPnlPool
from seawall.instructions.protocol_fees import SweepPerpMarketFees, WithdrawProtocolFeesPerp, WithdrawProtocolFeesSpot
from seawall.instructions.revenue_share import (
    ChangeApprovedBuilder,
    CompleteRevenueShareOrder,
    ForfeitRevenueShareOrder,
    InitializeRevenueShareEscrow,
    SettleRevenueShare,
)
from seawall.instructions.roles import (
    UpdateFeatureBitFlags,
    UpdateHotAdmin,
    UpdatePauseAdmin,
    UpdateProtocolFeeRecipient,
    UpdateSolvencyStatus,
    UpdateWarmAdmin,
)
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolveSpotBankruptcy
from seawall.instructions.spot_parameters import (
    UpdateSpotMarketDepositCap,
    UpdateSpotMarketMaxTokenBorrows,
    UpdateSpotMarketWithdrawCircuitBreaker,
)
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.keys import key_to_text
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.velocity.isolated import get_isolated_token_amount
from seawall.state.enums import BORROW, DEPOSIT, EXCHANGE_FUNDING_PAUSED, POSITION_ISOLATED
from seawall.state.user import PerpPosition
from support.money import ADMIN, ETH, SOL, USDC
from support.velocity_invariants import net_deposits
from support.venues import (
    AUTHORITIES,
    BOB,
    CAROL,
    DAVE,
    DESK,
    ETH_PERP,
    GUARD,
    MALLORY,
    PEOPLE,
    SOL_PERP,
    STEP,
    TREASURY,
    WARM,
    WholeVenue,
    authority,
)
from support.walk import (
    ACTIONS,
    CONTRACTS,
    DECIMALS,
    ORACLE,
    TOKEN_ORACLE,
    TOKENS,
    Dice,
    Direction,
    Order,
    Walk,
    why,
)

LEAST_I64 = -(2**63)


class VelocityWalk(Walk):
    """A walk over a venue of either rulebook: what is done next depends on which one runs it."""

    @property
    def actions(self) -> tuple[Callable[..., None], ...]:
        """What may be done next."""
        return VELOCITY_ACTIONS if self.venue.is_velocity else ON_THE_WAY

    # --- from Drift to Velocity -------------------------------------------------------------------------------

    def claimed(self, venue: WholeVenue) -> "Counter[tuple[int, str]]":
        """Every kind of claim on every vault, those of nothing left out."""
        found = {(claim.market_index, claim.kind): claim.amount for claim in claims(venue.store)}
        return Counter({at: amount for at, amount in found.items() if amount})

    def migrate(self, dice: Dice) -> None:
        """The venue moves to Velocity, now and then; until then each treatment of the protocol's shares is tried on a
        copy. No claim changes, but for that of the spot fee pools, which passes to the quote market's revenue pool, and
        that of shares paid out, which passes to the pool that was asked for."""
        treatments = ("ballast", "revenue_pool", "protocol_fee_pool")
        percents = {"amm_fee_numerator": dice.choice((0, 25, 60)), "if_fee_numerator": dice.choice((0, 25, 41))}
        for number, treatment in enumerate(dice.sample(treatments, 3)):
            venue = self.venue if number == 2 and dice.one_in(2) else self.venue.twin()
            current = [venue.do(UpdateSpotMarketCumulativeInterest(market_index=i), DAVE).ok for i in TOKENS]
            before = self.claimed(venue)
            funds = [venue.market(i).insurance_fund for i in TOKENS]
            ix = MigrateToVelocity(protocol_if_shares=treatment, **percents)  # type: ignore[arg-type]
            done = self.act(ix, ADMIN) if venue is self.venue else venue.do(ix, ADMIN)
            if done.refusal is not None:
                # roundings of Drift left a vault short, or more lent out than deposited
                claimed = [net_deposits(venue.market(i)) for i in TOKENS]
                rounded = min(claimed) < 0 or min(surplus(venue.store)) < 0
                short = why(done) == "SpotMarketVaultInvariantViolated" and rounded
                assert sum(percents.values()) > 100 or not all(current) or short, done.refusal
                continue
            # while funding is paused, only the stand-alone accrual waits under Drift
            waits = venue.store.state.objects[0].exchange_status & EXCHANGE_FUNDING_PAUSED
            if all(current) and not waits:
                self.nobody_lost(venue, before, treatment)
            for market, was in zip(TOKENS, funds, strict=True):
                fund = venue.market(market).insurance_fund
                assert fund.user_shares == was.user_shares
                assert fund.total_shares == (was.total_shares if treatment == "ballast" else was.user_shares)
            if venue is self.venue:
                venue.give_out_roles()

    def nobody_lost(self, venue: WholeVenue, before: "Counter[tuple[int, str]]", treatment: str) -> None:
        """Whoever had a claim has it, to the unit, or what the migration names has it in his place."""
        after = self.claimed(venue)
        passed = {USDC: before.pop((USDC, "spot fee pool"), 0), SOL: 0, ETH: 0}
        assert (USDC, "spot fee pool") not in after
        pool = "protocol fee pool" if treatment == "protocol_fee_pool" else "revenue pool"
        for market in TOKENS:
            shares = 0
            if treatment != "ballast":
                shares = before.pop((market, "insurance fund, the rest"), 0) - after.pop(
                    (market, "insurance fund, the rest"), 0
                )
                # what stakers are worth is rounded down before and after
                stakers = (market, "insurance fund, stakers")
                assert 0 <= after[stakers] - before[stakers] <= 1
                before[stakers] = after[stakers]
            for kind in ("protocol fee pool", "revenue pool"):
                gained = after.pop((market, kind), 0) - before.pop((market, kind), 0)
                expected = (shares if kind == pool else 0) + (passed[market] if kind == "revenue pool" else 0)
                # a pool is credited with whole scaled units, and two floors become one
                assert abs(gained - expected) <= 2, (market, kind, gained, expected)
        assert +after == +before, {at: (after[at], before[at]) for at in {*after, *before} if after[at] != before[at]}

    # --- isolated positions -----------------------------------------------------------------------------------

    def isolated_rows(self, user: str) -> list[PerpPosition]:
        """The isolated positions of an account."""
        return [p for p in self.venue.user(user).perp_positions if p.position_flag & POSITION_ISOLATED]

    def isolated_tokens(self, user: str, market: int) -> int:
        """The collateral of an isolated position."""
        for position in self.isolated_rows(user):
            if position.market_index == market:
                return get_isolated_token_amount(position, self.venue.market(USDC))
        return 0

    def isolate(self, dice: Dice) -> None:
        """Collateral for one position: from the wallet, from cross margin, and back."""
        user, market = dice.choice(PEOPLE), dice.contract()
        at: dict[str, Any] = {"user": user, "perp_market_index": market}
        if dice.one_in(20):
            at["spot_market_index"] = SOL
        held = self.isolated_tokens(user, market)
        free = max(0, self.held(user, USDC))
        out = dice.choice((-dice.amount(max(held, 10)), -held, LEAST_I64))
        choices: list[Instruction] = [
            DepositIntoIsolatedPerpPosition(**at, amount=dice.amount(10**9)),
            TransferIsolatedPerpPositionDeposit(**at, amount=min(dice.amount(free // 3), 2**63 - 1)),
            TransferIsolatedPerpPositionDeposit(**at, amount=max(out, LEAST_I64)),
            WithdrawFromIsolatedPerpPosition(**at, amount=dice.amount(max(held, 10))),
            UpdateUserPerpPositionCustomMarginRatio(
                **{k: at[k] for k in ("user", "perp_market_index")}, margin_ratio=0
            ),
        ]
        ix = dice.choice(choices)
        if isinstance(ix, UpdateUserPerpPositionCustomMarginRatio):
            at = {"user": user, "perp_market_index": market, "margin_ratio": dice.choice((0, 0, 1_500, 20_000))}
            ix = UpdateUserPerpPositionCustomMarginRatio(**at)
        self.act(ix, dice.signer(authority(user)))

    def trade_isolated(self, dice: Dice) -> None:
        """Somebody opens an isolated position with little collateral, as large as it bears."""
        self.open_isolated(dice, dice.choice(PEOPLE), dice.choice(CONTRACTS), dice.side())

    def open_isolated(self, dice: Dice, user: str, market: int, side: Direction) -> None:
        """Collateral for a position where it has none, then an order near what it bears."""
        held = self.isolated_tokens(user, market)
        if held < 10**6:
            amount = dice.choice((10**7, 10**8, 10**9))
            at: dict[str, Any] = {"user": user, "perp_market_index": market, "amount": amount}
            cls: Any = dice.choice((DepositIntoIsolatedPerpPosition, TransferIsolatedPerpPositionDeposit))
            if not self.act(cls(**at), authority(user)).ok:
                return
            held += amount
        base = held * dice.choice((3, 7, 9)) * 10**9 // max(1, self.price(ORACLE[market])) // STEP * STEP
        self.act(order_against_amm(user, market, side, min(base, 2**63)), authority(user))

    # --- fees: the sweep, the protocol, builders --------------------------------------------------------------

    def sweep(self, dice: Dice) -> None:
        """Pending fees become tokens of the pools, and the protocol takes its own."""
        market, token = dice.contract(), dice.token()
        amount = dice.choice((2**64 - 1, dice.amount(10**6)))
        recipient = dice.choice((None, None, TREASURY, MALLORY))
        choices: list[tuple[Instruction, str]] = [
            (SweepPerpMarketFees(market_index=market), MALLORY),
            (SweepPerpMarketFees(market_index=market), MALLORY),
            (WithdrawProtocolFeesPerp(market_index=market, amount=amount, recipient=recipient), DESK),
            (WithdrawProtocolFeesSpot(market_index=token, amount=amount, recipient=recipient), DESK),
            (DepositIntoSpotMarketVault(market_index=token, amount=dice.amount(10**6)), DESK),
            (PauseSpotMarketDepositWithdraw(market_index=token), MALLORY),
        ]
        ix, signer = dice.choice(choices)
        self.act(ix, dice.signer(signer))

    def builder_of(self, dice: Dice, user: str) -> dict[str, Any]:
        """Sometimes an order was built by somebody, who takes his part of it."""
        if not self.venue.is_velocity or not dice.one_in(3):
            return {}
        fee = dice.choice((5, 50, 51)) if dice.one_in(5) else dice.choice((5, 50))
        return {"builder": dice.choice((DAVE, DAVE, DAVE, BOB)), "builder_fee_tenth_bps": fee}

    def share_revenue(self, dice: Dice) -> None:
        """The life of a builder's and of a referrer's share."""
        owner, market = dice.choice(AUTHORITIES), dice.contract()
        builder, rate = dice.choice((DAVE, DAVE, BOB, MALLORY)), dice.choice((0, 50, 50, 200))
        choices: list[tuple[Instruction, str]] = [
            (InitializeRevenueShareEscrow(authority=owner), owner),
            (
                ChangeApprovedBuilder(authority=owner, builder=builder, max_fee_tenth_bps=rate),
                owner,
            ),
            (CompleteRevenueShareOrder(authority=owner, builder=builder, market_index=market), owner),
            (CompleteRevenueShareOrder(authority=owner, builder=builder, market_index=market), WARM),
            (SettleRevenueShare(escrow=owner, market_index=market), MALLORY),
            (SettleRevenueShare(escrow=owner, market_index=market), MALLORY),
            (ForfeitRevenueShareOrder(escrow=owner, row=dice.randrange(17), market_index=market), MALLORY),
        ]
        ix, signer = dice.choice(choices)
        self.act(ix, dice.signer(signer))

    # --- losses -----------------------------------------------------------------------------------------------

    def liquidate_otherwise(self, dice: Dice) -> None:
        """Somebody short of margin is closed by an order, or pays his debt by a swap."""
        short = [user for user in PEOPLE if not self.is_sound(user)]
        name = dice.choice(short or PEOPLE)
        liquidator = dice.choice([p for p in PEOPLE if p != name or dice.one_in(20)])
        if dice.one_in(2):
            self.close_by_fill(dice, name, liquidator)
        else:
            self.repay_by_swap(dice, name, liquidator)

    def repay_by_swap(self, dice: Dice, name: str, liquidator: str) -> None:
        """A part of a deposit is swapped outside and pays back a part of a debt."""
        user = self.venue.user(name)
        debts = [p.market_index for p in user.spot_positions if p.scaled_balance and p.balance_type == BORROW]
        assets = [p.market_index for p in user.spot_positions if p.scaled_balance and p.balance_type == DEPOSIT]
        debt = dice.choice(debts) if debts else dice.token()
        asset = dice.choice(assets) if assets else dice.token()
        amount = dice.amount(max(self.held(name, asset), 1)) // dice.choice((1, 4, 20, 100))
        out = amount
        if asset in TOKENS and debt in TOKENS:
            value = amount * self.price(TOKEN_ORACLE[asset], dice.bps(300)) * 10 ** DECIMALS[debt]
            out = min(value // 10 ** DECIMALS[asset] // max(1, self.price(TOKEN_ORACLE[debt])), 2**64 - 1)
        ix = LiquidateSpotWithSwap(
            user=name, liquidator=liquidator, asset_market_index=asset, liability_market_index=debt, amount_in=amount,
            amount_out=out,
        )  # fmt: skip
        if self.act(ix, dice.signer(authority(liquidator))).ok:
            self.forget_cancelled(name)

    def close_by_fill(self, dice: Dice, name: str, liquidator: str) -> None:
        """An order of the account itself closes a position against makers and the AMM."""
        perps = [p for p in self.venue.user(name).perp_positions if p.base_asset_amount]
        position = dice.choice(perps) if perps else None
        market = dice.contract() if position is None else position.market_index
        side: Direction = "Short" if position is not None and position.base_asset_amount > 0 else "Long"
        makers = self.makers_for(dice, "perp", name, market, side)
        ix = LiquidatePerpWithFill(
            user=name, liquidator=liquidator, market_index=market,
            fills=self.perp_fills(dice, makers, side, 0),
        )  # fmt: skip
        receipt = self.act(ix, dice.signer(WARM if makers else authority(liquidator)))
        if receipt.ok:
            self.forget_cancelled(name)
            taker = Order("perp", name, market, side, 2**70, 0, 0, True)
            fills = [(n, e) for n, e in receipt.events if n == "OrderActionRecord" and e["action"] == "Fill"]
            self.book_closing(fills, taker, makers)

    def book_closing(self, fills: list[tuple[str, Any]], taker: Order, makers: list[Order]) -> None:
        """Take off the book what makers gave to an order that closes a position."""
        by_address = {self.address(order.user): order for order in makers}
        for _, event in fills:
            if event["maker"] is not None and event["taker"] is not None:
                by_address[event["maker"]].base -= event["base_asset_amount_filled"]
        self.book = [order for order in self.book if order.base > 0]

    def address(self, user: str) -> str:
        """How events name an account."""
        return key_to_text(self.venue.user(user).address)

    def ruin(self, dice: Dice) -> None:
        """Somebody trades all that he has, cross or isolated, the price runs away faster than liquidators are, and what
        he cannot pay is resolved."""
        venue, name, market = self.venue, dice.choice(PEOPLE), dice.choice(CONTRACTS)
        side = dice.side()
        for _ in range(3):
            # prices far from their averages would refuse the trade
            venue.wait(1_200)
            self.act(UpdateAmms(market_indexes=[SOL_PERP, ETH_PERP]), MALLORY)
        if dice.one_in(2):
            self.open_isolated(dice, name, market, side)
        else:
            try:
                free = margin(venue.store, venue.clock, name).initial.free_collateral
            except SettlementError:
                return
            base = free * 9 * 10**9 // max(1, self.price(ORACLE[market])) // STEP * STEP
            self.act(order_against_amm(name, market, side, min(base, 2**63)), authority(name))
        change = dice.choice((600, 1_500)) * (-1 if side == "Long" else 1)
        for _ in range(dice.randint(2, 4)):
            price = self.price(ORACLE[market], change)
            self.act(PostOraclePrice(oracle=ORACLE[market], price=max(1, price)), ADMIN)
            for _ in range(3):
                venue.wait(300)
                self.act(UpdateAmms(market_indexes=[market]), MALLORY)
        for user in PEOPLE:
            self.wind_up(dice, user)

    def wind_up(self, dice: Dice, name: str) -> None:
        """All that an account short of margin has is taken over, then what it still owes is resolved. Takers bring
        money enough."""
        if not self.is_sound(name):
            for rich in (BOB, CAROL):
                self.act(Deposit(user=rich, market_index=USDC, amount=5 * 10**11), rich)
        for _ in range(8):
            if self.is_sound(name) or (is_bankrupt(self.venue.user(name)) and not dice.one_in(8)):
                break
            liquidator = dice.choice([rich for rich in (BOB, CAROL) if rich != name])
            pair: dict[str, Any] = {"user": name, "liquidator": liquidator}
            user = self.venue.user(name)
            assets = [p.market_index for p in user.spot_positions if p.scaled_balance and p.balance_type == DEPOSIT]
            choices: list[Instruction] = [
                LiquidatePerp(**pair, market_index=p.market_index, liquidator_max_base_asset_amount=10**18)
                for p in user.perp_positions
                if p.base_asset_amount
            ]
            choices += [
                LiquidatePerpPnlForDeposit(
                    **pair,
                    perp_market_index=p.market_index,
                    spot_market_index=asset,
                    liquidator_max_pnl_transfer=10**18,
                )
                for p in user.perp_positions
                for asset in sorted({*assets, USDC})
                if p.base_asset_amount == 0 and p.quote_asset_amount < 0
            ]  # fmt: skip
            choices += [
                LiquidateSpot(
                    **pair, asset_market_index=asset, liability_market_index=p.market_index,
                    liquidator_max_liability_transfer=10**18,
                )
                for p in user.spot_positions
                for asset in assets
                if p.scaled_balance and p.balance_type == BORROW
            ]  # fmt: skip
            if not choices:
                break
            if dice.one_in(3):
                self.close_by_fill(dice, name, liquidator)
            if dice.one_in(3):
                self.repay_by_swap(dice, name, liquidator)
            # a part of the shortage a time: the next part later
            self.venue.wait(60)
            self.act(UpdateAmms(market_indexes=[SOL_PERP, ETH_PERP]), MALLORY)
            if self.act(dice.choice(choices), dice.signer(authority(liquidator))).ok:
                self.forget_cancelled(name)
        if not self.is_sound(name) or dice.one_in(4):
            self.resolve(dice, name)

    def resolve(self, dice: Dice, name: str) -> None:
        """What an account owes and cannot pay is resolved, perp debts mostly first."""
        user = self.venue.user(name)
        pair: dict[str, Any] = {"user": name, "liquidator": dice.choice([p for p in PEOPLE if p != name])}
        choices: list[Instruction] = [
            ResolvePerpBankruptcy(**pair, quote_spot_market_index=USDC, market_index=p.market_index)
            for p in user.perp_positions
            if p.base_asset_amount == 0 and p.quote_asset_amount < 0
        ]
        choices += [
            ResolveSpotBankruptcy(**pair, market_index=p.market_index)
            for p in user.spot_positions
            if p.scaled_balance and p.balance_type == BORROW
        ]
        for ix in choices:
            self.act(ix, dice.signer(authority(pair["liquidator"])))

    # --- roles, parameters, pauses ----------------------------------------------------------------------------

    def rotate(self, dice: Dice) -> None:
        """Keys, recipients and switches; what was lost is soon found again."""
        role = dice.choice(("FeeWithdraw", "FeatureFlag", "AmmCrank", "VaultDeposit", "LpSwap"))
        feature = dice.choice(("BuilderCodes", "IsolatedPositions", "VammMakerRebate", "MmOracleUpdate"))
        enable = not dice.one_in(4)
        choices: list[tuple[Instruction, str]] = [
            (UpdateWarmAdmin(warm_admin=dice.choice((WARM, WARM, "1" * 32))), ADMIN),
            (UpdatePauseAdmin(pause_admin=dice.choice((GUARD, GUARD, WARM))), ADMIN),
            (UpdateHotAdmin(role=role, key=dice.choice((DESK, DESK, DAVE))), WARM),  # type: ignore[arg-type]
            (
                UpdateProtocolFeeRecipient(
                    market_type=dice.choice(("perp", "spot")),  # type: ignore[arg-type]
                    recipient=dice.choice((TREASURY, TREASURY, "1" * 32)),
                ),
                ADMIN,
            ),
            (UpdateFeatureBitFlags(feature=feature, enable=enable), ADMIN if enable else DESK),  # type: ignore[arg-type]
            (UpdateSolvencyStatus(solvency_status=dice.choice((0, 0, 0, 1, 2))), ADMIN),
            (admin.UpdateAdmin(admin=ADMIN), ADMIN),
        ]
        ix, signer = dice.choice(choices)
        self.act(ix, dice.signer(signer) if not dice.one_in(10) else dice.choice((WARM, GUARD, DESK)))

    def pause(self, dice: Dice) -> None:
        """The guard pauses something, which is resumed with the next throw or two."""
        state = self.venue.store.state.objects[0]
        if state.solvency_status:
            self.act(UpdateSolvencyStatus(solvency_status=0), ADMIN)
        market, token = dice.choice(CONTRACTS), dice.choice(TOKENS)
        bits = dice.choice((1, 2, 4, 8, 16, 32, 64, 128))
        choices: list[Instruction] = [
            admin.UpdateExchangeStatus(exchange_status=bits),
            admin.UpdatePerpMarketPausedOperations(market_index=market, paused_operations=bits),
            admin.UpdateSpotMarketPausedOperations(market_index=token, paused_operations=bits % 32),
            admin.UpdateSpotMarketIfPausedOperations(market_index=token, paused_operations=bits % 16),
        ]
        ix = dice.choice(choices)
        self.act(ix, dice.choice((GUARD, GUARD, WARM, ADMIN)))
        if not dice.one_in(3):
            lifted = {k: 0 for k in ("exchange_status", "paused_operations") if hasattr(ix, k)}
            self.act(msgspec.structs.replace(ix, **lifted), ADMIN)

    def spot_change(self, dice: Dice) -> Instruction:
        """A change of a spot market's parameters, often one that only Velocity has."""
        if not self.venue.is_velocity or not dice.one_in(2):
            return super().spot_change(dice)
        market, rate = dice.token(), dice.randint(0, 900_000)
        choices: list[Instruction] = [
            admin.UpdateSpotMarketIfFactor(
                spot_market_index=market, if_fee_factor=dice.randrange(rate + 2),
                protocol_fee_factor=dice.randrange(200_000),
            ),
            admin.UpdateSpotMarketLiquidationFee(
                market_index=market, liquidator_fee=dice.randrange(60_000), if_liquidation_fee=dice.randrange(120_000),
                protocol_liquidation_fee=dice.randrange(110_000),
            ),
            admin.UpdateWithdrawGuardThreshold(
                market_index=market, withdraw_guard_threshold=dice.choice((10**9, 10**8, 0))
            ),
            UpdateSpotMarketMaxTokenBorrows(
                market_index=market, max_token_borrows_fraction=dice.choice((0, 0, 5_000, 10_001))
            ),
            UpdateSpotMarketWithdrawCircuitBreaker(
                market_index=market, withdraw_circuit_breaker_bps=dice.choice((0, 2_500, 10_000, 10_001, 1))
            ),
            UpdateSpotMarketDepositCap(
                market_index=market, max_deposit_bps_per_day=dice.choice((0, 0, 500, 5_000)),
                deposit_guard_threshold=dice.choice((0, 10**12, 10**15)),
            ),
        ]  # fmt: skip
        return dice.choice(choices)

    def perp_change(self, dice: Dice) -> Instruction:
        """A change of a perp market's parameters, often one that only Velocity has."""
        if not self.venue.is_velocity or not dice.one_in(2):
            return super().perp_change(dice)
        market = dice.contract()
        price = self.price(ORACLE.get(market, "SOL"), dice.bps(30))
        choices: list[Instruction] = [
            admin.UpdatePerpLiquidationFee(
                market_index=market, liquidator_fee=dice.randrange(30_000), if_liquidation_fee=dice.randrange(20_000),
                protocol_liquidation_fee=dice.randrange(110_000),
            ),
            UpdatePerpMarketFeePoolBufferTarget(
                market_index=market, fee_pool_buffer_target=dice.choice((0, 0, 10**8, 2**64 - 1))
            ),
            UpdatePerpMarketBankruptcyIfFloorPct(
                market_index=market, bankruptcy_if_floor_pct=dice.choice((0, 10**4, 10**6, 10**6 + 1, 2**32 - 1))
            ),
            UpdatePerpMarketTakerFeeAddon(
                market_index=market, taker_fee_addon_tenth_bps=dice.choice((0, 50, 100, 101))
            ),
            UpdatePromoFeeTier(promo_fee_tier=dice.choice((0, 1, 3, 9))),
            UpdatePerpMarketFundingDeadZone(
                market_index=market, funding_clamp_threshold=dice.choice((0, 5, 500, 10_000)),
                funding_ramp_slope=dice.choice((10**6, 5 * 10**5, 0)),
            ),
            UpdatePerpMarketDisableFormulaicKUpdate(market_index=market, disable=dice.one_in(3)),
            UpdatePerpMarketOracleSlotDelayOverrides(
                market_index=market, oracle_slot_delay_override=dice.choice((-1, -1, 0, 10)),
                oracle_low_risk_slot_delay_override=dice.choice((0, 0, -1, 10)),
            ),
            UpdatePerpMarketReferencePriceOffsetDeadband(
                market_index=market, reference_price_offset_deadband_pct=dice.choice((0, 50, 100, 101))
            ),
            UpdateAmmSpreadAdjustment(
                market_index=market, amm_spread_adjustment=dice.randint(-101, 101),
                amm_inventory_spread_adjustment=dice.randint(-101, 101),
            ),
            UpdateMmOracle(
                market_index=market, mm_oracle_price=dice.choice((price, price, 0, -1)),
                mm_oracle_sequence_id=self.venue.clock.slot + dice.randrange(3),
            ),
            TransferFeeAndPnlPool(
                perp_market_index_with_fee_pool=market, perp_market_index_with_pnl_pool=dice.contract(),
                direction=dice.choice(("FeeToPnlPool", "PnlToFeePool")), amount=dice.amount(10**6),  # type: ignore[arg-type]
            ),
            UpdatePerpMarketPnlPool(market_index=market, amount=dice.choice((1, 2, dice.amount(10**3)))),
        ]  # fmt: skip
        return dice.choice(choices)

    def fee_change(self, dice: Dice, cls: Any) -> Instruction:
        """Another schedule of fees; under Velocity with the AMM's and insurance's part of what is left."""
        ix: Any = super().fee_change(dice, cls)
        if not self.venue.is_velocity:
            changed: Instruction = ix
            return changed
        parts = {"amm_fee_numerator": dice.choice((0, 30, 60)), "if_fee_numerator": dice.choice((0, 30, 41))}
        tiers = [
            msgspec.structs.replace(
                t, fee_numerator=t.fee_numerator or 5, maker_rebate_numerator=t.maker_rebate_numerator // 7
            )
            for t in ix.fee_structure.fee_tiers
        ]
        split = msgspec.structs.replace(ix.fee_structure, fee_tiers=tiers * 4, **parts)
        changed = cls(fee_structure=split)
        return changed

    # --- leaving ----------------------------------------------------------------------------------------------

    def lift_limits(self, venue: WholeVenue, market: int) -> None:
        """Let everything out of a spot market at once."""
        if not venue.is_velocity:
            super().lift_limits(venue, market)
            return
        venue.ok(UpdateSpotMarketWithdrawCircuitBreaker(market_index=market, withdraw_circuit_breaker_bps=10_000))
        venue.ok(UpdateSpotMarketDepositCap(market_index=market, max_deposit_bps_per_day=0, deposit_guard_threshold=0))

    def open_fee_pool(self, venue: WholeVenue, market: int) -> bool:
        """Velocity's expiry price counts on the AMM's whole fee pool, of which only its earnings became the P&L pool's,
        and winners are paid of that alone: what is left is moved by hand, unless roundings left the vault short."""
        pool = venue.perp(market).amm.fee_pool.scaled_balance
        amount = get_token_amount(pool, venue.market(USDC), DEPOSIT)
        if venue.is_velocity and amount:
            both = {"perp_market_index_with_fee_pool": market, "perp_market_index_with_pnl_pool": market}
            moved = venue.do(TransferFeeAndPnlPool(**both, direction="FeeToPnlPool", amount=amount))
            assert why(moved) in ("", "SpotMarketVaultInvariantViolated"), moved.refusal
            return moved.ok
        return True

    def free_collateral(self, venue: WholeVenue) -> None:
        """The collateral of isolated positions that ended goes back to cross margin."""
        if not venue.is_velocity:
            return
        venue.ok(UpdateFeatureBitFlags(feature="IsolatedPositions", enable=True))
        for user in PEOPLE:
            if is_bankrupt(venue.user(user)):
                continue
            for position in venue.user(user).perp_positions:
                empty = position.base_asset_amount == 0 == position.quote_asset_amount and position.open_orders == 0
                if empty and position.isolated_position_scaled_balance:
                    at: dict[str, Any] = {"user": user, "perp_market_index": position.market_index}
                    receipt = venue.do(TransferIsolatedPerpPositionDeposit(**at, amount=LEAST_I64), authority(user))
                    if why(receipt) == "InsufficientCollateral":
                        found = margin(venue.store, venue.clock, user)
                        assert not (found.withdraw.met and all(one.withdraw.met for one in found.isolated))
                    else:
                        # paying back a whole debt may round the market's net deposits up, which counts as an error;
                        # and a price may be too far from its average yet
                        rounded = ("", "SpotMarketVaultInvariantViolated", "MathError", "InvalidOracle")
                        assert why(receipt) in rounded, receipt.refusal


def order_against_amm(user: str, market: int, side: Direction, base: int) -> PlaceAndTakePerpOrder:
    """A market order that meets nobody but the AMM."""
    return PlaceAndTakePerpOrder(
        user=user, market_index=market, direction=side, base_asset_amount=base, immediate_or_cancel=True,
        fills=[AmmFill()],
    )  # fmt: skip


OWN: tuple[Callable[[VelocityWalk, Dice], None], ...] = (
    VelocityWalk.isolate, VelocityWalk.isolate, VelocityWalk.trade_isolated, VelocityWalk.trade_isolated,
    VelocityWalk.sweep, VelocityWalk.sweep, VelocityWalk.share_revenue, VelocityWalk.share_revenue,
    VelocityWalk.liquidate_otherwise, VelocityWalk.ruin, VelocityWalk.ruin, VelocityWalk.rotate, VelocityWalk.pause,
)  # fmt: skip
"""What only Velocity has."""

DROPPED = (Walk.rest_spot_order, Walk.fill_spot_order, Walk.protocol_shares)
"""What Velocity has not."""

VELOCITY_ACTIONS: tuple[Callable[..., None], ...] = (
    *(a for a in ACTIONS if a not in DROPPED), *OWN, Walk.stake, Walk.stake, Walk.expire,
)  # fmt: skip
"""What a long walk over a Velocity venue does."""

ON_THE_WAY: tuple[Callable[..., None], ...] = (*ACTIONS, VelocityWalk.migrate)
"""What a venue does that is still to migrate."""
