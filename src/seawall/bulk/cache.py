"""Where compiled code is kept: a directory named by the hash of every source that it was compiled from.

Numba's own key is the hash of one file, so that a changed rule below an unchanged loop would go on running as it was.
"""

import os
import sys
import tempfile
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

import seawall

VARIABLE: Final = "SEAWALL_BULK_CACHE"
"""Environment variable that names another parent directory for compiled code."""

SOURCES: Final = ("arithmetic.py", "errors.py", "keys.py", "lanes.py", "records.py", "state", "rules", "bulk")


@cache
def source_hash() -> str:
    """A hash over every source that compiled code depends on, and the versions of the compiler."""
    root = Path(seawall.__file__).parent
    h = sha256(f"{sys.version} {version('numba')} {version('llvmlite')}".encode())
    for name in SOURCES:
        place = root / name
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for file in files:
            h.update(f"\n{file.relative_to(root).as_posix()}\n".encode())
            h.update(file.read_bytes())
    return h.hexdigest()[:16]


@cache
def directory() -> Path:
    """The directory of this version's compiled code, made if need be; a temporary one where none can be written."""
    parent = os.environ.get(VARIABLE)
    if parent is None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        parent = os.path.join(home, "seawall")
    place = Path(parent) / source_hash()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError:
        return Path(tempfile.mkdtemp(prefix="seawall-"))
