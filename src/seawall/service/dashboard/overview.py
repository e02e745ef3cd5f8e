"""*Overview*: what every vault holds and who claims it, the verdict, and where money flowed in a period."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from nicegui import ui

from seawall.engine.conservation import totals
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.ledger.journal import Tip
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.service.dashboard.charts import Chart, drawn, readable, sankey
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.markup import (
    Markup,
    amount,
    chip,
    figure,
    join,
    note,
    number,
    percent,
    table,
    tag,
    words,
)
from seawall.service.views import HOUR, OUTSIDE, Flow
from seawall.state import enums
from seawall.state.enums import DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.spot_market import PoolBalance


class ClaimRow(NamedTuple):
    """All claims of one kind on a token's vaults."""

    kind: str
    tokens: int


class VaultRow(NamedTuple):
    """One token: what its vaults hold and who claims it. Amounts are tokens, rates 1e6."""

    market_index: int
    name: str
    decimals: int
    vault: int
    deposits: int
    borrows: int
    surplus: int
    insurance_vault: int
    utilization: int
    claims: list[ClaimRow]


class Solvency(NamedTuple):
    """The whole venue."""

    rulebook: str
    vaults: list[VaultRow]
    paused: list[str]
    bankrupt: int
    """Latched bankruptcies that wait to be resolved (Velocity counts them, Drift does not)."""


def solvency(store: Store, clock: Clock, tip: Tip) -> Solvency:
    """What vaults hold and who claims it, by the totals that each market keeps."""
    state = store.state.objects[0]
    velocity = state.rulebook == RULEBOOK_VELOCITY
    pools = _pools(store)
    return Solvency(
        store.config.objects[0].rulebook,
        [_vault(store, index, pools.get(index, [])) for index in range(len(store.spot_markets.objects))],
        paused_operations(state.exchange_status, velocity) + repair_pause(state.solvency_status),
        sum(market.pending_bankruptcy_claims for market in store.perp_markets.objects),
    )


def paused_operations(status: int, velocity: bool) -> list[str]:
    """What the exchange's pause bits stop."""
    bits = [
        ("deposits", enums.EXCHANGE_DEPOSIT_PAUSED), ("withdrawals", enums.EXCHANGE_WITHDRAW_PAUSED),
        ("the AMM", enums.EXCHANGE_AMM_PAUSED), ("fills", enums.EXCHANGE_FILL_PAUSED),
        ("liquidations", enums.EXCHANGE_LIQ_PAUSED), ("funding", enums.EXCHANGE_FUNDING_PAUSED),
        ("P&L settlement", enums.EXCHANGE_SETTLE_PNL_PAUSED),
    ]  # fmt: skip
    if velocity:
        bits.append(("immediate AMM fills", enums.EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED))
    return [name for name, bit in bits if status & bit]


def repair_pause(status: int) -> list[str]:
    """Velocity's own pause of bankruptcies and deficits."""
    return ["the repair of losses"] if status & enums.SOLVENCY_REPAIR_PAUSED else []


def _pools(store: Store) -> dict[int, list[ClaimRow]]:
    """Every pool by the token that it holds."""
    found: dict[int, list[ClaimRow]] = {}
    markets = store.spot_markets.objects

    def add(name: str, pool: PoolBalance) -> None:
        tokens = get_token_amount(pool.scaled_balance, markets[pool.market_index], DEPOSIT)
        if tokens:
            found.setdefault(pool.market_index, []).append(ClaimRow(name, tokens))

    for market in markets:
        add("revenue pool", market.revenue_pool)
        add("protocol fee pool", market.protocol_fee_pool)
        add(f"spot fee pool of {market.name}", market.spot_fee_pool)
        owed = market.insurance_fund_revenue_receivable_scaled
        if owed:
            tokens = get_token_amount(owed, market, DEPOSIT)
            found.setdefault(market.market_index, []).append(
                ClaimRow("revenue receivable of the insurance fund", tokens)
            )
    for perp in store.perp_markets.objects:
        add(f"P&L pool of {perp.name}", perp.pnl_pool)
        add(f"fee pool of {perp.name}", perp.amm.fee_pool)
        add(f"protocol fee pool of {perp.name}", perp.protocol_fee_pool)
    return found


