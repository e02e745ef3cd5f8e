"""Who bears a loss: the shares of every single account, computed on demand from a receipt's waterfall and the state.

A receipt tells the sources of a loss and the change of the indices that spread the rest; its size does not depend on
how many accounts there are. This module lists them all: whose claim on the insurance fund shrank, whose deposit was
cut, who will pay through funding. The state must be the one right after the instruction (``engine.recovery.machine_at``
has it). Amounts are tokens of the waterfall's spot market; every list with its rounding sums to what it explains.
"""

from collections.abc import Iterator

import msgspec

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.receipts import IndexChange, Waterfall
from seawall.engine.store import Store
from seawall.keys import key_to_text
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.funding import calculate_funding_payment
from seawall.rules.common.insurance_shares import if_shares_to_vault_amount
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User


class OtherState(ValueError):
    """The state is not the one right after the instruction that the waterfall is of."""


class Bearer(msgspec.Struct, frozen=True, array_like=True):
    """One bearer: the account, what its share goes by (base 1e9, scaled balance 1e9, insurance shares), its tokens."""

    account: str
    weight: int
    share: int


class Attribution(msgspec.Struct, frozen=True):
    """Everybody who bears a loss, in tokens.

    ``insurers`` share what the insurance fund paid: their shares + ``insurers_rounding`` = ``insured``. ``bearers``
    share what was socialised: their shares + ``index_rounding`` (the index was rounded up: it takes more) +
    ``claims_rounding`` (each claim is rounded by itself, in the vault's favour or against it) = ``socialised``.
    """

    insured: int
    insurers: list[Bearer]
    insurers_rounding: int
    socialised: int
    bearers: list[Bearer]
    index_rounding: int
    claims_rounding: int


def attribute(store: Store, waterfall: Waterfall) -> Attribution:
    """Everybody's share of a loss; ``OtherState`` unless ``store`` is the state right after its instruction.

    Reads every account once if something was socialised, every stake once if insurance paid.
    """
    insured = sum(source.paid for source in waterfall.sources if source.name == "insurance_fund")
    insurers = _insurers(store, waterfall, insured) if insured else []
    bearers = _bearers(store, waterfall) if waterfall.socialised else []
    return Attribution(
        insured,
        insurers,
        insured - sum(bearer.share for bearer in insurers),
        waterfall.socialised,
        bearers,
        waterfall.rounding,
        waterfall.socialised - waterfall.rounding - sum(bearer.share for bearer in bearers),
    )


def _bearers(store: Store, waterfall: Waterfall) -> list[Bearer]:
    if waterfall.perp_market_index is not None:
        return list(_positions(store, waterfall.perp_market_index, waterfall.indices))
    return list(_deposits(store, waterfall.market_index, waterfall.indices[0]))


def _account(user: User) -> str:
    return f"user.{key_to_text(user.authority)}/{user.sub_account_id}"


# --- perp: every open position, by its base ----------------------------------------------------------------------


def _positions(store: Store, market_index: int, indices: list[IndexChange]) -> Iterator[Bearer]:
    """What each open position will pay more at its next funding settlement than it would have."""
    longs, shorts = indices
    amm = store.perp_markets.objects[market_index].amm
    if amm.cumulative_funding_rate_long != longs.after or amm.cumulative_funding_rate_short != shorts.after:
        raise OtherState(f"the funding rates of perp market {market_index} are not those right after the instruction")
    for row in range(store.users.count):
        user = store.users.read(row)
        for i in range(POSITIONS):
            position = user.perp_positions[i]
            base = position.base_asset_amount
            if position.market_index != market_index or base == 0:
                continue
            rate = longs if base > 0 else shorts
            last = position.last_cumulative_funding_rate
            without = calculate_funding_payment(rate.before - last, base) if rate.before != last else 0
            with_it = calculate_funding_payment(rate.after - last, base) if rate.after != last else 0
            yield Bearer(_account(user), base, without - with_it)


# --- spot: every deposit, pools included -------------------------------------------------------------------------


