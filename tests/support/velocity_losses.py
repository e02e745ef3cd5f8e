"""``LossVenue`` under Velocity: two perp markets whose users hold positions against each other, debts and claims."""

from typing import Any

from seawall.instructions.administration import UpdateSpotMarketRevenueSettlePeriod
from seawall.instructions.markets import InitializePerpMarket
from seawall.records import set_path
from seawall.state.enums import POSITION_ISOLATED, USER_BANKRUPT
from seawall.state.perp_market import PerpMarket
from tests.support.losses import BANKRUPT, LossVenue
from tests.support.money import SOL, USDC
from tests.support.trading import PERP, B, P

OTHER = 1
"""The second perp market."""

_UNIT = 1_000
"""Scaled balance of a USDC unit at an index of 1."""


class VelocityLossVenue(LossVenue):
    """@long has 3 base and @short −1 base in market 0 without having traded; the AMM holds the rest."""

    def __init__(self, positions: bool = True, **config: Any) -> None:
        super().__init__(positions=False, rulebook="velocity", **config)
        self.ok(
            InitializePerpMarket(
                market_index=OTHER,
                name="OTHER-PERP",
                oracle="SOL",
                amm_base_asset_reserve=1_000_000 * B,
                amm_quote_asset_reserve=1_000_000 * B,
                amm_periodicity=3_600,
                amm_peg_multiplier=100 * P,
                base_spread=2_000,
                max_spread=50_000,
                margin_ratio_initial=1_000,
                margin_ratio_maintenance=500,
                order_step_size=B // 1_000,
                order_tick_size=100,
                min_order_size=B // 1_000,
            )
        )
        for index in (USDC, SOL):
            # no revenue settlement is due in these tests
            self.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=index, revenue_settle_period=10**12))
        if positions:
            self.hold("@long", 3 * B)
            self.hold("@short", -B)

    def perp_market(self, index: int) -> PerpMarket:
        """A stored perp market."""
        return self.machine.store.perp_markets.objects[index]

    def change_perp_market(self, index: int, **fields: Any) -> None:
        """Overwrite fields of a perp market, its AMM, its ledger or its claim."""
        market = self.perp_market(index).copy()
        for name, value in fields.items():
            paths = (name, f"amm.{name}", f"fee_ledger.{name}", f"insurance_claim.{name}")
            assert any(set_path(market, path, value) for path in paths), name
        self._store("perp_markets", index, market)

    def hold(self, name: str, base: int, market_index: int = PERP) -> None:
        """A position of ``base``, opened at 100 against the AMM."""
        quote = -base // B * 100 * P
        user, market = self.user(name), self.perp_market(market_index).copy()
        position = user.perp_positions[market_index]
        amm = market.amm
        position.market_index = market_index
        position.base_asset_amount = base
        position.quote_asset_amount = position.quote_entry_amount = position.quote_break_even_amount = quote
        side = "long" if base > 0 else "short"
        for total, value in (("base_asset_amount", base), ("quote_entry_amount", quote)):
            setattr(amm, f"{total}_{side}", getattr(amm, f"{total}_{side}") + value)
        break_even = f"quote_break_even_amount_{side}"
        setattr(amm, break_even, getattr(amm, break_even) + quote)
        amm.base_asset_amount_with_amm += base
        amm.quote_asset_amount += quote
        market.number_of_users += 1
        market.number_of_users_with_base += 1
        self.change_user(name, perp_positions=user.perp_positions)
        self._store("perp_markets", market_index, market)

    def claim(self, quote: int, market_index: int = OTHER, name: str = BANKRUPT, flags: int = 0) -> None:
        """A closed position to whom its market owes ``quote`` (negative: that owes it)."""
        user = self.user(name)
        position = user.perp_positions[market_index]
        position.market_index = market_index
        position.quote_asset_amount = quote
        position.position_flag = flags
        self.change_user(name, perp_positions=user.perp_positions)
        market = self.perp_market(market_index)
        self.change_perp_market(
            market_index,
            quote_asset_amount=market.amm.quote_asset_amount + quote,
            number_of_users=market.number_of_users + 1,
        )

    def isolate(self, debt: int, collateral: int = 0, flags: int = 0) -> None:
        """An isolated debt of @bankrupt in market 0, with collateral of its own (quote 1e6)."""
        self.claim(-debt, PERP, flags=POSITION_ISOLATED + flags)
        user = self.user(BANKRUPT)
        user.perp_positions[PERP].isolated_position_scaled_balance = collateral * _UNIT
        self.change_user(BANKRUPT, perp_positions=user.perp_positions)
        self._back(collateral)

    def latch(self, name: str = BANKRUPT) -> None:
        """Flag an account's cross margin as bankrupt, rightly or not."""
        self.change_user(name, status=USER_BANKRUPT)

    def fund(self, pool: str, tokens: int, market_index: int = PERP) -> None:
        """Tokens (quote 1e6) in a pool of a perp market: ``pnl_pool`` or ``fee_pool``."""
        path = pool if pool == "pnl_pool" else f"amm.{pool}"
        self.change_perp_market(market_index, **{f"{path}.scaled_balance": tokens * _UNIT})
        self._back(tokens)

    def _back(self, tokens: int) -> None:
        """Deposits in the quote market that the vault holds."""
        market = self.market(USDC)
        self.change_market(USDC, deposit_balance=market.deposit_balance + tokens * _UNIT)
        self.change_vaults(USDC, spot_vault=self.vault(USDC) + tokens)

    def provide(self, granted: int, untokenized: int = 0) -> None:
        """What market 0's AMM was granted of fees, and what of it is not in its fee pool yet (quote 1e6)."""
        self.change_perp_market(
            PERP, amm_protocol_fees_received=granted, pending_amm_provision=untokenized,
            total_fee_minus_distributions=granted,
        )  # fmt: skip

    def pend(self, insurance: int) -> None:
        """Insurance's pending cut of market 0's fees (quote 1e6); its tokens are not needed to pay a loss."""
        self.change_perp_market(PERP, pending_if_fee=insurance)
