"""``seawall run``: apply an instruction file to a venue, wholly or not at all."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seawall.cli import app
from seawall.cli.opening import fail, open_venue
from seawall.cli.text import print_refusal
from seawall.engine.request_lines import InstructionFileError, read_requests
from seawall.engine.venue import Venue
from seawall.errors import ErrorCode

NOT_THERE = frozenset(
    {
        ErrorCode.SpotMarketNotFound.name, ErrorCode.PerpMarketNotFound.name, ErrorCode.OracleNotFound.name,
        ErrorCode.UserNotFound.name, ErrorCode.InsuranceFundStakeNotFound.name, ErrorCode.UnsupportedInstruction.name,
        ErrorCode.InvalidInstruction.name, ErrorCode.ClockWentBackwards.name, ErrorCode.IdempotencyConflict.name,
    }
)  # fmt: skip
"""Refusals that mean the file is wrong, not that the venue said no."""


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Instructions, one JSON object a line.")],
    venue: Annotated[
        str | None,
        typer.Option(help="Database of the venue (a file, or postgresql://…); without it a new one in memory."),
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Print the last line only.")] = False,
) -> None:
    """Apply an instruction file. A faulty line, or one that names what does not exist, stops it: nothing changes.

    What the venue refuses (a limit, a pause, an empty pool) is printed, journalled and counted; it is no fault.
    """
    console = Console(highlight=False)
    try:
        lines = list(read_requests(file))
    except InstructionFileError as error:
        raise fail(str(error)) from None
    with open_venue(venue) if venue is not None else Venue() as target:
        numbers = [number for number, _ in lines]
        receipts = target.apply_all_or_none(
            [request for _, request in lines],
            lambda receipt: receipt.refusal is None or not _faulty(receipt.refusal.error),
        )
        last = receipts[-1] if receipts else None
        if last is not None and last.refusal is not None and _faulty(last.refusal.error):
            raise fail(f"{file}:{numbers[len(receipts) - 1]}: {last.refusal.error}: {last.refusal.message}")
        refused = 0
        for number, receipt in zip(numbers, receipts, strict=True):
            if receipt.refusal is not None:
                refused += 1
                if not quiet:
                    console.print(f"line {number}: ", end="")
                    print_refusal(console, receipt)
        console.print(f"{len(receipts)} instructions, {len(receipts) - refused} carried out, {refused} refused")
        console.print(f"state root {target.root()}")


def _faulty(error: str) -> bool:
    return error in NOT_THERE
