"""*Markets*: tokens and contracts, their pools, every cap and how much of it is used, funding, fee ledgers."""

from typing import Any, NamedTuple

from seawall.arithmetic import MARGIN_PRECISION
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.transaction import Transaction
from seawall.errors import SettlementError
from seawall.keys import DEFAULT_KEY
from seawall.ledger.journal import Tip
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.rules.common.perp_orders import open_interest
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.statistics import on_the_hour_update
from seawall.rules.common.withdraw_limits import NO_LIMIT, calculate_withdraw_bounds
from seawall.rules.drift.interest import calculate_borrow_rate as borrow_rate_drift
from seawall.rules.velocity.deposit_limits import calculate_max_deposit_token_amount
from seawall.rules.velocity.interest import calculate_borrow_rate as borrow_rate_velocity
from seawall.service.dashboard.frame import Look, Panel, Refresh
from seawall.service.dashboard.markup import (
    BASE_DECIMALS,
    QUOTE_DECIMALS,
    Markup,
    amount,
    chip,
    countdown,
    figure,
    gauge,
    join,
    note,
    number,
    percent,
    table,
    tag,
    when,
    words,
)
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY, ContractTier, MarketStatus
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket


class CapRow(NamedTuple):
    """One cap: how much of it is used. Where ``floor`` is set, ``used`` must stay above ``cap`` instead of below."""

    name: str
    used: int
    cap: int
    decimals: int
    unit: str
    means: str
    floor: bool = False


class PoolRow(NamedTuple):
    """One pool of a market."""

    name: str
    tokens: int
    decimals: int
    unit: str
    purpose: str


class SpotRow(NamedTuple):
    """One token. Rates and utilization 1e6, prices 1e6; a rate that the curve refuses is None."""

    name: str
    decimals: int
    status: str
    price: int
    price_age: int
    deposits: int
    borrows: int
    utilization: int
    borrow_rate: int | None
    last_interest: int
    pools: list[PoolRow]
    caps: list[CapRow]


class FundingView(NamedTuple):
    """Funding of a contract: rates as fractions of the price a period (1e6), and when the next one is due."""

    last_rate: int
    average: int
    period: int
    last_at: int
    next_at: int


class PerpRow(NamedTuple):
    """One contract: base 1e9, money quote 1e6."""

    name: str
    status: str
    tier: str
    price: int
    price_age: int
    long: int
    short: int
    with_amm: int
    users: int
    earned: int
    social_loss: int
    net_pnl: int | None
    pnl_pool: int
    funding: FundingView
    pools: list[PoolRow]
    caps: list[CapRow]
    ledger: list[tuple[str, int]]


class MarketsView(NamedTuple):
    """All markets."""

    now: int
    quote: str
    spots: list[SpotRow]
    perps: list[PerpRow]


def markets_view(store: Store, clock: Clock, tip: Tip) -> MarketsView:
    """Every market as it stands at a clock; interest as last accrued."""
    tx = Transaction(store, clock, DEFAULT_KEY)
    quote = store.spot_markets.objects[0].name if store.spot_markets.objects else "quote"
    return MarketsView(
        tx.now,
        quote,
        [_spot(tx, market) for market in store.spot_markets.objects],
        [_perp(tx, market, quote) for market in store.perp_markets.objects],
    )


def _is_velocity(tx: Transaction) -> bool:
    return tx.state.rulebook == RULEBOOK_VELOCITY


def _tokens(tx: Transaction, pool: PoolBalance) -> int:
    return get_token_amount(pool.scaled_balance, tx.spot_markets[pool.market_index], DEPOSIT)


# --- tokens ----------------------------------------------------------------------------------------------------


def _spot(tx: Transaction, market: SpotMarket) -> SpotRow:
    oracle = tx.spot_oracle(market.market_index)
    utilization = calculate_spot_market_utilization(market)
    try:
        rate = (borrow_rate_velocity if _is_velocity(tx) else borrow_rate_drift)(market, utilization)
    except SettlementError:
        rate = None
    return SpotRow(
        market.name, market.decimals, MarketStatus(market.status).name, oracle.price, oracle.delay,
        get_token_amount(market.deposit_balance, market, DEPOSIT),
        get_token_amount(market.borrow_balance, market, BORROW),
        utilization, rate, market.last_interest_ts, _spot_pools(tx, market), _spot_caps(tx, market),
    )  # fmt: skip


