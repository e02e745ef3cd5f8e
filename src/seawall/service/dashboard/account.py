"""*Account*: balances and positions, what of a P&L can be settled and why not more, margin by scope, history."""

from typing import Any, Final, NamedTuple

from nicegui import ui

from seawall.engine.queries.margin import Margin, MarginFigures, ScopeFigures, margin, withdrawable
from seawall.engine.queries.pnl import ClaimablePnl, claimable_pnl
from seawall.engine.receipts import Clock, Limit
from seawall.engine.store import Store
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import user_key
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.ledger.journal import Tip
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.insurance import funds, stake_table, stakes_of
from seawall.service.dashboard.journal import go, receipt_table
from seawall.service.dashboard.markup import (
    BASE_DECIMALS,
    QUOTE_DECIMALS,
    Markup,
    account_link,
    amount,
    chip,
    figure,
    join,
    link,
    note,
    number,
    pairs,
    table,
    tag,
    text,
    words,
)
from seawall.service.views import canonical_account
from seawall.state import enums
from seawall.state.user import PerpPosition, SpotPosition, User

LISTED: Final = 25
HISTORY: Final = 30


class Balance(NamedTuple):
    """One token of an account: tokens (negative: borrowed), what of it could be withdrawn now, and what binds."""

    name: str
    decimals: int
    tokens: int
    withdrawable: int
    bound_by: str
    limits: list[Limit]


class Position(NamedTuple):
    """One perp position; ``claim`` None: it cannot be computed, and ``error`` says why."""

    name: str
    base: int
    entry: int
    open_orders: int
    flags: list[str]
    collateral: int | None
    claim: ClaimablePnl | None
    error: str


class AccountView(NamedTuple):
    """An account at a clock; ``margin`` None: it cannot be computed, and ``margin_error`` says why."""

    ref: str
    authority: str
    name: str
    quote: str
    contracts: list[str]
    delegate: str
    flags: list[str]
    totals: list[tuple[str, int]]
    balances: list[Balance]
    positions: list[Position]
    margin: Margin | None
    margin_error: str


_STATUS: Final = (
    (enums.USER_BEING_LIQUIDATED, "being liquidated"), (enums.USER_BANKRUPT, "bankrupt"),
    (enums.USER_REDUCE_ONLY, "reduce only"), (enums.USER_CLOSED, "closed"),
)  # fmt: skip
_FLAGS: Final = (
    (enums.POSITION_ISOLATED, "isolated"), (enums.POSITION_BEING_LIQUIDATED, "being liquidated"),
    (enums.POSITION_BANKRUPT, "bankrupt"), (enums.POSITION_BANKRUPTCY_CLAIM, "a claim of bankruptcy"),
)  # fmt: skip


def account_view(store: Store, clock: Clock, ref: str) -> AccountView:
    """An account with all that can be asked of it; ``UserNotFound``."""
    row = store.users.index.get(user_key(ref))
    if row is None:
        raise SettlementError(ErrorCode.UserNotFound, f"there is no account {ref}")
    user = store.users.read(row)
    found, error = None, ""
    try:
        found = margin(store, clock, ref)
    except (SettlementError, ZeroDivisionError) as refusal:
        error = str(refusal)
    return AccountView(
        ref, key_to_text(user.authority), user.name, store.spot_markets.objects[0].name,
        [market.name for market in store.perp_markets.objects],
        "" if user.delegate == DEFAULT_KEY else key_to_text(user.delegate),
        [name for bit, name in _STATUS if user.status & bit],
        [
            ("deposited so far", user.total_deposits), ("withdrawn so far", user.total_withdraws),
            ("settled P&L so far", user.settled_perp_pnl), ("funding so far", user.cumulative_perp_funding),
            ("socialised losses borne", user.total_social_loss),
        ],
        [_balance(store, clock, ref, position) for position in user.spot_positions if _is_used(position)],
        [_position(store, clock, ref, position) for position in user.perp_positions if _is_open(position)],
        found, error,
    )  # fmt: skip


