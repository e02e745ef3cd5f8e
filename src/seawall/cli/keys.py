"""``seawall keys``: create a key, show it, sign a request with it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli import app
from seawall.cli.opening import fail

keys = typer.Typer(no_args_is_help=True, help="Keys: create one, show it, sign a request with it.")
app.add_typer(keys, name="keys")

KeyFile = Annotated[Path, typer.Argument(help="The key file: base58 as Solana wallets export it, or 64 numbers.")]


@keys.command()
def create(file: KeyFile) -> None:
    """Create a key in a new file that only its owner may read; print the public key."""
    from seawall.service.keyfiles import KeyFileError, write_key_file
    from seawall.signing import new_secret

    secret = new_secret()
    try:
        write_key_file(file, secret)
    except KeyFileError as error:
        raise fail(str(error)) from None
    typer.echo(_public(secret))


@keys.command()
def show(file: KeyFile) -> None:
    """Print the public key of a key file."""
    typer.echo(_public(_read(file)))


@keys.command()
def sign(
    file: KeyFile,
    instruction: Annotated[str, typer.Argument(help="The instruction as JSON, with its name in the field 'ix'.")],
    venue: Annotated[str, typer.Option(help="What it is signed for: a service's address, or a venue's id in hex.")],
    idempotency_key: Annotated[str | None, typer.Option(help="The Idempotency-Key that it will be sent with.")] = None,
    lifetime: Annotated[int, typer.Option(min=1, max=600, help="Seconds for which it is good.")] = 120,
    message: Annotated[bool, typer.Option("--message", help="Print what is signed instead, in hex.")] = False,
) -> None:
    """Print the body of the POST that asks for an instruction, signed."""
    from seawall.errors import SettlementError
    from seawall.instructions import decode, encode
    from seawall.service.client import signed_body
    from seawall.signing import NONCE_BYTES, public_key, signed_message

    secret = _read(file)
    try:
        asked = decode(instruction)
    except SettlementError as error:
        raise fail(str(error)) from None
    venue_id = _venue_id(venue)
    if message:
        nonce, expiry = bytes(range(NONCE_BYTES)), int(time.time()) + lifetime
        typer.echo(signed_message(venue_id, public_key(secret), nonce, expiry, idempotency_key, encode(asked)).hex())
        return
    typer.echo(signed_body(secret, venue_id, asked, idempotency_key, lifetime).decode())


def _venue_id(venue: str) -> bytes:
    if not venue.startswith(("http://", "https://")):
        try:
            found = bytes.fromhex(venue)
        except ValueError:
            found = b""
        if len(found) != 32:
            raise fail(f"{venue}: neither an address (http://…) nor a venue's id (64 hexadecimal digits)")
        return found
    import httpx

    from seawall.service.client import Client, ServiceProblem

    try:
        with Client(venue) as client:
            return client.venue_id
    except (ServiceProblem, httpx.HTTPError) as error:
        raise fail(f"{venue}: {error}") from None


def _read(file: Path) -> bytes:
    from seawall.service.keyfiles import KeyFileError, read_key_file

    try:
        return read_key_file(file)
    except KeyFileError as error:
        raise fail(str(error)) from None


def _public(secret: bytes) -> str:
    from seawall.keys import base58
    from seawall.signing import public_key

    return base58(public_key(secret))