def _spot_pools(tx: Transaction, market: SpotMarket) -> list[PoolRow]:
    velocity, name, decimals = _is_velocity(tx), market.name, market.decimals
    purpose = "insurance" if velocity else "insurance, perp markets in need"
    rows = [PoolRow("revenue pool", _tokens(tx, market.revenue_pool), decimals, name, purpose)]
    if velocity:
        rows.append(PoolRow("protocol fee pool", _tokens(tx, market.protocol_fee_pool), decimals, name, "the protocol"))
    elif market.market_index:
        quote = tx.spot_markets[0]
        rows.append(PoolRow("spot fee pool", _tokens(tx, market.spot_fee_pool), quote.decimals, quote.name, "fillers"))
    return rows


def _spot_caps(tx: Transaction, market: SpotMarket) -> list[CapRow]:
    name, decimals = market.name, market.decimals

    def cap(title: str, used: int, value: int, means: str, floor: bool = False) -> CapRow:
        return CapRow(title, used, value, decimals, name, means, floor)

    try:
        deposits, borrows, least, most = calculate_withdraw_bounds(market)
    except SettlementError as error:
        return [cap(f"withdraw limits: {error.code.name}", 0, 0, "the averages do not bear a computation")]
    found = [
        cap("deposit cap", deposits, market.max_token_deposits, "deposits may not exceed it (max_token_deposits)"),
        cap("deposits that must stay", deposits, least, "by the day's average: withdrawals stop there", True),
        cap("borrows that may be reached", borrows, most, "by the day's averages and utilization"),
    ]
    if market.max_token_borrows_fraction and market.max_token_deposits:
        most = market.max_token_deposits * market.max_token_borrows_fraction // MARGIN_PRECISION
        found.append(cap("borrow cap", borrows, most, "a fraction of the deposit cap (max_token_borrows_fraction)"))
    if _is_velocity(tx):
        most = calculate_max_deposit_token_amount(
            market.deposit_token_twap, market.deposit_guard_threshold, market.max_deposit_bps_per_day
        )
        if most != NO_LIMIT:
            found.append(cap("deposits of the day", deposits, most, "the day's average and a share of it"))
    return found


# --- contracts -------------------------------------------------------------------------------------------------


def _perp(tx: Transaction, market: PerpMarket, quote: str) -> PerpRow:
    amm = market.amm
    oracle = tx.perp_oracle(market.market_index)
    try:
        net_pnl = calculate_net_user_pnl(amm, oracle.price)
    except SettlementError:
        net_pnl = None
    return PerpRow(
        market.name, MarketStatus(market.status).name, ContractTier(market.contract_tier).name, oracle.price,
        oracle.delay, amm.base_asset_amount_long, amm.base_asset_amount_short, amm.base_asset_amount_with_amm,
        market.number_of_users_with_base, amm.total_fee_minus_distributions, amm.total_social_loss, net_pnl,
        _tokens(tx, market.pnl_pool), _funding(tx, market), _perp_pools(tx, market, quote),
        _perp_caps(market, net_pnl, quote), _ledger(tx, market),
    )  # fmt: skip


def _funding(tx: Transaction, market: PerpMarket) -> FundingView:
    amm = market.amm
    base = amm.last_funding_oracle_twap or amm.historical_oracle_data.last_oracle_price_twap
    try:
        wait = on_the_hour_update(tx.now, amm.last_funding_rate_ts, amm.funding_period)
    except SettlementError:
        wait = 0
    return FundingView(
        _of_price(amm.last_funding_rate, base), _of_price(amm.last_24h_avg_funding_rate, base), amm.funding_period,
        amm.last_funding_rate_ts, tx.now + wait,
    )  # fmt: skip


def _of_price(rate: int, price: int) -> int:
    """A funding rate (quote a base, 1e9) as a fraction of a price (1e6), 1e6, toward zero."""
    if price <= 0:
        return 0
    share = abs(rate) * 1_000 // price
    return share if rate >= 0 else -share


def _perp_pools(tx: Transaction, market: PerpMarket, quote: str) -> list[PoolRow]:
    velocity = _is_velocity(tx)

    def row(name: str, pool: PoolBalance, purpose: str) -> PoolRow:
        return PoolRow(name, _tokens(tx, pool), QUOTE_DECIMALS, quote, purpose)

    rows = [
        row("P&L pool", market.pnl_pool, "users' settled gains, fees not swept yet" if velocity else "settled gains"),
        row("fee pool", market.amm.fee_pool, "the AMM alone" if velocity else "the AMM, then the revenue pool"),
    ]
    if velocity:
        rows.append(row("protocol fee pool", market.protocol_fee_pool, "the protocol"))
    return rows