def _is_used(position: SpotPosition) -> bool:
    return position.scaled_balance != 0 or position.open_orders != 0


def _is_open(position: PerpPosition) -> bool:
    return bool(
        position.base_asset_amount
        or position.quote_asset_amount
        or position.open_orders
        or position.isolated_position_scaled_balance
    )


def _balance(store: Store, clock: Clock, ref: str, position: SpotPosition) -> Balance:
    market = store.spot_markets.objects[position.market_index]
    tokens = get_token_amount(position.scaled_balance, market, position.balance_type)
    signed = get_signed_token_amount(tokens, position.balance_type)
    try:
        most = withdrawable(store, clock, ref, position.market_index)
    except (SettlementError, ZeroDivisionError) as error:
        return Balance(market.name, market.decimals, signed, 0, str(error), [])
    return Balance(market.name, market.decimals, signed, most.amount, most.bound_by, most.limits)


def _position(store: Store, clock: Clock, ref: str, position: PerpPosition) -> Position:
    claim, error = None, ""
    try:
        claim = claimable_pnl(store, clock, ref, position.market_index)
    except (SettlementError, ZeroDivisionError) as refusal:
        error = str(refusal)
    collateral = None
    if position.position_flag & enums.POSITION_ISOLATED:
        quote = store.spot_markets.objects[0]
        collateral = get_token_amount(position.isolated_position_scaled_balance, quote, enums.DEPOSIT)
    return Position(
        store.perp_markets.objects[position.market_index].name, position.base_asset_amount,
        position.quote_entry_amount, position.open_orders,
        [name for bit, name in _FLAGS if position.position_flag & bit], collateral, claim, error,
    )  # fmt: skip


class Listed(NamedTuple):
    """One account of the list."""

    ref: str
    name: str
    flags: list[str]


class AccountList(NamedTuple):
    """Some accounts in the order in which they were opened."""

    total: int
    first: int
    rows: list[Listed]


