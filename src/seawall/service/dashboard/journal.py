"""*Journal*: receipts by account, instruction, signer, error and time; one receipt in full, a loss as a picture."""

from typing import Any, Final, NamedTuple

import msgspec
from nicegui import ui

from seawall.engine.receipts import Receipt, Waterfall, decode_receipt
from seawall.engine.store import Store
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, decode_canonical, encode, instruction_types
from seawall.keys import key_from_text
from seawall.ledger.journal import Entry
from seawall.service.dashboard.charts import Chart, loss, readable
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.markup import (
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
    short,
    table,
    tag,
    text,
    when,
    words,
)
from seawall.service.dashboard.overview import read_time
from seawall.service.views import Found, Views, canonical_account
from seawall.signing import unpack_proof, verify

PAGE: Final = 50
FIELDS: Final = ("account", "ix", "signer", "error", "since", "until", "kind", "before")


class Token(NamedTuple):
    """A token's name and decimals."""

    name: str
    decimals: int


class Names(NamedTuple):
    """Tokens and contracts by their numbers."""

    tokens: list[Token]
    contracts: list[str]

    def token(self, index: int) -> Token:
        """A token; one that is not there by its number, in base units."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else Token(f"spot market {index}", 0)

    def contract(self, index: str) -> str:
        """A contract's name by its number."""
        return self.contracts[int(index)] if index.isdigit() and int(index) < len(self.contracts) else index

    def pool(self, account: str) -> str:
        """A pool as people read it: ``perp_market.0.pnl_pool``, ``dust``, …"""
        owner, _, kind = account.rpartition(".")
        market, _, index = owner.rpartition(".")
        if not index.isdigit():
            return readable(kind)
        return f"{readable(kind)} of {self.contract(index) if market == 'perp_market' else self.token(int(index)).name}"


def names_of(store: Store, *_: Any) -> Names:
    """The names of a venue's markets."""
    return Names(
        [Token(market.name, market.decimals) for market in store.spot_markets.objects],
        [market.name for market in store.perp_markets.objects],
    )


# --- the search ------------------------------------------------------------------------------------------------


class Search(NamedTuple):
    """What is looked for; ``Views.receipts`` has the meanings."""

    account: str | None = None
    ix: str | None = None
    signer: str | None = None
    error: str | None = None
    losses: bool = False
    refused: bool = False
    since: int | None = None
    until: int | None = None
    before: int | None = None


def search_of(query: dict[str, str]) -> Search:
    """The search that an address asks for; ``ValueError`` says which field is wrong and what would pass."""
    given = {name: query.get(name, "").strip() for name in FIELDS}
    return Search(
        account=_account(given["account"]),
        ix=_one_of(given["ix"], instruction_types(), "instruction"),
        signer=_signer(given["signer"]),
        error=_one_of(given["error"], ErrorCode.__members__, "error"),
        losses=given["kind"] == "losses",
        refused=given["kind"] == "refused",
        since=read_time(given["since"]) if given["since"] else None,
        until=read_time(given["until"]) if given["until"] else None,
        before=read_sequence(given["before"]) if given["before"] else None,
    )


def _account(given: str) -> str | None:
    if not given:
        return None
    try:
        return canonical_account(given)
    except SettlementError as error:
        raise ValueError(f"account: {error.detail}") from None


def _signer(given: str) -> str | None:
    if given:
        try:
            key_from_text(given)
        except ValueError as error:
            raise ValueError(f"signer: {error}") from None
    return given or None


def _one_of(given: str, known: Any, what: str) -> str | None:
    if given and given not in known:
        raise ValueError(f"there is no {what} {given!r}")
    return given or None


def read_sequence(given: str) -> int:
    """A sequence number; ``ValueError``."""
    digits = given.strip().lstrip("#").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) <= 18):
        raise ValueError(f"{given!r} is no sequence number")
    return int(digits)


def look_up(views: Views, search: Search, limit: int = PAGE) -> list[Found]:
    """The receipts that fit."""
    return views.receipts(**search._asdict(), limit=limit)