def _perp_caps(market: PerpMarket, net_pnl: int | None, quote: str) -> list[CapRow]:
    claim = market.insurance_claim
    drawn = claim.revenue_withdraw_since_last_settle
    found = [
        CapRow(
            "open interest", open_interest(market.amm), market.amm.max_open_interest, BASE_DECIMALS, market.name,
            "the larger of all longs and all shorts (max_open_interest)",
        ),
        CapRow(
            "insurance drawn in its lifetime", claim.quote_settled_insurance, claim.quote_max_insurance,
            QUOTE_DECIMALS, quote, "what the market may take of the insurance fund (quote_max_insurance)",
        ),
        CapRow(
            "revenue drawn this period", max(0, drawn), claim.max_revenue_withdraw_per_period, QUOTE_DECIMALS, quote,
            "what it may take of the revenue pool a period; money it sent there counts against",
        ),
    ]  # fmt: skip
    if net_pnl is not None:
        found.append(
            CapRow(
                "gains of all users together", max(0, net_pnl), market.unrealized_pnl_max_imbalance, QUOTE_DECIMALS,
                quote, "beyond it a deficit may be drawn from insurance (unrealized_pnl_max_imbalance)",
            )
        )  # fmt: skip
    return found


def _ledger(tx: Transaction, market: PerpMarket) -> list[tuple[str, int]]:
    if not _is_velocity(tx):
        return []
    ledger = market.fee_ledger
    return [
        ("fees so far", ledger.total_exchange_fee),
        ("fees of liquidations so far", ledger.total_liquidation_fee),
        ("granted to the AMM so far", ledger.amm_protocol_fees_received),
        ("waiting for the protocol", ledger.pending_protocol_fee),
        ("waiting for insurance", ledger.pending_if_fee),
        ("waiting for the AMM", ledger.pending_amm_provision),
        ("the AMM's surplus waiting", ledger.pending_amm_surplus),
        ("owed to builders and referrers", market.pending_revenue_share),
        ("buffer that a sweep leaves", market.fee_pool_buffer_target),
    ]


# --- how it is shown -------------------------------------------------------------------------------------------


def _status(name: str) -> Markup:
    return chip(name, "good" if name == "Active" else "warn")


def _price(price: int, slots: int) -> Markup:
    return tag("span", amount(price, QUOTE_DECIMALS, 4), title=f"posted {slots:,} slots ago")


def spot_table(view: MarketsView) -> Markup:
    """Each token in one line."""
    columns = (
        words("token"), words("status"), number("price"), number("deposits"), number("borrows"), number("lent out"),
        number("borrow rate", "a year, at the present utilization"),
        number("interest last", "when interest was last accrued (UTC)"),
    )  # fmt: skip
    rows = (
        (
            tag("b", row.name), _status(row.status), _price(row.price, row.price_age),
            figure(row.deposits, row.decimals), figure(row.borrows, row.decimals), percent(row.utilization),
            "no rate" if row.borrow_rate is None else percent(row.borrow_rate), when(row.last_interest),
        )
        for row in view.spots
    )  # fmt: skip
    return table(columns, rows, "no token yet", "spot", cards=True)


def perp_table(view: MarketsView) -> Markup:
    """Each contract in one line."""
    columns = (
        words("contract"), words("status"), words("tier"), number("price"), number("long"), number("short"),
        number("users' net", "positive: users together are long, the AMM is short"), number("holders"),
        number("AMM's earnings", f"{view.quote}: fees and gains less what was distributed"),
        number("socialised", f"{view.quote}: losses that all positions bore"),
    )  # fmt: skip
    rows = (
        (
            tag("b", row.name), _status(row.status), row.tier, _price(row.price, row.price_age),
            figure(row.long, BASE_DECIMALS), figure(row.short, BASE_DECIMALS), figure(row.with_amm, BASE_DECIMALS),
            f"{row.users:,}", figure(row.earned, QUOTE_DECIMALS), figure(row.social_loss, QUOTE_DECIMALS),
        )
        for row in view.perps
    )  # fmt: skip
    return table(columns, rows, "no contract yet", "perp", cards=True)


def pool_table(view: MarketsView) -> Markup:
    """Every pool, and whether each P&L pool covers what users have gained."""
    columns = (words("market"), words("pool"), number("holds"), words("token"), words("is for"))
    owners: list[SpotRow | PerpRow] = [*view.perps, *view.spots]
    rows = [
        (owner.name, pool.name, figure(pool.tokens, pool.decimals), pool.unit, pool.purpose)
        for owner in owners
        for pool in owner.pools
    ]
    return join((table(columns, rows, "no pool yet", "pools"), *(_cover(row, view.quote) for row in view.perps)))


