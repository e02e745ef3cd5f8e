"""*Insurance*: funds, share prices and what they earned, the next settlement and its caps, stakes, cooldowns."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from nicegui import ui

from seawall.engine.queries.insurance import (
    FundView,
    SharePoint,
    StakeView,
    insurance_fund,
    insurance_stake,
    realised_apr,
)
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.keys import key_from_text, key_to_text
from seawall.ledger.journal import Tip
from seawall.service.dashboard.charts import Chart, Figure, history
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.markup import (
    Markup,
    ago,
    amount,
    chip,
    countdown,
    figure,
    join,
    note,
    number,
    percent,
    table,
    tag,
    text,
    when,
    words,
)
from seawall.service.dashboard.staking import StakeForm
from seawall.service.views import SharesAt

DAY: Final = 86_400
POINTS: Final = 600
"""Points of a chart."""


class TokenFund(NamedTuple):
    """A fund with its token; ``fund`` None: it cannot be computed, and ``error`` says why."""

    market_index: int
    name: str
    decimals: int
    fund: FundView | None
    error: str


def funds(store: Store, clock: Clock, tip: Tip) -> list[TokenFund]:
    """Every fund at a clock."""
    found = []
    for market in store.spot_markets.objects:
        view, error = None, ""
        try:
            view = insurance_fund(store, clock, market.market_index)
        except SettlementError as refusal:
            error = str(refusal)
        found.append(TokenFund(market.market_index, market.name, market.decimals, view, error))
    return found


def stakes_of(store: Store, clock: Clock, authority: str) -> dict[int, StakeView]:
    """The stakes of an authority by market; what it does not have is left out."""
    found = {}
    for market in store.spot_markets.objects:
        try:
            found[market.market_index] = insurance_stake(store, clock, authority, market.market_index)
        except SettlementError:
            continue
    return found


# --- history ---------------------------------------------------------------------------------------------------


def points_of(shares: Sequence[SharesAt], fund: FundView) -> list[SharePoint]:
    """A fund's points in time, the present one last, all in shares of their own base.

    Receipts do not tell the base. Where a rebase divided all shares by a power of ten, the price of one rose as much
    at once, which nothing else does to a fund with a vault.
    """
    found: list[SharePoint] = []
    base = 0
    for at in shares:
        if not at.total_shares or not at.vault:
            continue
        if found:
            last = found[-1]
            while at.vault * last.total_shares >= 9 * at.total_shares * last.insurance_fund_vault * 10 ** (
                base - last.shares_base
            ):
                base += 1
        found.append(SharePoint(at.unix_timestamp, at.vault, at.total_shares, base))
    if base != fund.shares_base:
        # it was a gift of many times the fund, or the fund was empty in between: shown as it happened
        found = [msgspec.structs.replace(point, shares_base=fund.shares_base) for point in found]
    if fund.total_shares and fund.insurance_fund_vault:
        found.append(SharePoint(fund.now, fund.insurance_fund_vault, fund.total_shares, fund.shares_base))
    return found


def price_of(point: SharePoint, base: int) -> float:
    """Tokens a share of base ``base``; for a chart only."""
    return point.insurance_fund_vault / (point.total_shares * 10.0**point.shares_base) * 10.0**base


def apr_since(points: Sequence[SharePoint], seconds: int) -> int | None:
    """What a share earned in the last ``seconds``, taken for a year; None where the fund is younger than an hour."""
    if not points:
        return None
    last = points[-1]
    before = [point for point in points if point.at <= last.at - seconds]
    first = before[-1] if before else points[0]
    if last.at - first.at < 3_600:
        return None
    # the price held from the last change on: the span begins when it was asked to
    start = max(first.at, last.at - seconds)
    return realised_apr(SharePoint(start, first.insurance_fund_vault, first.total_shares, first.shares_base), last)


def daily_aprs(points: Sequence[SharePoint]) -> list[tuple[int, float]]:
    """Each day's end (noon of the day, for a bar's middle) and what a share earned in it, taken for a year, percent."""
    ends: dict[int, SharePoint] = {}
    for point in points:
        ends[point.at // DAY] = point
    found = []
    days = sorted(ends)
    for before, day in zip([None, *days], days, strict=False):
        first = points[0] if before is None else ends[before]
        start = max(first.at, day * DAY)
        last = ends[day]
        if last.at - start < 3_600:
            continue
        at_start = SharePoint(start, first.insurance_fund_vault, first.total_shares, first.shares_base)
        found.append((day * DAY + DAY // 2, realised_apr(at_start, last) / 10_000))
    return found


def chart_of(points: Sequence[SharePoint], unit: str) -> Figure | None:
    """Share price and daily APR; None for a fund without a history."""
    if len(points) < 2:
        return None
    base = points[-1].shares_base
    step = max(1, len(points) // POINTS)
    kept = [point for i, point in enumerate(points) if i % step == 0 or i == len(points) - 1]
    return history([(point.at, price_of(point, base)) for point in kept], daily_aprs(points), unit)


# --- how it is shown -------------------------------------------------------------------------------------------


def fund_table(found: Sequence[TokenFund], earned: dict[int, list[SharePoint]], velocity: bool) -> Markup:
    """Each fund in one line."""
    owner = number("ballast", "shares that nobody can withdraw") if velocity else number("protocol owns")
    columns = (
        words("token"), number("vault"), number("stakers own"), owner,
        number("share price", "tokens a share, rounded down"),
        number("APR 24 h"), number("APR 7 days"), number("APR so far", "since the fund's first share"),
        number("cooldown", "between a request to unstake and its payout"), words("unstaking"),
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for row in found:
        fund = row.fund
        if fund is None:
            rows.append((tag("b", row.name), *[""] * 8, tag("span", row.error, css="why neg")))
            continue
        points = earned.get(row.market_index, [])
        whole = points[-1].at - points[0].at if points else 0
        aprs = [apr_since(points, seconds) for seconds in (DAY, 7 * DAY, whole)]
        is_open = chip("open", "good") if fund.unstaking_open else chip("closed: too much is lent out", "warn")
        rows.append(
            (
                tag("b", row.name), figure(fund.insurance_fund_vault, row.decimals),
                figure(fund.user_value, row.decimals), figure(fund.protocol_value, row.decimals),
                amount(fund.share_price, 6, 6), *("–" if apr is None else percent(apr) for apr in aprs),
                ago(fund.unstaking_period), is_open,
            )
        )  # fmt: skip
    return table(columns, rows, "no token yet", "funds", cards=True)


def settlement_table(found: Sequence[TokenFund]) -> Markup:
    """The next settlement of each fund, and what will bind it."""
    columns = (
        words("token"), words("due (UTC)"), words("in"), number("amount"),
        number("APR of it", "what a share gains by this one, taken for a year"), words("what will bind"),
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for row in found:
        if row.fund is None:
            continue
        coming = row.fund.next_settlement
        if coming is None:
            rows.append((tag("b", row.name), "settlement is off", "", "", "", ""))
            continue
        rows.append(
            (
                tag("b", row.name), when(coming.at), countdown(coming.at, row.fund.now),
                figure(coming.amount, row.decimals, row.decimals), percent(coming.apr),
                _binding(coming.limits, coming.refusal, row.decimals),
            )
        )  # fmt: skip
    remark = note("If nothing but time passes until then. It takes somebody, usually the keeper, to ask for it.")
    return join((table(columns, rows, "no fund yet", "settlements", cards=True), remark))


def _binding(limits: Sequence[Any], refusal: str, decimals: int) -> Markup:
    found = [tag("p", chip(refusal, "warn"), css="why")] if refusal else []
    found += [
        tag("span", tag("b", limit.name), f": {amount(limit.value, decimals, decimals)} of "
            f"{amount(limit.asked, decimals, decimals)}; {limit.note}", css="why")
        for limit in limits
    ]  # fmt: skip
    return join(found) if found else tag("span", "nothing", css="muted")


def stake_table(stakes: dict[int, StakeView], found: Sequence[TokenFund], authority: str) -> Markup:
    """What an authority's stakes are worth, and how its requests stand."""
    columns = (words("token"), number("shares"), number("worth now"), number("paid in"), number("gain"))
    tokens = {row.market_index: row for row in found}
    rows = []
    for index, stake in stakes.items():
        d = tokens[index].decimals
        rows.append(
            (
                tag("b", tokens[index].name), f"{stake.if_shares:,}", figure(stake.value, d),
                figure(stake.cost_basis, d), figure(stake.gain, d),
            )
        )  # fmt: skip
    shown = table(columns, rows, f"{authority} has no stake here", "stakes", cards=True)
    return join((shown, *(_request(stake, tokens[index]) for index, stake in stakes.items())))


