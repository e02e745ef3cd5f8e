"""Amounts, times and tables as people read them. Display only: nothing here is computed with."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from seawall.engine.receipts import Receipt

SHOWN_DIGITS = 2


def amount(value: int, decimals: int, shown: int = SHOWN_DIGITS) -> str:
    """Base units as a decimal with thousands separators, digits beyond ``shown`` cut off."""
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**decimals)
    fraction = str(rest).rjust(decimals, "0")[:shown] if decimals else ""
    return f"{sign}{whole:,}" + (f".{fraction}" if fraction else "")


def percent(value: int, precision: int = 1_000_000) -> str:
    """A fraction in 1e6 as a percentage with two digits."""
    return f"{amount(value * 100, len(str(precision)) - 1)} %"


def when(unix_timestamp: int) -> str:
    """A time in UTC."""
    if not 0 <= unix_timestamp < 1 << 36:
        return str(unix_timestamp)
    return datetime.fromtimestamp(unix_timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def table(title: str, *columns: str, left: Sequence[str] = (), note: str = "") -> Table:
    """A table of figures; the first column and those named in ``left`` are text."""
    made = Table(title=title, title_justify="left", title_style="bold", caption=note or None, caption_justify="left")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 or column in left else "right", no_wrap=i == 0)
    return made


def print_refusal(console: Console, receipt: Receipt) -> None:
    """A refused instruction: the error, what it means here, the limits, what would pass."""
    refusal = receipt.refusal
    if refusal is None:
        return
    console.print(f"[bold]{receipt.ix}[/] refused: [bold red]{refusal.error}[/] ({refusal.code})", highlight=False)
    console.print(f"  {refusal.message}", highlight=False, markup=False)
    for limit in receipt.limits:
        line = f"  {limit.name}: {limit.value:,} (asked {limit.asked:,})"
        console.print(f"{line}; {limit.note}" if limit.note else line, highlight=False, markup=False)
    if refusal.would_pass:
        console.print(f"  What would pass: {refusal.would_pass}", highlight=False, markup=False)
