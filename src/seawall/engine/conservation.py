"""Double entry: what an instruction moved between claims, and the proof that claims never exceed the vaults.

For every spot market an instruction touched, the change of its collateral vault equals the sum of the changes of all
claims on it: the touched users and pools one by one, everyone else through the interest index in one leg for
depositors and one for borrowers, and the *dust*: the surplus of the vault over all claims. Roundings feed the dust;
it may never become negative by an instruction.
"""

from struct import Struct
from typing import NamedTuple

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.receipts import Transfer, VaultChange
from seawall.engine.store import Store
from seawall.engine.transaction import Change
from seawall.keys import key_to_text
from seawall.records import row_format
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket, Vaults
from seawall.state.user import POSITIONS, PerpPosition, SpotPosition, User

USERS = "users"
"""The account that stands for all users of a batch."""

Leg = tuple[str, int, int, int, int]
"""One claim: its account; scaled balance and balance type before, and after."""

_POSITIONS_AT = next(f.offset for f in User.LAYOUT.fields if f.name == "spot_positions")
_BALANCES = ("scaled_balance", "market_index", "balance_type")
_read_balances = Struct("<" + row_format(SpotPosition, _BALANCES) * POSITIONS).unpack_from
_NO_BALANCES = (0,) * (len(_BALANCES) * POSITIONS)

_PERPS_AT = next(f.offset for f in User.LAYOUT.fields if f.name == "perp_positions")
_COLLATERAL = ("market_index", "isolated_position_scaled_balance")
_read_collateral = Struct("<" + row_format(PerpPosition, _COLLATERAL) * POSITIONS).unpack_from
_NO_COLLATERAL = (0,) * (len(_COLLATERAL) * POSITIONS)


class Totals(NamedTuple):
    """What a market owes and is owed, in tokens, and what its vault holds."""

    deposits: int
    borrows: int
    vault: int

    @property
    def surplus(self) -> int:
        """Vault tokens beyond all claims (the dust; negative only in a broken or imported state)."""
        return self.vault - (self.deposits - self.borrows)


def totals(market: SpotMarket, vault: int) -> Totals:
    """Deposits (floor), borrows (ceil) and vault tokens of a market."""
    return Totals(
        get_token_amount(market.deposit_balance, market, DEPOSIT),
        get_token_amount(market.borrow_balance, market, BORROW),
        vault,
    )


def moved(store: Store, changes: list[Change]) -> tuple[list[Transfer], list[VaultChange]]:
    """The transfers and vault changes of an instruction, from the rows it wrote (before they are stored).

    ``changes`` are in the order of tables, spot markets before all that have claims on them.
    """
    moving: set[int] = set()  # markets whose interest indices moved: there an untouched balance is another claim
    markets: dict[int, tuple[SpotMarket, SpotMarket]] = {}
    vaults: dict[int, tuple[Vaults, Vaults]] = {}
    legs: dict[int, list[Leg]] = {}
    for change in changes:
        after = change.after
        index = change.index
        if isinstance(after, User):
            _positions(legs, change, after, moving)
        elif isinstance(after, SpotMarket):
            before = store.spot_markets.objects[index] if change.before is not None else after
            markets[index] = (before, after)
            if (
                before.cumulative_deposit_interest != after.cumulative_deposit_interest
                or before.cumulative_borrow_interest != after.cumulative_borrow_interest
            ):
                moving.add(index)
            account = f"spot_market.{index}"
            _pool(legs, account, ".revenue_pool", before.revenue_pool, after.revenue_pool, moving, index)
            _pool(legs, account, ".spot_fee_pool", before.spot_fee_pool, after.spot_fee_pool, moving)
            _pool(legs, account, ".protocol_fee_pool", before.protocol_fee_pool, after.protocol_fee_pool, moving, index)
            _claim(
                legs, account + ".revenue_receivable", before.insurance_fund_revenue_receivable_scaled,
                after.insurance_fund_revenue_receivable_scaled, moving, index,
            )  # fmt: skip
        elif isinstance(after, PerpMarket):
            old = store.perp_markets.objects[index] if change.before is not None else after
            account = f"perp_market.{index}"
            _pool(legs, account, ".pnl_pool", old.pnl_pool, after.pnl_pool, moving)
            _pool(legs, account, ".fee_pool", old.amm.fee_pool, after.amm.fee_pool, moving)
            _pool(legs, account, ".protocol_fee_pool", old.protocol_fee_pool, after.protocol_fee_pool, moving)
        elif isinstance(after, Vaults):
            held = store.vaults.objects[index] if change.before is not None else Vaults()
            vaults[index] = (held, after)
        elif after is None and change.data and change.table is store.users:
            _positions(legs, change, None, moving)
    if not markets and not legs and not vaults:
        return [], []
    transfers: list[Transfer] = []
    for index in sorted({*markets, *legs, *vaults}):
        _market_transfers(store, index, markets, vaults, legs.get(index, []), transfers)
    return transfers, _vault_changes(vaults)


def _pool(
    legs: dict[int, list[Leg]],
    owner: str,
    name: str,
    before: PoolBalance,
    after: PoolBalance,
    moving: set[int],
    market_index: int = 0,
) -> None:
    _claim(legs, owner + name, before.scaled_balance, after.scaled_balance, moving, market_index)


