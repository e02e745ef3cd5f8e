"""``TradingVenue`` with an insurance fund, open positions and debts that nobody pays, for tests of losses."""

from typing import Any

from seawall.engine.receipts import Receipt, Source, Waterfall
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.state.enums import BORROW
from seawall.state.spot_market import Vaults
from tests.support.money import START
from tests.support.trading import PERP, B, TradingVenue

BANKRUPT, LIQUIDATOR = "@bankrupt", "@liquidator"


class LossVenue(TradingVenue):
    """@long has 3 base, @short −1 base against the AMM; @bankrupt has nothing yet. No interest, no revenue periods."""

    def __init__(self, positions: bool = True, **config: Any) -> None:
        super().__init__(**config)
        self.now = START + 1
        self.trader("@long", "@short")
        self.open(BANKRUPT, LIQUIDATOR)
        if positions:
            assert self.take("@long", "Long", 3 * B).ok
            assert self.take("@short", "Short", B).ok

    # --- a state with losses ----------------------------------------------------------------------------------

    def owe_perp(self, loss: int, name: str = BANKRUPT) -> None:
        """A perp debt of ``loss`` (quote 1e6) without a position."""
        user = self.user(name)
        user.perp_positions[0].market_index = PERP
        user.perp_positions[0].quote_asset_amount = -loss
        self.change_user(name, perp_positions=user.perp_positions)
        market = self.perp
        self.change_perp(
            quote_asset_amount=market.amm.quote_asset_amount - loss, number_of_users=market.number_of_users + 1
        )

    def owe_spot(self, market_index: int, tokens: int, name: str = BANKRUPT) -> None:
        """A borrow of ``tokens`` at an index of 1, paid out of the vault."""
        market = self.market(market_index)
        scaled = tokens * 10 ** (9 - market.decimals)
        slot = 0 if market_index == 0 else 1
        user = self.user(name)
        position = user.spot_positions[slot]
        position.market_index, position.balance_type, position.scaled_balance = market_index, BORROW, scaled
        self.change_user(name, spot_positions=user.spot_positions)
        self.change_market(market_index, borrow_balance=market.borrow_balance + scaled)
        self.change_vaults(market_index, spot_vault=self.vaults(market_index).spot_vault - tokens)

    def insure(self, name: str, market_index: int, tokens: int) -> None:
        """``name`` stakes."""
        self.open(name)
        self.ok(InitializeInsuranceFundStake(authority=name, market_index=market_index), name)
        self.ok(AddInsuranceFundStake(authority=name, market_index=market_index, amount=tokens), name)

    def allow(self, tokens: int, settled: int = 0) -> None:
        """The perp market may use ``tokens`` of insurance in its lifetime and has used ``settled``."""
        self.change_claim(quote_max_insurance=tokens, quote_settled_insurance=settled)

    def change_claim(self, **fields: int) -> None:
        """Overwrite fields of the perp market's insurance claim."""
        self.change_perp(**{f"insurance_claim.{name}": value for name, value in fields.items()})

    def fill_fee_pool(self, tokens: int) -> None:
        """Tokens for the AMM's fee pool."""
        if tokens:
            self.ok(DepositIntoPerpMarketFeePool(market_index=PERP, amount=tokens))

    def vaults(self, market_index: int) -> Vaults:
        """The stored vaults of a market."""
        return self.machine.store.vaults.objects[market_index]

    def change_vaults(self, market_index: int, **fields: int) -> None:
        """Overwrite vaults."""
        vaults = self.vaults(market_index).copy()
        for name, value in fields.items():
            setattr(vaults, name, value)
        self._store("vaults", market_index, vaults)

    # --- resolving --------------------------------------------------------------------------------------------

    def resolve_perp(self, user: str = BANKRUPT, liquidator: str = LIQUIDATOR, market: int = PERP) -> Receipt:
        """The liquidator resolves a perp debt."""
        ix = ResolvePerpBankruptcy(user=user, liquidator=liquidator, quote_spot_market_index=0, market_index=market)
        return self.do(ix, liquidator)

    def resolve_spot(self, market: int, user: str = BANKRUPT, liquidator: str = LIQUIDATOR) -> Receipt:
        """The liquidator resolves a borrow."""
        return self.do(ResolveSpotBankruptcy(user=user, liquidator=liquidator, market_index=market), liquidator)

    def resolve_deficit(self) -> Receipt:
        """Anyone lets the perp market draw on insurance."""
        return self.do(ResolvePerpPnlDeficit(spot_market_index=0, perp_market_index=PERP), "@anyone")


def waterfall(receipt: Receipt) -> Waterfall:
    """The waterfall of an instruction that was carried out."""
    assert receipt.refusal is None, receipt.refusal
    assert receipt.waterfall is not None
    return receipt.waterfall


def source(found: Waterfall, name: str) -> Source:
    """A source by the end of its name."""
    return next(one for one in found.sources if one.name.endswith(name))