def receipt_table(found: list[Found], query: dict[str, str]) -> Markup:
    """A list of receipts, the newest first."""
    kept = {name: query[name] for name in ("clock",) if name in query}
    columns = (words("receipt"), words("outcome"), words("instruction"), words("time (UTC)"), words("signer"))
    rows = (
        (
            link("journal", f"#{row.sequence:,}", receipt=row.sequence, **kept),
            chip("done", "good") if row.error is None else chip(row.error, "bad"), tag("code", row.ix),
            when(row.unix_timestamp), link("journal", short(row.signer), signer=row.signer, **kept),
        )
        for row in found
    )  # fmt: skip
    return table(columns, rows, "no receipt fits", "receipts")


# --- one receipt -----------------------------------------------------------------------------------------------


class Opened(NamedTuple):
    """An entry of the journal, read."""

    entry: Entry
    receipt: Receipt
    instruction: Instruction | None
    signature: str


def open_entry(entry: Entry, venue_id: bytes | None) -> Opened:
    """Read an entry and check its signature."""
    try:
        instruction = decode_canonical(entry.instruction)
    except SettlementError:
        instruction = None
    return Opened(entry, decode_receipt(entry.outcome), instruction, _signature(entry, venue_id))


def _signature(entry: Entry, venue_id: bytes | None) -> str:
    if not entry.signature:
        return "unsigned"
    try:
        proof, signer = unpack_proof(entry.signature), key_from_text(entry.signer)
    except ValueError as error:
        return f"not readable: {error}"
    fits = venue_id is not None and verify(signer, venue_id, proof, entry.idempotency_key, entry.instruction)
    return "Ed25519, checked just now" if fits else "does not fit: run seawall audit"


def head_of(opened: Opened) -> Markup:
    """Who asked what, and what came of it."""
    receipt, entry = opened.receipt, opened.entry
    outcome = chip("done", "good") if receipt.refusal is None else chip(f"refused: {receipt.refusal.error}", "bad")
    rows: list[tuple[Any, Any]] = [
        ("outcome", outcome),
        ("instruction", tag("code", receipt.ix)),
        ("signer", link("journal", receipt.signer, signer=receipt.signer)),
        ("signature", opened.signature),
        ("time (UTC)", f"{when(receipt.clock.unix_timestamp)}, slot {receipt.clock.slot:,}"),
        ("idempotency key", entry.idempotency_key or "none"),
        ("hash of the entry", tag("code", entry.hash.hex())),
    ]
    asked = entry.instruction if opened.instruction is None else encode(opened.instruction)
    return join((pairs(rows, "receipt"), tag("h3", "What was asked"), tag("pre", _pretty(asked)), _refusal(receipt)))


def _pretty(data: bytes) -> str:
    try:
        return msgspec.json.format(data, indent=2).decode()
    except msgspec.DecodeError:
        return data.decode(errors="replace")


def _refusal(receipt: Receipt) -> Markup:
    refusal = receipt.refusal
    if refusal is None:
        return Markup("")
    lines = [tag("p", tag("b", f"{refusal.error} ({refusal.code})"), ": ", refusal.message)]
    if refusal.would_pass:
        lines.append(tag("p", tag("b", "What would pass: "), refusal.would_pass))
    return tag("div", *lines, css="refused", role="status")


def outcome_of(receipt: Receipt) -> Markup:
    """The outcome of a request that was or would be made, in a few lines."""
    if receipt.refusal is not None:
        return join((_refusal(receipt), limit_table(receipt) if receipt.limits else ""))
    where = f"done: receipt #{receipt.sequence:,}" if receipt.sequence else "it would pass now"
    shown = link("journal", where, receipt=receipt.sequence) if receipt.sequence else where
    return tag("div", tag("p", tag("b", shown)), css="passed", role="status")