def _request(stake: StakeView, row: TokenFund) -> Markup:
    asked = stake.request
    if asked is None or row.fund is None:
        return Markup("")
    d = row.decimals

    def shown(tokens: int) -> str:
        return f"{amount(tokens, d, d)} {row.name}"

    ready = asked.seconds_to_wait <= 0
    clock = (
        chip("the cooldown is over", "good") if ready else countdown(row.fund.now + asked.seconds_to_wait, row.fund.now)
    )
    columns = (words("request to unstake"), words(""))
    rows = [
        ("shares asked for", f"{asked.shares:,}"),
        ("their value then, frozen", shown(asked.frozen_value)),
        ("their value now", shown(asked.value)),
        ("payout", tag("b", shown(asked.payout))),
        (
            "forfeited appreciation",
            join((tag("b", shown(asked.forfeited_by_removal)),
                  tag("span", " what they earned since the request stays with the other holders", css="muted"))),
        ),
        ("cancelling burns", f"{asked.shares_lost_by_cancelling:,} shares"),
        ("may be paid out", join((text(f"{when(asked.removable_at)} UTC, cooldown: "), clock))),
    ]  # fmt: skip
    if not row.fund.unstaking_open:
        rows.append(("but", chip("unstaking is closed while too much is lent out", "warn")))
    return table(columns, rows, name="request")


