"""Charts as plotly draws them, in plain data. Colours of text and lines are the style sheet's, light or dark."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from nicegui import ui

from seawall.engine.receipts import Waterfall
from seawall.service.dashboard.markup import amount

NAMES: Final[Mapping[str, str]] = {
    "users": "users",
    "isolated": "isolated collateral",
    "outside": "outside the venue",
    "pnl_pool": "P&L pool",
    "fee_pool": "fee pool",
    "revenue_pool": "revenue pool",
    "spot_fee_pool": "spot fee pool",
    "protocol_fee_pool": "protocol fee pool",
    "revenue_receivable": "revenue receivable",
    "insurance_fund": "insurance fund",
    "other_depositors": "lenders (interest)",
    "other_borrowers": "borrowers (interest)",
    "dust": "surplus",
    "pending_if_fee": "fees waiting for insurance",
    "pending_amm_provision": "fees waiting for the AMM",
}
"""Kinds of claims as people read them."""

COLOURS: Final[Mapping[str, str]] = {
    "users": "#4c86c6",
    "isolated": "#7aa6d6",
    "outside": "#8a979d",
    "pnl_pool": "#4f9d59",
    "fee_pool": "#c8a415",
    "revenue_pool": "#e0812b",
    "spot_fee_pool": "#b58a2a",
    "protocol_fee_pool": "#9c6f55",
    "revenue_receivable": "#d9a679",
    "insurance_fund": "#a3679c",
    "other_depositors": "#4aa9a2",
    "other_borrowers": "#d9595c",
    "dust": "#a7a7a7",
}
_OTHER: Final = "#8a979d"
_STEP: Final = "#6f8189"
LARGEST: Final = 40
"""Flows of a picture; the table below it has them all."""

_FONT: Final = {"family": "system-ui, sans-serif", "size": 13}
_CLEAR: Final = "rgba(0,0,0,0)"

Figure = dict[str, Any]
FlowRow = tuple[str, str, str, int]
"""Source, target, instruction, tokens."""


def readable(kind: str) -> str:
    """A kind of claim as people read it."""
    return NAMES.get(kind, kind.replace("_", " "))


def _figure(data: list[Figure], height: int, **layout: Any) -> Figure:
    base = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": _FONT,
        "showlegend": False,
        "hoverlabel": {"font": {"family": "system-ui, sans-serif"}},
    }
    return {
        "data": data,
        "layout": {**base, **layout},
        "config": {"displayModeBar": False, "displaylogo": False, "scrollZoom": False},
    }


def sankey(flows: Sequence[FlowRow], decimals: int, unit: str, rooted: bool = False) -> Figure:
    """Who gave on the left, through which instruction, who received on the right.

    ``rooted``: the thickness is the amount's square root, so that small flows are seen beside large ones.
    """
    nodes: dict[tuple[int, str], int] = {}
    totals: dict[tuple[int, str], int] = defaultdict(int)
    widths: dict[tuple[int, str], float] = defaultdict(float)
    links: dict[tuple[int, int, str], tuple[int, float]] = {}
    for source, target, ix, tokens in flows:
        width = tokens / 10**decimals
        width = width**0.5 if rooted else width
        places = ((0, source), (1, ix), (2, target))
        for place in places:
            nodes.setdefault(place, len(nodes))
            totals[place] += tokens
            widths[place] += width
        for first, second, kind in ((places[0], places[1], source), (places[1], places[2], target)):
            at = (nodes[first], nodes[second], kind)
            before = links.get(at, (0, 0.0))
            links[at] = (before[0] + tokens, before[1] + width)
    tallest = max((sum(1 for column, _ in nodes if column == i) for i in range(3)), default=0)
    height = 190 + 34 * tallest
    node = {
        "label": [readable(name) if column != 1 else name.replace("_", " ") for column, name in nodes],
        "color": [_STEP if column == 1 else COLOURS.get(name, _OTHER) for column, name in nodes],
        "x": [(0.001, 0.5, 0.999)[column] for column, _ in nodes],
        "y": _heights(list(nodes), widths, height),
        "customdata": [f"{amount(totals[place], decimals)} {unit}" for place in nodes],
        "hovertemplate": "%{label}: %{customdata}<extra></extra>",
        "pad": 16,
        "thickness": 14,
        "line": {"width": 0},
    }
    link = {
        "source": [source for source, _, _ in links],
        "target": [target for _, target, _ in links],
        "value": [width for _, width in links.values()],
        "color": [_faint(COLOURS.get(kind, _OTHER)) for _, _, kind in links],
        "customdata": [f"{amount(tokens, decimals)} {unit}" for tokens, _ in links.values()],
        "hovertemplate": "%{source.label} → %{target.label}: %{customdata}<extra></extra>",
    }
    return _figure([{"type": "sankey", "arrangement": "snap", "node": node, "link": link}], height)


def drawn(flows: Sequence[FlowRow]) -> list[FlowRow]:
    """The flows that a picture can show: the largest, none below a hundred-thousandth of the largest."""
    ordered = sorted((flow for flow in flows if flow[3] > 0), key=lambda flow: -flow[3])[:LARGEST]
    return [flow for flow in ordered if flow[3] * 100_000 >= ordered[0][3]]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.42)"


def _heights(nodes: list[tuple[int, str]], widths: Mapping[tuple[int, str], float], height: int) -> list[float]:
    """Where the middle of each node lies from top to bottom: the largest of its column first, room for a label."""
    room = 20 / height
    placed: dict[tuple[int, str], float] = {}
    most = max((sum(1 for node in nodes if node[0] == column) for column in range(3)), default=0)
    for column in range(3):
        members = sorted((node for node in nodes if node[0] == column), key=lambda node: -widths[node])
        whole = sum(widths[node] for node in members)
        above = 0.001
        for node in members:
            share = widths[node] / whole * (1 - room * most) if whole else 0.0
            placed[node] = min(0.999, max(0.001, above + share / 2))
            above += share + room
    return [placed[node] for node in nodes]


def history(prices: Iterable[tuple[int, float]], aprs: Iterable[tuple[int, float]], unit: str) -> Figure:
    """A share's price as a line, and what it earned each day, taken for a year, as bars below."""
    price, apr = list(prices), list(aprs)
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "x": [at * 1_000 for at, _ in price], "y": [y for _, y in price],
            "line": {"shape": "hv", "color": "#a3679c", "width": 2}, "name": "share price",
            "hovertemplate": f"%{{x|%Y-%m-%d %H:%M}} UTC<br>%{{y:.6f}} {unit} a share<extra></extra>",
        },
        {
            "type": "bar", "x": [at * 1_000 for at, _ in apr], "y": [y for _, y in apr], "xaxis": "x", "yaxis": "y2",
            "marker": {"color": ["#2b8a9d" if y >= 0 else "#cf3b46" for _, y in apr]}, "name": "APR of the day",
            "hovertemplate": "%{x|%Y-%m-%d}<br>%{y:,.2f} % a year<extra></extra>", "width": 0.7 * 86_400_000,
        },
    ]  # fmt: skip
    return _figure(
        data, 340, margin={"l": 62, "r": 12, "t": 24, "b": 34},
        xaxis={"type": "date", "anchor": "y2", "zeroline": False},
        yaxis={"domain": [0.45, 1], "title": {"text": ""}, "tickformat": ".4f", "zeroline": False},
        yaxis2={"domain": [0, 0.33], "ticksuffix": " %", "zeroline": True},
        annotations=[
            _caption("share price", 1.0), _caption("APR of each day", 0.33),
        ],
    )  # fmt: skip