def account_name(account: str, names: Names) -> Markup:
    """An account of a transfer as people read it, its own name in the title; users' are links."""
    if account.startswith("user."):
        ref, _, rest = account.removeprefix("user.").partition(".")
        kind, _, index = rest.partition(".")
        market = f" {kind} in {names.contract(index)}" if index else ""
        return join((account_link(ref), text(market)))
    return tag("span", names.pool(account), title=account)


def transfer_table(receipt: Receipt, names: Names) -> Markup:
    """Double entry: each claim's change; those of a token sum to the change of its vault."""
    columns = (words("account"), words("token"), number("change"))
    rows: list[tuple[Any, ...]] = []
    touched = {leg.market_index for leg in receipt.transfers} | {change.market_index for change in receipt.vaults}
    for index in sorted(touched):
        token = names.token(index)
        legs = [leg for leg in receipt.transfers if leg.market_index == index]
        rows += [(account_name(leg.account, names), token.name, _change(leg.amount, token)) for leg in legs]
        if legs:
            total = sum(leg.amount for leg in legs)
            rows.append((tag("b", "sum"), token.name, tag("b", _change(total, token))))
        rows += [
            (tag("b", f"= {change.vault}" if change.vault == "spot_vault" else change.vault), token.name,
             tag("b", _change(change.amount, token)))
            for change in receipt.vaults if change.market_index == index
        ]  # fmt: skip
    return table(columns, rows, "no token moved", "transfers")


def _change(tokens: int, token: Token) -> Markup:
    sign = "+" if tokens > 0 else ""
    return tag("span", sign + amount(tokens, token.decimals, token.decimals), css="neg" if tokens < 0 else "")


def limit_table(receipt: Receipt) -> Markup:
    """Each cap that bound or refused, in base units as the rule compared them."""
    columns = (words("limit"), number("value"), number("asked"), words(""))
    rows = (
        (tag("code", limit.name), f"{limit.value:,}", f"{limit.asked:,}", tag("span", limit.note, css="why muted"))
        for limit in receipt.limits
    )
    return table(columns, rows, "no cap bound", "limits")


def event_list(receipt: Receipt) -> Markup:
    """The program's own records."""
    if not receipt.events:
        return tag("p", "no event", css="empty")
    return join(_event(name, fields) for name, fields in receipt.events)


def _event(name: str, fields: dict[str, Any]) -> Markup:
    """One record; a long one is closed until somebody wants to see it."""
    shown = msgspec.json.format(msgspec.json.encode(fields), indent=2).decode()
    return tag("details", tag("summary", name), tag("pre", shown), open_="" if shown.count("\n") < 25 else None)


# --- a loss ----------------------------------------------------------------------------------------------------

LOSSES: Final = {
    "perp_bankruptcy": "A debt that its owner cannot pay",
    "spot_bankruptcy": "A borrow that its owner cannot repay",
    "perp_pnl_deficit": "Gains of users beyond what the market may owe",
    "associated_spot": "Gains of users beyond what the market may owe, with every quote source exhausted",
}
_OUTCOMES: Final = {
    "covered_by_set_off": "The account's own deposit paid the whole debt: nobody else pays.",
    "unlatched": "The account still has something to seize: it is no longer bankrupt, and liquidation goes on.",
}
_ESTATE: Final = {
    "recovered": "recovered of a claim on another market",
    "set_off": "of its deposit set off against the debt",
    "forfeited": "of a claim that no pool could pay, forfeited to that market's insurance",
}


def loss_words(waterfall: Waterfall, names: Names) -> Markup:
    """What was lost, and what came before anybody else paid."""
    token = names.token(waterfall.market_index)
    quote = names.token(0)
    what = LOSSES.get(waterfall.kind, waterfall.kind)
    lines = [
        tag("p", tag("b", f"{what}: {amount(waterfall.loss, token.decimals, token.decimals)} {token.name}"), " of ",
            account_name(waterfall.account, names)),
    ]  # fmt: skip
    lines += [
        tag("p", f"The estate: {amount(step.amount, quote.decimals, quote.decimals)} {quote.name} "
            f"{_ESTATE.get(step.step, step.step)} (", account_name(step.paid_by, names), " → ",
            account_name(step.paid_to, names), ").")
        for step in waterfall.estate
    ]  # fmt: skip
    if waterfall.outcome in _OUTCOMES:
        lines.append(tag("p", _OUTCOMES[waterfall.outcome]))
    if waterfall.revenue_settled:
        settled = amount(waterfall.revenue_settled, token.decimals, token.decimals)
        lines.append(tag("p", f"Before it, {settled} {token.name} of revenue reached the insurance fund."))
    return join(lines)