def _deposits(store: Store, market_index: int, index: IndexChange) -> Iterator[Bearer]:
    """What each deposit lost: its tokens before the cut of the index less its tokens after."""
    after = store.spot_markets.objects[market_index]
    if after.cumulative_deposit_interest != index.after:
        raise OtherState(f"the deposit index of spot market {market_index} is not that right after the instruction")
    before = after.copy()
    before.cumulative_deposit_interest = index.before
    for account, balance in _balances(store, market_index):
        yield Bearer(account, balance, _tokens(balance, before) - _tokens(balance, after))


def _tokens(balance: int, market: SpotMarket) -> int:
    return get_token_amount(balance, market, DEPOSIT)


def _balances(store: Store, market_index: int) -> Iterator[tuple[str, int]]:
    """Every claim on the deposits of a market with its scaled balance: pools first, then users."""
    for number, market in enumerate(store.spot_markets.objects):
        for name, balance in (
            ("revenue_pool", market.revenue_pool.scaled_balance),
            ("protocol_fee_pool", market.protocol_fee_pool.scaled_balance),
            ("revenue_receivable", market.insurance_fund_revenue_receivable_scaled),
        ):
            if number == market_index and balance:
                yield f"spot_market.{number}.{name}", balance
        if market.spot_fee_pool.market_index == market_index and market.spot_fee_pool.scaled_balance:
            yield f"spot_market.{number}.spot_fee_pool", market.spot_fee_pool.scaled_balance
    for number, perp_market in enumerate(store.perp_markets.objects):
        if perp_market.quote_spot_market_index == market_index:
            for name, pool in (
                ("pnl_pool", perp_market.pnl_pool),
                ("fee_pool", perp_market.amm.fee_pool),
                ("protocol_fee_pool", perp_market.protocol_fee_pool),
            ):
                if pool.scaled_balance:
                    yield f"perp_market.{number}.{name}", pool.scaled_balance
    for row in range(store.users.count):
        user = store.users.read(row)
        for i in range(POSITIONS):
            position = user.spot_positions[i]
            if position.market_index == market_index and position.balance_type == DEPOSIT and position.scaled_balance:
                yield _account(user), position.scaled_balance
            isolated = user.perp_positions[i]
            if market_index == QUOTE_SPOT_MARKET_INDEX and isolated.isolated_position_scaled_balance:
                yield f"{_account(user)}.isolated.{isolated.market_index}", isolated.isolated_position_scaled_balance


# --- insurance: every stake, and the protocol ----------------------------------------------------------------------


def _insurers(store: Store, waterfall: Waterfall, insured: int) -> list[Bearer]:
    """What each holder of insurance shares lost: their value before the payment less their value after.

    Where no shares exist, the fund is the protocol's. A request to leave does not matter here: it is paid at the lower
    of its frozen value and its shares' value.
    """
    market_index = waterfall.market_index
    fund = store.spot_markets.objects[market_index].insurance_fund
    vault = store.vaults.objects[market_index].insurance_fund_vault
    held = next(source.held for source in waterfall.sources if source.name == "insurance_fund")
    if vault != held - insured:
        raise OtherState(
            f"the insurance fund of spot market {market_index} holds other than right after the instruction"
        )
    protocol = f"spot_market.{market_index}.protocol"
    if fund.total_shares == 0:
        return [Bearer(protocol, 0, insured)]

    def bearer(account: str, shares: int) -> Bearer:
        before = if_shares_to_vault_amount(shares, fund.total_shares, held)
        return Bearer(account, shares, before - if_shares_to_vault_amount(shares, fund.total_shares, vault))

    protocol_shares = fund.total_shares - fund.user_shares
    found = [bearer(protocol, protocol_shares)] if protocol_shares else []
    for row in range(store.stakes.count):
        stake = store.stakes.read(row)
        if stake.market_index == market_index and stake.if_shares:
            shares = stake.if_shares // 10 ** (fund.shares_base - stake.if_base)
            found.append(bearer(f"stake.{key_to_text(stake.authority)}", shares))
    return found