def _caption(words: str, y: float) -> Figure:
    return {
        "text": words, "xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom",
        "showarrow": False, "font": {"size": 12},
    }  # fmt: skip


def loss(waterfall: Waterfall, decimals: int, unit: str, name_of: Callable[[str], str]) -> Figure:
    """A loss on the left, then what each source took off it, down to nothing (or to what stays open)."""
    steps: list[tuple[str, int, str]] = [("loss", waterfall.loss, "absolute")]
    steps += [
        (name_of(source.name).replace(" of ", "<br>of "), -source.paid, "relative") for source in waterfall.sources
    ]
    if waterfall.socialised:
        everybody = "every deposit" if waterfall.perp_market_index is None else "every position"
        steps.append((f"socialised:<br>{everybody}", -waterfall.socialised, "relative"))
    steps.append(("left open", waterfall.uncovered, "total"))
    shown = [amount(abs(tokens), decimals) for _, tokens, _ in steps]
    tops, left = [], 0
    for _, tokens, measure in steps:
        tops.append(max(left, left + tokens))
        left += tokens if measure != "total" else 0
    labels = [
        {"x": i, "y": top / 10**decimals, "text": words, "yanchor": "bottom", "showarrow": False}
        for i, (top, words) in enumerate(zip(tops, shown, strict=True))
    ]
    data = {
        "type": "waterfall",
        "x": [name for name, _, _ in steps],
        "y": [tokens / 10**decimals for _, tokens, _ in steps],
        "measure": [measure for _, _, measure in steps],
        "customdata": shown,
        "connector": {"line": {"color": "#8a979d", "width": 1, "dash": "dot"}},
        "decreasing": {"marker": {"color": "#2b8a9d"}},
        "increasing": {"marker": {"color": "#cf3b46"}},
        "totals": {"marker": {"color": "#cf3b46"}},
        "hovertemplate": f"%{{x}}: %{{customdata}} {unit}<extra></extra>",
    }
    return _figure(
        [data], 330, margin={"l": 62, "r": 12, "t": 30, "b": 60}, xaxis={"automargin": True},
        yaxis={"title": {"text": unit}, "rangemode": "tozero"}, annotations=labels,
    )  # fmt: skip


class Chart:
    """A chart that is drawn anew only where its data differ."""

    def __init__(self, label: str, name: str) -> None:
        self._element: ui.plotly | None = None
        self.box = ui.element("div").classes("chart").props(f'role="img" aria-label="{label}" data-chart="{name}"')

    def draw(self, figure: Figure | None) -> None:
        """Draw; None: there is nothing to draw."""
        self.box.set_visibility(figure is not None)
        if figure is None:
            return
        if self._element is None:
            with self.box:
                self._element = ui.plotly(figure).classes("chart")
        elif self._element.figure != figure:
            self._element.update_figure(figure)