def loss_table(waterfall: Waterfall, names: Names) -> Markup:
    """Every source in order: what it held, what it could pay at most, what it paid; then everybody else."""
    token = names.token(waterfall.market_index)
    columns = (
        words("source"), number("held"), number("could pay at most"), words("by"), number("paid"), words("to"),
        number("left"),
    )  # fmt: skip

    def shown(value: int) -> Markup:
        return figure(value, token.decimals)

    left = waterfall.loss
    rows: list[tuple[Any, ...]] = []
    for source in waterfall.sources:
        left -= source.paid
        cap = source.cap
        rows.append(
            (
                names.pool(source.name), shown(source.held), "" if cap is None else shown(cap.value),
                "" if cap is None else tag("code", cap.name), shown(source.paid),
                account_name(source.paid_to, names) if source.paid else "", shown(left),
            )
        )  # fmt: skip
    if waterfall.socialised:
        left -= waterfall.socialised
        everybody = "every deposit" if waterfall.perp_market_index is None else "every open position"
        rows.append((f"{everybody} (socialised)", "", "", "", shown(waterfall.socialised), "", shown(left)))
    changes = [
        note(f"{index.name}: {index.before:,} → {index.after:,}")
        for index in waterfall.indices
        if index.before != index.after
    ]
    return join((table(columns, rows, "nobody paid", "waterfall", cards=True), *changes))


# --- the page --------------------------------------------------------------------------------------------------


async def build(look: Look) -> Refresh:
    """The page: one receipt where the address names one, and the list."""
    if look.query.get("receipt", "").strip():
        return await _build_receipt(look)
    return await _build_list(look)


async def _build_list(look: Look) -> Refresh:
    form = Panel("Search", "search")
    found = Panel("Receipts", "receipts")
    form.controls.set_visibility(True)
    _search_form(look, form)

    async def refresh() -> None:
        views = look.desk.service.views
        try:
            search = search_of(look.query)
        except ValueError as error:
            form.show(tag("p", str(error), css="refused", role="alert"))
            found.show(tag("p", "no receipt fits", css="empty", data_table="receipts"))
            return
        rows = await look.desk.index(("receipts", search), lambda: look_up(views, search, PAGE + 1))
        more = ""
        if len(rows) > PAGE:
            asked = {name: look.query[name] for name in (*FIELDS, "clock") if name in look.query}
            more = link("journal", "older receipts", **{**asked, "before": str(rows[PAGE - 1].sequence)})
        found.show(receipt_table(rows[:PAGE], look.query), tag("p", more))

    await refresh()
    return refresh


def _search_form(look: Look, panel: Panel) -> None:
    fields: dict[str, Any] = {}
    given = look.query
    with panel.controls:
        for name, label, hint in (
            ("account", "Account", "@long1/0 or base58/0"), ("signer", "Signer", "@keeper or base58"),
            ("since", "From (UTC)", "2022-05-11 13:00"), ("until", "To (UTC)", "2022-05-12"),
        ):  # fmt: skip
            fields[name] = ui.input(label, value=given.get(name, ""), placeholder=hint).props("dense outlined")
        for name, label, known in (
            ("ix", "Instruction", sorted(instruction_types())), ("error", "Error", sorted(ErrorCode.__members__)),
        ):  # fmt: skip
            fields[name] = ui.input(label, value=given.get(name, ""), autocomplete=known).props("dense outlined")
        kinds = {"": "all", "refused": "refused", "losses": "losses (deficits, bankruptcies)"}
        fields["kind"] = ui.select(
            kinds, label="Outcome", value=given.get("kind") if given.get("kind") in kinds else ""
        )
        fields["kind"].props("dense outlined options-dense")
        fields["receipt"] = ui.input("Receipt number", placeholder="18839").props("dense outlined")

        def search() -> None:
            if (fields["receipt"].value or "").strip():
                go(look, "journal", {"receipt": fields["receipt"].value})
            else:
                go(look, "journal", {name: fields[name].value or "" for name in FIELDS if name in fields})

        for field in fields.values():
            field.on("keydown.enter", search)
        ui.button("Search", on_click=search).props("unelevated dense no-caps")
        ui.button("Clear", on_click=lambda: go(look, "journal", {})).props("flat dense no-caps")