def _claim(legs: dict[int, list[Leg]], account: str, old: int, new: int, moving: set[int], market_index: int) -> None:
    if old != new or (new != 0 and market_index in moving):
        legs.setdefault(market_index, []).append((account, old, DEPOSIT, new, DEPOSIT))


def _positions(legs: dict[int, list[Leg]], change: Change, after: User | None, moving: set[int]) -> None:
    account = USERS if after is None else ""
    olds = _NO_BALANCES if change.before is None else _read_balances(change.before, _POSITIONS_AT)
    news = _read_balances(change.data, _POSITIONS_AT)
    for at in range(0, len(news), len(_BALANCES)):
        balance, index = news[at], news[at + 1]
        old_balance, old_index = olds[at], olds[at + 1]
        if balance == old_balance:
            if balance == 0:
                continue
            if index == old_index and news[at + 2] == olds[at + 2] and index not in moving:
                continue
        if after is not None and not account:
            account = f"user.{key_to_text(after.authority)}/{after.sub_account_id}"
        old_type, new_type = olds[at + 2], news[at + 2]
        if old_index == index:
            legs.setdefault(index, []).append((account, old_balance, old_type, balance, new_type))
        else:
            # a slot that was given to another market held nothing, or the old claim ends here
            if old_balance:
                legs.setdefault(old_index, []).append((account, old_balance, old_type, 0, old_type))
            legs.setdefault(index, []).append((account, 0, new_type, balance, new_type))
    _isolated_collateral(legs, change, after, moving)


def _isolated_collateral(legs: dict[int, list[Leg]], change: Change, after: User | None, moving: set[int]) -> None:
    """The collateral of isolated positions is a deposit in the quote market, a claim of its own beside cross margin."""
    news = _read_collateral(change.data, _PERPS_AT)
    olds = _NO_COLLATERAL if change.before is None else _read_collateral(change.before, _PERPS_AT)
    if not any(news[1::2]) and not any(olds[1::2]):
        return
    for at in range(0, len(news), len(_COLLATERAL)):
        old, new = olds[at + 1], news[at + 1]
        if old == new and (new == 0 or QUOTE_SPOT_MARKET_INDEX not in moving):
            continue
        account = USERS
        if after is not None:
            # a row that was emptied may have been given to another market since
            market = news[at] if new else olds[at]
            account = f"user.{key_to_text(after.authority)}/{after.sub_account_id}.isolated.{market}"
        _claim(legs, account, old, new, moving, QUOTE_SPOT_MARKET_INDEX)


def _market_transfers(
    store: Store,
    index: int,
    markets: dict[int, tuple[SpotMarket, SpotMarket]],
    vaults: dict[int, tuple[Vaults, Vaults]],
    legs: list[Leg],
    out: list[Transfer],
) -> None:
    pair = markets.get(index)
    if pair is None:
        before = after = store.spot_markets.objects[index]
    else:
        before, after = pair
    dust = 0
    if index in vaults:
        vault_before, vault_after = vaults[index]
        dust = vault_after.spot_vault - vault_before.spot_vault
    deposits, borrows = _others(before, after)
    total = batch = 0
    for account, old_balance, old_type, new_balance, new_type in legs:
        old = get_token_amount(old_balance, before, old_type) if old_balance else 0
        new = get_token_amount(new_balance, after, new_type) if new_balance else 0
        if old_type == BORROW:
            borrows += old
            old = -old
        else:
            deposits += old
        if new_type == BORROW:
            borrows -= new
            new = -new
        else:
            deposits -= new
        if account == USERS:
            batch += new - old
        elif new != old:
            out.append(Transfer(index, account, new - old))
            total += new - old
    if batch:
        out.append(Transfer(index, USERS, batch))
        total += batch
    if deposits:
        out.append(Transfer(index, "other_depositors", deposits))
    if borrows:
        out.append(Transfer(index, "other_borrowers", -borrows))
    dust += borrows - deposits - total
    if dust:
        out.append(Transfer(index, "dust", dust))


def _others(before: SpotMarket, after: SpotMarket) -> tuple[int, int]:
    if before is after:
        return 0, 0
    deposits = get_token_amount(after.deposit_balance, after, DEPOSIT) - get_token_amount(
        before.deposit_balance, before, DEPOSIT
    )
    if (
        before.borrow_balance == after.borrow_balance
        and before.cumulative_borrow_interest == after.cumulative_borrow_interest
    ):
        return deposits, 0
    borrows = get_token_amount(after.borrow_balance, after, BORROW) - get_token_amount(
        before.borrow_balance, before, BORROW
    )
    return deposits, borrows


def _vault_changes(vaults: dict[int, tuple[Vaults, Vaults]]) -> list[VaultChange]:
    out: list[VaultChange] = []
    for index, (before, after) in vaults.items():
        if after.spot_vault != before.spot_vault:
            out.append(VaultChange(index, "spot_vault", after.spot_vault - before.spot_vault))
        if after.insurance_fund_vault != before.insurance_fund_vault:
            change = after.insurance_fund_vault - before.insurance_fund_vault
            out.append(VaultChange(index, "insurance_fund_vault", change))
    return out


def surplus(store: Store) -> list[int]:
    """The dust of every spot market: vault tokens beyond all claims."""
    return [
        totals(market, store.vaults.objects[i].spot_vault).surplus
        for i, market in enumerate(store.spot_markets.objects)
    ]