# --- the page --------------------------------------------------------------------------------------------------


class _Page:
    """The panels of the page, and what they show."""

    def __init__(self, look: Look, found: Sequence[TokenFund]) -> None:
        self.look = look
        self.table = Panel("Insurance funds", "funds")
        self.coming = Panel("Next revenue settlements", "settlements")
        self.past = Panel("Share price and APR", "history")
        self.past.controls.set_visibility(True)
        tokens = {row.market_index: row.name for row in found}
        first = next(iter(tokens), None)
        with self.past.controls:
            self.token = ui.select(tokens, label="Token", value=first, on_change=self.refresh)
            self.token.props("dense outlined options-dense")
        with self.past.box:
            self.chart = Chart("the share price, and what a share earned each day", "history")
        self.mine = Panel("Stakes of an authority", "stakes")
        self.mine.controls.set_visibility(True)
        with self.mine.controls:
            given = look.query.get("authority", "")
            self.authority = ui.input("Authority", value=given, placeholder="@staker1 or base58").classes("wide")
            self.authority.props("dense outlined").on("keydown.enter", self.refresh)
            ui.button("Look up", on_click=self.refresh).props("unelevated dense no-caps")
        self.form = StakeForm(
            look, tokens, {row.market_index: row.decimals for row in found}, self.authority, self.refresh
        )

    async def refresh(self) -> None:
        """Everything anew."""
        found: list[TokenFund] = await self.look.ask("funds", funds)
        earned = {row.market_index: await self._points(row) for row in found}
        standing = await self.look.desk.standing()
        self.table.show(fund_table(found, earned, standing.rulebook == "velocity"))
        self.coming.show(settlement_table(found))
        chosen = next((row for row in found if row.market_index == self.token.value), None)
        figure_ = None if chosen is None else chart_of(earned[chosen.market_index], chosen.name)
        self.chart.draw(figure_)
        self.past.show("" if figure_ else tag("p", "this fund has no history yet", css="empty"))
        await self._show_stakes(found)

    async def _points(self, row: TokenFund) -> list[SharePoint]:
        if row.fund is None:
            return []
        views, index = self.look.desk.service.views, row.market_index
        shares = await self.look.desk.index(("shares", index), lambda: views.shares(index))
        return points_of(shares, row.fund)

    async def _show_stakes(self, found: Sequence[TokenFund]) -> None:
        given = (self.authority.value or "").strip()
        if not given:
            self.mine.show(tag("p", "Whose? A label or a key in base58.", css="empty"))
            return
        try:
            authority = key_to_text(key_from_text(given))
        except ValueError as error:
            self.mine.show(tag("p", str(error), css="refused", role="alert"))
            return
        stakes = await self.look.ask(("stakes", authority), lambda store, clock, _: stakes_of(store, clock, authority))
        self.mine.show(stake_table(stakes, found, given))


async def build(look: Look) -> Refresh:
    """The page."""
    page = _Page(look, await look.ask("funds", funds))
    await page.refresh()
    return page.refresh