def go(look: Look, page: str, query: dict[str, str]) -> None:
    """Open a page of the dashboard."""
    from urllib.parse import urlencode

    asked = {name: str(value).strip() for name, value in query.items() if str(value).strip()}
    if "clock" in look.query:
        asked["clock"] = look.query["clock"]
    # beside this page, whatever the service's address is in front of a proxy
    ui.run_javascript(f"window.location.href = {msgspec.json.encode('./' + page + '?' + urlencode(asked)).decode()}")


async def _build_receipt(look: Look) -> Refresh:
    given = look.query["receipt"]
    venue = look.desk.service.venue
    try:
        sequence = read_sequence(given)
    except ValueError as error:
        return _missing(str(error))
    entry = await look.desk.run(lambda: venue.journal.entry(sequence))
    if entry is None or not 0 < sequence <= venue.tip.sequence:
        return _missing(f"There is no receipt {sequence:,}; the venue has {venue.tip.sequence:,}.")
    names: Names = await look.ask("names", names_of)
    opened = open_entry(entry, venue.id)
    receipt = opened.receipt
    _neighbours(look, sequence, venue.tip.sequence)
    Panel(f"Receipt #{sequence:,}", "receipt").show(head_of(opened))
    if receipt.waterfall is not None:
        _show_loss(receipt.waterfall, names, sequence)
    if receipt.refusal is None or receipt.transfers or receipt.vaults:
        Panel("Transfers (tokens)", "transfers").show(transfer_table(receipt, names))
    if receipt.limits:
        Panel("Limits (base units)", "limits").show(limit_table(receipt))
    if receipt.refusal is None or receipt.events:
        Panel("Events (base units)", "events").show(event_list(receipt))
    return _nothing


def _neighbours(look: Look, sequence: int, last: int) -> None:
    kept = {name: look.query[name] for name in ("clock",) if name in look.query}
    parts = [link("journal", "all receipts", **kept)]
    if sequence > 1:
        parts.append(link("journal", f"← #{sequence - 1:,}", receipt=sequence - 1, **kept))
    if sequence < last:
        parts.append(link("journal", f"#{sequence + 1:,} →", receipt=sequence + 1, **kept))
    ui.html(join(parts), sanitize=False).classes("turn")


def _show_loss(waterfall: Waterfall, names: Names, sequence: int) -> None:
    panel = Panel("Who paid for the loss", "loss")
    panel.show(loss_words(waterfall, names))
    with panel.box:
        token = names.token(waterfall.market_index)
        if waterfall.loss:
            Chart("the loss, and what each source took off it", "waterfall").draw(
                loss(waterfall, token.decimals, token.name, names.pool)
            )
        ui.html(loss_table(waterfall, names), sanitize=False).classes("scroll")
        remark = note(tag("code", f"seawall explain VENUE {sequence}"), " lists every account that bears a part of it.")
        ui.html(remark, sanitize=False)


def _missing(words_: str) -> Refresh:
    Panel("No such receipt", "receipt").show(tag("p", words_, css="refused", role="alert"))
    ui.html(link("journal", "all receipts"), sanitize=False)
    return _nothing


async def _nothing() -> None:
    """A receipt never changes."""