def _vault(store: Store, index: int, pools: list[ClaimRow]) -> VaultRow:
    market, vaults = store.spot_markets.objects[index], store.vaults.objects[index]
    sums = totals(market, vaults.spot_vault)
    users = sums.deposits - sum(pool.tokens for pool in pools)
    claims = [ClaimRow("users' deposits", users), *pools, ClaimRow("owed by borrowers", -sums.borrows)]
    return VaultRow(
        index, market.name, market.decimals, sums.vault, sums.deposits, sums.borrows, sums.surplus,
        vaults.insurance_fund_vault, calculate_spot_market_utilization(market), claims,
    )  # fmt: skip


# --- how it is shown -------------------------------------------------------------------------------------------


def verdict(answer: Solvency) -> Markup:
    """One sentence on the whole venue, and what is paused."""
    short = [row for row in answer.vaults if row.surplus < 0]
    if not answer.vaults:
        sentence, kind = "There is no token yet.", "warn"
    elif short:
        missing = ", ".join(f"{amount(-row.surplus, row.decimals, row.decimals)} {row.name}" for row in short)
        sentence, kind = f"Insolvent: claims exceed what the vaults hold by {missing}.", "bad"
    else:
        sentence, kind = "Solvent: every vault covers every claim on it.", "good"
    more = []
    if answer.bankrupt:
        more.append(tag("p", chip(f"{answer.bankrupt} bankruptcies wait to be resolved", "warn")))
    if answer.paused:
        more.append(tag("p", chip("paused: " + ", ".join(answer.paused), "warn")))
    shown = tag("div", sentence, css=f"verdict {kind}", data_figure="verdict", role="status")
    remark = note(
        "The verdict compares each vault with the claims that the market's own totals add up to. ",
        tag("code", "seawall audit"), " executes the whole journal again and counts every token.",
    )  # fmt: skip
    return join((shown, *more, remark))


def vault_table(answer: Solvency) -> Markup:
    """Each token in one line."""
    columns = (
        words("token"), number("vault", "tokens that the collateral vault holds"),
        number("deposits", "claims of users and pools"), number("borrows", "what borrowers owe the vault"),
        number("surplus", "vault − (deposits − borrows): dust, and what is credited to nobody"),
        number("lent out", "borrows of deposits"), number("insurance vault"),
    )  # fmt: skip
    rows = (
        (
            tag("b", row.name), figure(row.vault, row.decimals), figure(row.deposits, row.decimals),
            figure(row.borrows, row.decimals), figure(row.surplus, row.decimals, row.decimals),
            percent(row.utilization), figure(row.insurance_vault, row.decimals),
        )
        for row in answer.vaults
    )  # fmt: skip
    return table(columns, rows, "no token yet", "vaults", cards=True)


