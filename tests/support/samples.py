"""Instructions made from their declarations alone: one sample of each, and strategies for all that they may say."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from seawall.instructions.base import Instruction, instruction_types
from seawall.keys import key_from_text, key_to_text
from seawall.records import Width

ALL: dict[str, type[Instruction]] = dict(sorted(instruction_types().items()))
"""Every instruction there is, by its name on the wire."""

KEYS = ("@alice", "@bob", key_to_text(key_from_text("@carol")), "1" * 32)
USERS = ("@alice", "@alice/1", "@bob/0", f"{KEYS[2]}/65535")


def fields_of(cls: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """The fields of a struct with their types as declared."""
    hints = get_type_hints(cls, include_extras=True)
    for name in cls.__struct_fields__:
        yield name, hints[name]


def kind_of(hint: Any) -> tuple[str, Any]:
    """What a declared type is: ("int", its width), ("key" | "user" | "text" | "bool", None), ("literal", the names),
    ("list", the element), ("struct", the class), ("choice", several types), ("optional", the type)."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return ("int", args[1]) if isinstance(args[1], Width) else (args[1], None)
    if origin is Literal:
        return "literal", args
    if origin is list:
        return "list", args[0]
    if origin in (Union, UnionType):
        given = [arg for arg in args if arg is not type(None)]
        return ("optional", given[0]) if len(given) == 1 else ("choice", given)
    if hint is bool or hint is str:
        return ("bool" if hint is bool else "text"), None
    assert issubclass(hint, msgspec.Struct), hint
    return "struct", hint


def sample(cls: type[Any], **given: Any) -> Any:
    """An instruction whose fields are the plainest values that their types admit, but for those given."""
    return cls(**{name: given[name] if name in given else _plain(hint) for name, hint in fields_of(cls)})


def _plain(hint: Any) -> Any:
    kind, of = kind_of(hint)
    plain: dict[str, Any] = {"int": 0, "key": KEYS[0], "user": USERS[0], "bool": False, "text": "", "optional": None}
    if kind in plain:
        return plain[kind]
    if kind == "list":
        return []
    if kind == "literal":
        return of[0]
    return sample(of if kind == "struct" else of[0])


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """All values of a declared type."""
    kind, of = kind_of(hint)
    if kind == "int":
        return st.integers(of.minimum, of.maximum)
    if kind == "key":
        return st.sampled_from(KEYS)
    if kind == "user":
        return st.sampled_from(USERS)
    if kind == "bool":
        return st.booleans()
    if kind == "text":
        return st.text(max_size=40)
    if kind == "literal":
        return st.sampled_from(of)
    if kind == "list":
        return st.lists(anything(of), max_size=3)
    if kind == "optional":
        return st.none() | anything(of)
    if kind == "choice":
        return st.one_of(*map(anything, of))
    return everything(of)


def everything(cls: type[Any]) -> st.SearchStrategy[Any]:
    """All that an instruction (or a part of one) may say."""
    return st.builds(cls, **{name: anything(hint) for name, hint in fields_of(cls)})


def integers_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all integers in decoded JSON data."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from integers_in(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from integers_in(item, (*path, index))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of decoded JSON data with another value at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy
