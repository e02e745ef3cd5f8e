"""Figures and tables as HTML. Whatever comes from outside is escaped here, once: only ``Markup`` passes as it is."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from seawall.keys import key_to_text

SHOWN_DIGITS: Final = 2
QUOTE_DECIMALS: Final = 6
BASE_DECIMALS: Final = 9


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """Anything as HTML: ``Markup`` as it is, everything else escaped."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def join(parts: Iterable[Any], between: str = "") -> Markup:
    """Parts one after another."""
    return Markup(between.join(text(part) for part in parts))


def tag(name: str, /, *inside: Any, css: str = "", **attributes: Any) -> Markup:
    """An element; ``css`` its classes, ``_`` in an attribute's name stands for ``-``."""
    given = {"class": css} if css else {}
    given |= {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    shown = "".join(f' {key}="{escape(str(value))}"' for key, value in given.items())
    return Markup(f"<{name}{shown}>{join(inside)}</{name}>")


def link(page: str, label: Any, **query: Any) -> Markup:
    """A link to a page of the dashboard; all of them lie beside each other."""
    asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return tag("a", label, href=f"./{page}" + (f"?{asked}" if asked else ""))


# --- figures ---------------------------------------------------------------------------------------------------


def amount(value: int, decimals: int, shown: int = SHOWN_DIGITS) -> str:
    """Base units as a decimal with thousands separators, digits beyond ``shown`` cut off."""
    whole, rest = divmod(abs(value), 10**decimals)
    fraction = str(rest).rjust(decimals, "0")[:shown] if decimals else ""
    shown_value = f"{whole:,}" + (f".{fraction}" if fraction else "")
    sign = "−" if value < 0 and shown_value.strip("0.,") else ""
    return f"{sign}{shown_value}"


def figure(value: int, decimals: int, shown: int = SHOWN_DIGITS) -> Markup:
    """An amount whose every digit is in its title."""
    exact = amount(value, decimals, decimals)
    return tag("span", amount(value, decimals, shown), title=exact, css="neg" if value < 0 else "")


def percent(value: int, precision: int = 1_000_000) -> str:
    """A fraction as a percentage with two digits."""
    return f"{amount(value * 100, len(str(precision)) - 1)} %"


def when(unix_timestamp: int) -> str:
    """A time in UTC."""
    if not 0 <= unix_timestamp < 1 << 36:
        return str(unix_timestamp)
    return datetime.fromtimestamp(unix_timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: int) -> str:
    """A span of time in its two largest units."""
    parts: list[str] = []
    left = max(0, seconds)
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def countdown(until: int, now: int) -> Markup:
    """The span until a time, counted down in the browser (page.js) from what it was at ``now``."""
    left = until - now
    return tag("span", ago(left) if left > 0 else "now", css="countdown", data_left=max(0, left))


def key(data: bytes) -> str:
    """A public key in base58."""
    return key_to_text(data)


def short(name: str, shown: int = 8) -> Markup:
    """A long name's beginning and end, the whole of it in its title."""
    if len(name) <= 2 * shown + 1:
        return text(name)
    return tag("span", f"{name[:shown]}…{name[-4:]}", title=name)


def account_link(ref: str) -> Markup:
    """A link to a user account, ``<authority>/<sub-account>``."""
    authority, _, number = ref.partition("/")
    return link("account", Markup(f"{short(authority)}/{text(number or '0')}"), user=ref)


# --- tables ----------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column's title; figures stand to the right, text to the left; ``hint`` explains the title."""

    title: str
    is_text: bool = False
    hint: str = ""


def words(title: str, hint: str = "") -> Column:
    """A column of text."""
    return Column(title, True, hint)


def number(title: str, hint: str = "") -> Column:
    """A column of figures."""
    return Column(title, False, hint)


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
    empty: str = "nothing",
    name: str = "",
    cards: bool = False,
) -> Markup:
    """A table; ``name`` is its ``data-table``, by which tests and scripts find it.

    ``cards``: on a narrow screen each row becomes a list of names and values instead of a line to be scrolled.
    """
    listed = list(rows)
    if not listed:
        return tag("p", empty, css="empty", data_table=name or None)
    head = join(tag("th", c.title, css="" if c.is_text else "num", title=c.hint or None, scope="col") for c in columns)
    body = join(tag("tr", *(_cell(*pair) for pair in zip(columns, row, strict=True))) for row in listed)
    css = "cards" if cards else ""
    return tag("table", tag("thead", tag("tr", head)), tag("tbody", body), css=css, data_table=name or None)


def _cell(column: Column, cell: Any) -> Markup:
    return tag("td", cell, css="" if column.is_text else "num", data_label=column.title or None)


def pairs(rows: Iterable[tuple[Any, Any]], name: str = "") -> Markup:
    """Names and values, one pair a line."""
    return tag("dl", *(join((tag("dt", title), tag("dd", value))) for title, value in rows), data_table=name or None)


def gauge(used: int, cap: int, note: str = "") -> Markup:
    """How much of a cap is used: a bar and a percentage; a cap of 0 has none."""
    if cap <= 0:
        return tag("span", note or "no cap", css="muted")
    share = max(0, used) * 1_000 // cap
    level = "full" if share >= 1_000 else "high" if share >= 800 else ""
    label = f"{share // 10}.{share % 10} %"
    bar = tag("span", tag("span", style=f"width:{min(share, 1_000) / 10}%"), css="bar")
    return tag("span", bar, label, css=f"gauge {level}".strip(), role="img", aria_label=f"{label} used")


def chip(label: Any, kind: str = "") -> Markup:
    """A short word in a box: ``good``, ``bad``, ``warn`` or plain."""
    return tag("span", label, css=f"chip {kind}".strip())


def note(*inside: Any) -> Markup:
    """A remark below figures."""
    return tag("p", *inside, css="note")
