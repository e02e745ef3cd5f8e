"""Key files: a secret key as Solana wallets export it (base58), or as Solana's command line keeps it (64 numbers)."""

import json
import os
from pathlib import Path

from seawall.signing import public_key, secret_from_text, secret_to_text


class KeyFileError(Exception):
    """A key file cannot be used; the message says why."""


def read_key_file(path: Path) -> bytes:
    """The secret key (32 bytes) in a file; ``KeyFileError``. Nobody but its owner may read the file."""
    try:
        text = path.read_text().strip()
        readable = path.stat().st_mode & 0o077
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: not a key file") from None
    if readable:
        raise KeyFileError(f"{path}: others may read this file; a secret key is its owner's alone (chmod 600 {path})")
    try:
        if not text.startswith("["):
            return secret_from_text(text)
        data = bytes(json.loads(text))
        if len(data) != 64 or public_key(data[:32]) != data[32:]:
            raise ValueError("not a secret key as Solana's command line keeps it: 64 numbers, secret then public")
        return data[:32]
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path}: {error}") from None


def write_key_file(path: Path, secret: bytes) -> None:
    """Write a new key file, readable by its owner alone; ``KeyFileError`` where there is a file already."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path}: there is a file already; a key is never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    with os.fdopen(handle, "w") as file:
        file.write(secret_to_text(secret) + "\n")
        file.flush()
        os.fsync(handle)