def account_list(store: Store, first: int) -> AccountList:
    """``LISTED`` accounts from row ``first`` on."""
    total = store.users.count
    start = max(0, min(first, (total - 1) // LISTED * LISTED)) if total else 0
    users = [store.users.read(row) for row in range(start, min(total, start + LISTED))]
    return AccountList(total, start, [_listed(user) for user in users])


def _listed(user: User) -> Listed:
    ref = f"{key_to_text(user.authority)}/{user.sub_account_id}"
    return Listed(ref, user.name, [name for bit, name in _STATUS if user.status & bit])


# --- how it is shown -------------------------------------------------------------------------------------------


def head_table(view: AccountView) -> Markup:
    """Whose account it is."""
    flags = join((chip(flag, "bad") for flag in view.flags), " ") if view.flags else chip("in good standing", "good")
    rows: list[tuple[Any, Any]] = [
        ("account", tag("code", view.ref)),
        ("name", view.name or "none"),
        ("authority", link("insurance", tag("code", view.authority), authority=view.authority)),
        ("delegate", tag("code", view.delegate) if view.delegate else "none"),
        ("state", flags),
    ]
    rows += [(name, f"{amount(value, QUOTE_DECIMALS)} {view.quote}") for name, value in view.totals]
    return pairs(rows, "account")


def balance_table(view: AccountView) -> Markup:
    """Balances, what could be withdrawn, and why not more."""
    columns = (
        words("token"), words("kind"), number("balance"), number("withdrawable now", "borrowing included"),
        words("why not more"),
    )  # fmt: skip
    rows = (
        (
            tag("b", row.name), "borrow" if row.tokens < 0 else "deposit",
            figure(row.tokens, row.decimals, row.decimals), figure(row.withdrawable, row.decimals),
            _bound(row.bound_by, row.limits),
        )
        for row in view.balances
    )  # fmt: skip
    return table(columns, rows, "no balance", "balances", cards=True)


def _bound(error: str, limits: list[Limit]) -> Markup:
    lines = [tag("b", error)] if error else []
    lines += [tag("span", f"{limit.name} {limit.value:,}, asked {limit.asked:,}: {limit.note}") for limit in limits]
    return tag("span", join(lines, "<br>"), css="why")


def position_table(view: AccountView) -> Markup:
    """Positions: P&L, what of it can be claimed, what is payable now, and why not more."""
    columns = (
        words("contract"), words("margin"), number("base"), number("price"), number("unrealised P&L"),
        number("claimable", "a gain: realised gain and what the pools hold beyond all users' P&L"),
        number("payable now", "what a settlement signed by the owner would move"), words("why not more"),
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for row in view.positions:
        kind = "cross" if row.collateral is None else f"isolated: {amount(row.collateral, QUOTE_DECIMALS)} {view.quote}"
        more = [flag for flag in row.flags if flag != "isolated"]
        scope = join((kind, *(chip(flag, "bad") for flag in more)), " ")
        base = figure(row.base, BASE_DECIMALS, 4)
        if row.claim is None:
            rows.append((tag("b", row.name), scope, base, "", "", "", "", tag("span", row.error, css="why neg")))
            continue
        claim = row.claim
        rows.append(
            (
                tag("b", row.name), scope, base, amount(claim.price, QUOTE_DECIMALS, 4),
                *(figure(v, QUOTE_DECIMALS) for v in (claim.unrealized_pnl, claim.claimable_pnl, claim.payable_pnl)),
                _why(claim),
            )
        )  # fmt: skip
    remark = Markup("")
    if any(row.claim is not None for row in view.positions):
        remark = note(f"In {view.quote}.")
    return join(
        (
            table(columns, rows, "no position", "positions", cards=True),
            remark,
            *(_pools(view, row) for row in view.positions),
        )
    )


def _why(claim: ClaimablePnl) -> Markup:
    lines = [tag("b", claim.refusal)] if claim.refusal else []
    lines += [tag("span", reason) for reason in claim.reasons if reason != claim.refusal]
    if claim.owner_must_sign:
        lines.append(tag("span", "only the owner may settle this gain now"))
    if not lines:
        return tag("span", "all of it", css="muted")
    return tag("span", join(lines, "<br>"), css="why")


def _pools(view: AccountView, row: Position) -> Markup:
    claim = row.claim
    if claim is None or claim.unrealized_pnl <= 0:
        return Markup("")

    def shown(value: int) -> str:
        return amount(value, QUOTE_DECIMALS)

    return note(
        f"{row.name}: realised gain {shown(claim.realized_gain)}; the pools' excess over all users' P&L "
        f"({shown(claim.net_user_pnl)}) {shown(claim.pnl_pool_excess)}; in the P&L pool for this account "
        f"{shown(claim.pnl_pool_available)}."
    )


def margin_table(view: AccountView) -> Markup:
    """Margin of each scope at each strictness."""
    if view.margin is None:
        return tag("p", f"The margin cannot be computed: {view.margin_error}", css="refused")
    columns = (
        words("scope"), words("for"), number("collateral"), number("requirement"), number("free"), words("met"),
    )  # fmt: skip
    found = view.margin
    scopes: list[tuple[str, str, MarginFigures | ScopeFigures]] = [
        ("cross", "opening risk (Initial)", found.initial),
        ("cross", "withdrawing (strict Initial)", found.withdraw),
        ("cross", "staying safe (Maintenance)", found.maintenance),
    ]
    for isolated in found.isolated:
        name = f"isolated {view.contracts[isolated.perp_market_index]}"
        scopes += [
            (name, "opening risk (Initial)", isolated.initial),
            (name, "withdrawing (strict Initial)", isolated.withdraw),
            (name, "staying safe (Maintenance)", isolated.maintenance),
        ]
    rows = (
        (
            tag("b", scope), strictness, figure(figures.total_collateral, QUOTE_DECIMALS),
            figure(figures.margin_requirement, QUOTE_DECIMALS), figure(figures.free_collateral, QUOTE_DECIMALS),
            chip("yes", "good") if figures.met else chip("no", "bad"),
        )
        for scope, strictness, figures in scopes
    )  # fmt: skip
    shown = table(columns, rows, name="margin")
    remark = note(f"In {view.quote}, at the interest last accrued.")
    if not found.initial.all_oracles_valid:
        remark = join((remark, tag("p", chip("not every price is valid now", "warn"))))
    return join((shown, remark))


def list_table(found: AccountList) -> Markup:
    """A page of all accounts."""
    columns = (words("account"), words("name"), words("state"))
    rows = (
        (account_link(row.ref), row.name, join((chip(flag, "bad") for flag in row.flags), " ")) for row in found.rows
    )
    last = found.first + len(found.rows)
    turn = []
    if found.first:
        turn.append(link("account", "← earlier", first=max(0, found.first - LISTED)))
    if last < found.total:
        turn.append(link("account", "later →", first=last))
    place = f"{found.first + 1:,} to {last:,} of {found.total:,}"
    where = tag("p", text(place), *turn, css="turn") if found.rows else ""
    return join((table(columns, rows, "no account yet", "accounts"), where))


# --- the page --------------------------------------------------------------------------------------------------


async def build(look: Look) -> Refresh:
    """The page: one account where the address names one, and the list of all."""
    form = Panel("Look up an account", "lookup")
    form.controls.set_visibility(True)
    given = look.query.get("user", "").strip()
    with form.controls:
        field = ui.input("Account", value=given, placeholder="@long1/0, or base58/0").props("dense outlined")
        field.classes("wide")

        def search() -> None:
            go(look, "account", {"user": field.value or ""})

        field.on("keydown.enter", search)
        ui.button("Look up", on_click=search).props("unelevated dense no-caps")
    if given:
        return await _build_account(look, given, form)
    return await _build_list(look)


async def _build_list(look: Look) -> Refresh:
    panel = Panel("All accounts, in the order in which they were opened", "accounts")
    asked = look.query.get("first", "")
    first = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else 0

    async def refresh() -> None:
        found = await look.ask(("accounts", first), lambda store, clock, tip: account_list(store, first))
        panel.show(list_table(found))

    await refresh()
    return refresh


async def _build_account(look: Look, given: str, form: Panel) -> Refresh:
    try:
        ref = canonical_account(given)
    except SettlementError as error:
        form.show(tag("p", error.detail or str(error), css="refused", role="alert"))
        return _nothing
    if not await look.ask(("is there", ref), lambda store, clock, tip: user_key(ref) in store.users.index):
        form.show(tag("p", f"There is no account {given}.", css="refused", role="alert"))
        return await _build_list(look)
    head = Panel("Account", "account")
    balances = Panel("Balances (tokens)", "balances")
    positions = Panel("Positions", "positions")
    margins = Panel("Margin by scope", "margin")
    stakes = Panel("Insurance stakes of its authority", "stakes")
    past = Panel("History", "history")

    async def refresh() -> None:
        def question(store: Store, clock: Clock, tip: Tip) -> AccountView:
            return account_view(store, clock, ref)

        view: AccountView = await look.ask(("account", ref), question)
        head.show(head_table(view))
        balances.show(balance_table(view))
        positions.show(position_table(view))
        margins.show(margin_table(view))
        held = await look.ask(
            ("stakes", view.authority), lambda store, clock, _: stakes_of(store, clock, view.authority)
        )
        stakes.box.set_visibility(bool(held))
        if held:
            stakes.show(stake_table(held, await look.ask("funds", funds), view.authority))
        views = look.desk.service.views
        rows = await look.desk.index(("history", ref), lambda: views.receipts(account=ref, limit=HISTORY))
        more = link("journal", "all of them", account=ref) if len(rows) == HISTORY else ""
        past.show(receipt_table(rows, look.query), tag("p", more))

    await refresh()
    return refresh


async def _nothing() -> None:
    """Nothing to bring up to date."""
