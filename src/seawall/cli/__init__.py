"""The command line: one module a command."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Seawall: who is owed what, and why.")


@app.callback()
def _root() -> None:
    """Seawall: who is owed what, and why."""


def main() -> None:
    """Run the command line."""
    app()


from seawall.cli import audit as _audit  # noqa: E402, F401 - each command registers itself with the app
from seawall.cli import demo as _demo  # noqa: E402, F401
from seawall.cli import explain as _explain  # noqa: E402, F401
from seawall.cli import keeper as _keeper  # noqa: E402, F401
from seawall.cli import keys as _keys  # noqa: E402, F401
from seawall.cli import luna as _luna  # noqa: E402, F401
from seawall.cli import migrate as _migrate  # noqa: E402, F401
from seawall.cli import parity as _parity  # noqa: E402, F401
from seawall.cli import rules as _rules  # noqa: E402, F401
from seawall.cli import run as _run  # noqa: E402, F401
from seawall.cli import serve as _serve  # noqa: E402, F401
from seawall.cli import show as _show  # noqa: E402, F401
from seawall.cli import warmup as _warmup  # noqa: E402, F401
