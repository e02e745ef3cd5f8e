"""Whether this machine can run compiled rules: Numba, and libgcc's division of 128-bit integers. Imports neither."""

import ctypes
import ctypes.util
from functools import cache
from importlib.util import find_spec
from typing import Final

NAMES: Final = ("libgcc_s.so.1", "libgcc_s.so", "libgcc_s.1.dylib", "libgcc_s.1.1.dylib")
DIVISIONS: Final = ("__divti3", "__modti3", "__udivti3", "__umodti3")
HINT: Final = "pip install 'seawall[bulk]'"


@cache
def libgcc() -> ctypes.CDLL:
    """The library with the 128-bit divisions; ``OSError`` where there is none."""
    found = ctypes.util.find_library("gcc_s")
    for name in (*NAMES, *([found] if found else [])):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if all(hasattr(library, division) for division in DIVISIONS):
            return library
    raise OSError(f"none of {', '.join(NAMES)} offers {', '.join(DIVISIONS)}")


@cache
def unavailable_reason() -> str | None:
    """Why rules cannot be compiled here, in one sentence; None where they can."""
    for package in ("numba", "llvmlite", "numpy"):
        if find_spec(package) is None:
            return f"the package {package} is not installed ({HINT})"
    try:
        libgcc()
    except OSError as error:
        return f"128-bit division is missing: {error} (install libgcc)"
    return None


def available() -> bool:
    """Whether rules can be compiled here; without, the exact lane does all the work."""
    return unavailable_reason() is None
