"""Where compiled code is kept: a directory named by the hash of every source that it was compiled from.

Numba's own key is the hash of one file, so that a changed rule below an unchanged loop would go on running as it was.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "SEAWALL_BULK_CACHE"
"""Environment variable that names another parent directory for compiled code."""

KEPT: Final = 30 * 86_400
"""Seconds that compiled code of a version stays after its last use."""

SOURCES: Final = ("arithmetic.py", "errors.py", "keys.py", "lanes.py", "records.py", "state", "rules", "bulk")


@cache
def source_hash() -> str:
    """A hash over every source that compiled code depends on, and the versions of the compiler."""
    root = Path(__file__).parents[1]
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
        parent = os.path.join(home, "seawall", "bulk")
    place = Path(parent) / source_hash()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError:
        return Path(tempfile.mkdtemp(prefix="seawall-"))
    _forget_old_versions(place)
    return place


def is_kept(loop: Callable[..., Any]) -> bool:
    """Whether the compiled form of a loop is there, so that nobody waits for the compiler. Imports no compiler."""
    name = f"{loop.__module__.removeprefix('seawall.')}.{loop.__qualname__}"
    return any(directory().glob(f"*.{name}-*.nbi"))


def _forget_old_versions(place: Path) -> None:
    """Remove the code of versions that nobody has used for a month: the directories beside ``place``."""
    os.utime(place)
    oldest = time.time() - KEPT
    for other in place.parent.iterdir():
        if re.fullmatch("[0-9a-f]{16}", other.name) and other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)