def _cover(row: PerpRow, quote: str) -> Markup:
    if row.net_pnl is None:
        return note(f"{row.name}: without a price nobody's P&L is known.")
    gained = f"{row.name}: users together have {amount(row.net_pnl, QUOTE_DECIMALS)} {quote} of P&L not settled"
    held = amount(row.pnl_pool, QUOTE_DECIMALS)
    if row.net_pnl > row.pnl_pool:
        missing = amount(row.net_pnl - row.pnl_pool, QUOTE_DECIMALS)
        return note(f"{gained}; the P&L pool holds {held}: winners wait for {missing} until losers settle.")
    return note(f"{gained}; the P&L pool holds {held}.")


def cap_table(view: MarketsView) -> Markup:
    """Every cap and how much of it is used."""
    columns = (words("market"), words("cap"), number("used"), number("of"), words("unit"), number("share"), words(""))
    owners: list[SpotRow | PerpRow] = [*view.spots, *view.perps]
    rows = [(owner.name, *_cap(cap)) for owner in owners for cap in owner.caps]
    return table(columns, rows, "no cap yet", "caps", cards=True)


def _cap(cap: CapRow) -> tuple[Any, ...]:
    remark = tag("span", cap.means, css="why muted")
    if cap.floor:
        room = max(0, cap.used - cap.cap)
        shown = tag("span", f"{amount(room, cap.decimals)} may leave", css="muted")
        return cap.name, figure(cap.used, cap.decimals), figure(cap.cap, cap.decimals), cap.unit, shown, remark
    of = figure(cap.cap, cap.decimals) if cap.cap else tag("span", "none", css="muted")
    return cap.name, figure(cap.used, cap.decimals), of, cap.unit, gauge(cap.used, cap.cap), remark


def funding_table(view: MarketsView) -> Markup:
    """What longs pay shorts."""
    columns = (
        words("contract"), number("last rate", "of the price, a period; positive: longs pay"),
        number("24 h average", "of the price, a period"), number("a year", "the last rate, taken for a year"),
        number("period"), number("last at (UTC)"), number("next"),
    )  # fmt: skip
    rows = []
    for row in view.perps:
        funding = row.funding
        yearly = funding.last_rate * 31_536_000 // funding.period if funding.period > 0 else 0
        rows.append(
            (
                tag("b", row.name), _fine(funding.last_rate), _fine(funding.average), percent(yearly),
                f"{funding.period:,} s", when(funding.last_at) if funding.last_at else "never",
                countdown(funding.next_at, view.now),
            )
        )  # fmt: skip
    return table(columns, rows, "no contract yet", "funding", cards=True)


def _fine(share: int) -> str:
    return f"{amount(share * 100, 6, 4)} %"


def ledger_table(view: MarketsView) -> Markup:
    """Velocity's fee ledgers: what came in, and what of it still lies in the P&L pool."""
    perps = [row for row in view.perps if row.ledger]
    if not perps:
        return Markup("")
    columns = (words("ledger"), *(number(row.name) for row in perps))
    titles = [title for title, _ in perps[0].ledger]
    rows = [
        (title, *(figure(row.ledger[i][1], QUOTE_DECIMALS, QUOTE_DECIMALS) for row in perps))
        for i, title in enumerate(titles)
    ]
    remark = note(
        f"In {view.quote}. What is waiting lies in the P&L pool until ", tag("code", "sweep_perp_market_fees"),
        " moves it.",
    )  # fmt: skip
    return join((table(columns, rows, name="ledger"), remark))


async def build(look: Look) -> Refresh:
    """The page."""
    view: MarketsView = await look.ask("markets", markets_view)
    spots = Panel("Tokens", "spot")
    perps = Panel("Contracts", "perp")
    pools = Panel("Pools", "pools")
    caps = Panel("Caps, and how much of each is used", "caps")
    funding = Panel("Funding", "funding")
    ledger = Panel("Fee ledger", "ledger") if any(row.ledger for row in view.perps) else None

    async def refresh() -> None:
        view: MarketsView = await look.ask("markets", markets_view)
        spots.show(spot_table(view))
        perps.show(perp_table(view))
        pools.show(pool_table(view))
        caps.show(cap_table(view))
        funding.show(funding_table(view))
        if ledger is not None:
            ledger.show(ledger_table(view))

    await refresh()
    return refresh