def claim_table(answer: Solvency) -> Markup:
    """Who claims each vault."""
    columns = (words("token"), words("claim"), number("tokens"), number("of the vault"))
    rows = []
    for row in answer.vaults:
        for claim in (*row.claims, ClaimRow("surplus", row.surplus)):
            share = percent(claim.tokens * 1_000_000 // row.vault) if row.vault and claim.tokens >= 0 else ""
            rows.append((row.name, claim.kind, figure(claim.tokens, row.decimals), share))
        rows.append((row.name, tag("b", "= the vault"), tag("b", figure(row.vault, row.decimals)), ""))
    remark = note("What users have set aside for isolated positions is part of their deposits.")
    return join((table(columns, rows, "no token yet", "claims"), remark))


PERIODS: Final = {
    "hour": "the last hour", "day": "the last 24 hours", "week": "the last 7 days", "month": "the last 30 days",
    "all": "everything", "chosen": "from … to …",
}  # fmt: skip
SCALES: Final = {"amount": "the amount", "root": "its square root"}
_SECONDS: Final = {"hour": HOUR, "day": 24 * HOUR, "week": 168 * HOUR, "month": 720 * HOUR}
_ENDLESS: Final = 1 << 40


def read_time(given: str) -> int:
    """A time as people write it (UTC), or unix seconds; ``ValueError`` says what would be one."""
    written = given.strip()
    if written.isascii() and written.isdigit() and 5 <= len(written) <= 12:
        return int(written)
    try:
        found = datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{written!r} is no time; write it as 2022-05-11 13:00") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


class Period(NamedTuple):
    """Unix seconds, both included."""

    since: int
    until: int


def period_of(choice: str, now: int, since: str, until: str) -> Period:
    """The period that was chosen; ``ValueError`` where its ends are no times or the wrong way round."""
    if choice in _SECONDS:
        return Period(now - _SECONDS[choice], now)
    if choice != "chosen":
        return Period(0, _ENDLESS)
    found = Period(read_time(since) if since.strip() else 0, read_time(until) if until.strip() else now)
    if found.until < found.since:
        raise ValueError("the period ends before it begins")
    return found


def flow_table(flows: list[Flow], decimals: int) -> Markup:
    """Every flow of a hundredth of a token or more, the largest first."""
    columns = (words("from"), words("to"), number("tokens"), words("by"))
    listed = [flow for flow in flows if flow.amount * 100 >= 10**decimals]
    rows = (
        (readable(flow.source), readable(flow.target), figure(flow.amount, decimals), tag("code", flow.ix))
        for flow in listed
    )
    left = len(flows) - len(listed)
    remark = note(f"{count(left, 'flow')} of less than 0.01 not listed.") if left else Markup("")
    return join((table(columns, rows, "nothing moved in this period", "flows"), remark))


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


class _Flows:
    """The panel with the picture: token, period, and whether what crossed the venue's door is in it."""

    def __init__(self, look: Look, vaults: list[VaultRow]) -> None:
        self._look = look
        self._vaults = vaults
        panel = Panel("Where money flowed", "flows")
        panel.controls.set_visibility(True)
        with panel.controls:
            names = {row.market_index: row.name for row in vaults}
            period = look.query.get("period", "")
            self._token = _select("Token", names, next(iter(names)), self.refresh)
            self._choice = _select("Period", PERIODS, period if period in PERIODS else "week", self._chosen)
            self._since = ui.input("From (UTC)", value=look.query.get("since", ""), placeholder="2022-05-11 13:00")
            self._until = ui.input("To (UTC)", value=look.query.get("until", ""), placeholder="now")
            for field in (self._since, self._until):
                field.props("dense outlined debounce=600").set_visibility(period == "chosen")
                field.on_value_change(self.refresh)
            self._scale = _select("Thickness", SCALES, "amount", self.refresh)
            self._outside = ui.checkbox("with deposits and withdrawals", value=False, on_change=self.refresh)
        with panel.box:
            self._chart = Chart("where money flowed: from whom, by which instruction, to whom", "sankey")
            self._list = ui.html("", sanitize=False).classes("scroll")
        self._panel = panel

    async def _chosen(self) -> None:
        for field in (self._since, self._until):
            field.set_visibility(self._choice.value == "chosen")
        await self.refresh()

    async def refresh(self) -> None:
        """Ask the index again and draw."""
        desk = self._look.desk
        row = self._vaults[int(self._token.value)]
        tip = desk.service.venue.tip
        now = desk.clock(tip, self._look.reading).unix_timestamp
        try:
            since, until = period_of(self._choice.value, now, self._since.value or "", self._until.value or "")
        except ValueError as error:
            self._panel.show(tag("p", str(error), css="refused", role="alert"))
            return
        views = desk.service.views
        market = row.market_index
        found = await desk.index(
            ("flows", market, since // HOUR, until // HOUR), lambda: views.flows(market, since, until)
        )
        flows = found if self._outside.value else [flow for flow in found if OUTSIDE not in (flow.source, flow.target)]
        left_out = len(found) - len(flows)
        rows = drawn([(flow.source, flow.target, flow.ix, flow.amount) for flow in flows])
        remark = "By whole hours. From left to right: who gave, by which instruction, who received."
        if left_out:
            remark += f" {count(left_out, 'flow')} across the venue's door left out."
        if len(rows) < len(flows):
            remark += f" {count(len(flows) - len(rows), 'flow')} too small for the picture."
        self._panel.show(note(remark))
        self._chart.draw(sankey(rows, row.decimals, row.name, self._scale.value == "root") if rows else None)
        self._list.set_content(str(flow_table(flows, row.decimals)))


def _select(label: str, options: dict[Any, str], value: Any, changed: Callable[[], Any]) -> ui.select:
    return ui.select(options, label=label, value=value, on_change=changed).props("dense outlined options-dense")


async def build(look: Look) -> Refresh:
    """The page."""
    answer: Solvency = await look.ask("solvency", solvency)
    state = Panel("Is the venue solvent?", "verdict")
    vaults = Panel("Vaults (tokens)", "vaults")
    flows = _Flows(look, answer.vaults) if answer.vaults else None
    claims = Panel("Who claims what (tokens)", "claims")

    async def refresh() -> None:
        answer: Solvency = await look.ask("solvency", solvency)
        state.show(verdict(answer))
        vaults.show(vault_table(answer))
        claims.show(claim_table(answer))
        if flows is not None:
            await flows.refresh()

    await refresh()
    return refresh
