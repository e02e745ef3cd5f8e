"""``seawall rules``: what the rulebooks say."""

import typer
from rich.console import Console
from rich.table import Table

from seawall.audit.rules_diff import Difference, RulesDiff, Told, compare_rulebooks
from seawall.cli import app
from seawall.errors import SettlementError

rules = typer.Typer(no_args_is_help=True, help="What the rulebooks say, and where they part.")
app.add_typer(rules, name="rules")


@rules.command()
def diff(
    first: str = typer.Argument("drift", help="A rulebook."),
    second: str = typer.Argument("velocity", help="Another."),
    names: bool = typer.Option(False, "--names", help="Only the names, one a line."),
) -> None:
    """Print, rule by rule, what differs between two rulebooks."""
    try:
        found = compare_rulebooks(first, second)
    except SettlementError as error:
        typer.echo(f"{error}; what would pass: {error.would_pass}", err=True)
        raise typer.Exit(2) from None
    console = Console()
    if names:
        for one in found.rules:
            typer.echo(f"{one.room}.{one.name}: {_kind(one, found)}")
    else:
        _print_rules(console, found)
        _print_instructions(console, found)
    console.print(_summary(found), highlight=False)


def _kind(one: Difference, found: RulesDiff) -> str:
    if one.second is None:
        return f"only {found.first}"
    if one.first is None:
        return f"only {found.second}"
    return "both, shared, parting inside" if one.first.module == one.second.module else "both, otherwise"


def _print_rules(console: Console, found: RulesDiff) -> None:
    room = ""
    made: Table | None = None
    for one in found.rules:
        if one.room != room:
            if made is not None:
                console.print(made)
            room = one.room
            made = Table(title=room, title_justify="left", title_style="bold", expand=True)
            made.add_column("rule", ratio=2, overflow="fold")
            made.add_column(found.first, ratio=3)
            made.add_column(found.second, ratio=3)
        assert made is not None
        made.add_row(one.name, _told(one.first), _told(one.second))
    if made is not None:
        console.print(made)


def _told(told: Told | None) -> str:
    return "—" if told is None else told.purpose


def _print_instructions(console: Console, found: RulesDiff) -> None:
    if not found.instructions:
        return
    made = Table(title="instructions", title_justify="left", title_style="bold")
    made.add_column("instruction")
    made.add_column("who has it")
    for name, text in found.instructions:
        made.add_row(name, text)
    console.print(made)


def _summary(found: RulesDiff) -> str:
    only_first = sum(one.second is None for one in found.rules)
    only_second = sum(one.first is None for one in found.rules)
    both = len(found.rules) - only_first - only_second
    return (
        f"{found.shared} rules are shared as they are; {both} are in both and differ; "
        f"{only_first} only in {found.first}, {only_second} only in {found.second}"
    )
