"""Compiles rules as they stand: the same code objects, with other meanings of the names that they refer to.

The compiled form of a rule is its own code, in which every int constant is a wide integer and every rule it calls is
that rule's compiled form. Nothing is compiled before it is called the first time; what was compiled is kept on disk.
"""

import sys
import time
from collections.abc import Callable
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any, get_args, get_origin

from numba import njit
from numba.core import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

from seawall.bulk.cache import directory, source_hash
from seawall.bulk.guard import Call, invoke
from seawall.bulk.loops import LOOPS
from seawall.bulk.views import RecordType, RowsType
from seawall.bulk.wide import WideConstant, wide
from seawall.lanes import COMPILED_FORMS, RULES
from seawall.records import Record

Function = Callable[..., Any]


def widened(value: Any) -> Any:
    """A constant as compiled code takes it: ints, also in tuples, become wide."""
    if type(value) is int:
        return WideConstant(value)
    if type(value) is tuple:
        return tuple(widened(item) for item in value)
    return value


def _code(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(widened(constant) for constant in code.co_consts))


_COMPILED: dict[Function, Any] = {}


def compiled(function: Function) -> Any:
    """The compiled form of a rule or loop; rules that it calls come with it. Compiles nothing yet."""
    function = COMPILED_FORMS.get(function, function)
    known = _COMPILED.get(function)
    if known is not None:
        return known
    if RULES.get(f"{function.__module__}.{function.__qualname__}") is not function and function not in LOOPS:
        raise TypeError(f"{function.__qualname__} is not a rule")
    names: dict[str, Any] = {"__name__": function.__module__, "__builtins__": __builtins__}
    twin = FunctionType(_code(function.__code__), names, function.__name__)
    twin.__qualname__ = function.__qualname__
    twin.__defaults__ = widened(function.__defaults__)
    result = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(twin)
    _COMPILED[function] = result
    for name in function.__code__.co_names:
        if name in function.__globals__:
            names[name] = _meaning(function.__globals__[name])
    return result


def _meaning(value: Any) -> Any:
    if isinstance(value, FunctionType) and (
        value in COMPILED_FORMS or value in LOOPS or RULES.get(f"{value.__module__}.{value.__qualname__}") is value
    ):
        return compiled(value)
    return widened(value)


# --- types ---------------------------------------------------------------------------------------------------------


def declared_type(hint: Any) -> Any:
    """The compiled type of a parameter from its annotation."""
    if hint is int:
        return wide
    if hint is bool:
        return types.boolean
    if isinstance(hint, type) and issubclass(hint, Record):
        return RecordType(hint)
    if get_origin(hint) is list:
        return RowsType(get_args(hint)[0])
    if get_origin(hint) is tuple and all(item is int for item in get_args(hint)):
        return types.UniTuple(wide, len(get_args(hint)))
    raise TypeError(f"a rule has no parameter of type {hint!r}")


# --- entries -------------------------------------------------------------------------------------------------------


class _Locator(_CacheLocator):
    def get_cache_path(self) -> str:
        return str(directory())

    def get_source_stamp(self) -> str:
        return source_hash()

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func: Any, py_file: Any) -> "_Locator":
        return cls()


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 - Numba's own declaration


class _KernelCache(FunctionCache):
    """Numba's cache in our directory; says on screen when something has to be compiled."""

    _impl_class = _CacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None:
            name = self._py_func.__qualname__.partition("-")[0]
            print(f"seawall: compiling {name} (once a version; kept in {directory()})", file=sys.stderr, flush=True)
            self.started = time.perf_counter()
        return found


def _entry(block: int) -> Any:
    return invoke(CALL, block)  # type: ignore[name-defined]  # noqa: F821 - each entry has its own


_ENTRIES: dict[tuple[Function, tuple[str, ...]], Callable[[int], int]] = {}


def entry(function: Function, parameters: tuple[Any, ...]) -> Callable[[int], int]:
    """Compiled code that calls a rule or loop with the arguments in a block of memory, given by its address.

    It returns the address of an error, 0 without; ``guard.SLOT`` bytes an argument, the result behind them.
    """
    key = (function, tuple(str(p) for p in parameters))
    known = _ENTRIES.get(key)
    if known is not None:
        return known
    names = {"invoke": invoke, "CALL": Call(compiled(function), parameters), "__name__": __name__}
    kind = sha256(" ".join(key[1]).encode()).hexdigest()[:8]
    twin = FunctionType(_entry.__code__, names, "entry")
    twin.__qualname__ = f"{function.__module__.removeprefix('seawall.')}.{function.__qualname__}-{kind}"
    dispatcher = njit(nogil=True, no_cfunc_wrapper=True)(twin)
    if function.__module__.startswith("seawall."):  # what the name of the cache's directory vouches for
        dispatcher._cache = _KernelCache(twin)
    dispatcher.compile((types.int64,))
    dispatcher.disable_compile()
    _ENTRIES[key] = dispatcher
    return dispatcher  # type: ignore[no-any-return]
