"""The wire format of every instruction: what is read, what is refused, and in which words."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import ALL, anything, everything, fields_of, integers_in, kind_of, replaced, sample

from seawall.engine.request_lines import request_from_line
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import (
    DOCUMENT_FIELDS,
    DOCUMENT_NAMES,
    Instruction,
    decode,
    decode_canonical,
    decode_object,
    encode,
    validate,
)

NAMES = list(ALL)
CLASSES = list(ALL.values())


def refused(data: Any) -> str:
    """Data that is no instruction; why not."""
    with pytest.raises(SettlementError) as caught:
        decode(data) if isinstance(data, bytes | str) else decode_object(data)
    assert caught.value.code == ErrorCode.InvalidInstruction
    return caught.value.detail


def as_data(instruction: Instruction) -> dict[str, Any]:
    """An instruction as JSON data."""
    data: dict[str, Any] = msgspec.json.decode(encode(instruction))
    return data


# --- what is read ------------------------------------------------------------------------------------------------


@given(st.data())
def test_every_instruction_survives_the_wire(data: st.DataObject) -> None:
    """Whatever an instruction says: encoded and decoded it is the same, by the strict and the lenient reader, and its
    bytes are the same again."""
    instruction = data.draw(st.sampled_from(CLASSES).flatmap(everything))
    wire = encode(instruction)
    assert decode_canonical(wire) == instruction
    assert decode(wire) == instruction
    assert encode(decode(wire)) == wire
    validate(instruction)
    assert decode(wire).ix == instruction.ix


@given(st.data())
def test_integers_may_be_decimal_strings(data: st.DataObject) -> None:
    """Every integer, however deep, may be written as a decimal string, and means the same; the canonical form has
    numbers only."""
    instruction = data.draw(st.sampled_from(CLASSES).flatmap(everything))
    wire = as_data(instruction)
    for path in integers_in(wire):
        value: Any = wire
        for name in path:
            value = value[name]
        wire = replaced(wire, path, str(value))
    assert decode_object(wire) == instruction
    assert decode(msgspec.json.encode(wire)) == instruction
    if wire != as_data(instruction):
        with pytest.raises(SettlementError):
            decode_canonical(msgspec.json.encode(wire))


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_has_a_default_may_be_left_out(name: str) -> None:
    """What is left out means what the declaration says."""
    cls = ALL[name]
    wire = as_data(sample(cls))
    required = {f.encode_name for f in msgspec.structs.fields(cls) if f.required}
    least = {k: v for k, v in wire.items() if k == "ix" or k in required}
    instruction = decode_object(least)
    assert instruction == cls(**{f: getattr(sample(cls), f) for f in required})


def test_the_documents_names_are_understood() -> None:
    """Names that the documents use for instructions and fields of the program mean the program's."""
    for theirs, ours in DOCUMENT_NAMES.items():
        instruction = sample(ALL[ours])
        assert decode_object({**as_data(instruction), "ix": theirs}) == instruction
    for theirs, ours in DOCUMENT_FIELDS.items():
        owners = [cls for cls in CLASSES if ours in cls.__struct_fields__]
        assert owners
        for cls in owners:
            wire = as_data(sample(cls))
            wire[theirs] = wire.pop(ours)
            assert decode_object(wire) == sample(cls)


# --- what is refused, and in which words -------------------------------------------------------------------------


def fields_with(kind: str) -> list[tuple[str, str, Any]]:
    """Every field of a kind in every instruction, optional ones too: instruction, field, what the kind says."""
    found = []
    for ix, cls in ALL.items():
        for name, hint in fields_of(cls):
            is_a, of = kind_of(hint)
            if is_a == "optional":
                is_a, of = kind_of(of)
            if is_a == kind:
                found.append((ix, name, of))
    return found


@pytest.mark.parametrize(("ix", "field", "width"), fields_with("int"))
def test_a_number_outside_its_width_is_refused(ix: str, field: str, width: Any) -> None:
    """One below the least and one above the greatest value: the message names the field and what would pass."""
    wire = as_data(sample(ALL[ix]))
    for edge in (width.minimum, width.maximum):
        assert getattr(decode_object({**wire, field: edge}), field) == edge
    for wrong in (width.minimum - 1, width.maximum + 1, -(2**200), 2**200):
        for written in (wrong, str(wrong)):
            expected = f"{field} must be within {width.minimum} and {width.maximum}, got {wrong}"
            assert refused({**wire, field: written}) == expected


@pytest.mark.parametrize(("ix", "field", "width"), fields_with("int"))
def test_what_is_no_number_is_refused(ix: str, field: str, width: Any) -> None:
    """Fractions, words, truth values and lists are no integers; the message says where."""
    wire = as_data(sample(ALL[ix]))
    for wrong in (
        0.5,
        1e30,
        5.0,
        True,
        "1.5",
        "5.0",
        "1e3",
        "",
        "ten",
        "٣",
        "05",
        "+5",
        " 5",
        "--5",
        "9" * 5_000,
        [],
        {},
    ):
        assert f"`$.{field}`" in refused({**wire, field: wrong})


def test_regr_a_number_with_a_fraction_is_not_rounded() -> None:
    """JSON reads 9007199254740993.0 as …992: one unit was lost in silence. "1e3" and "5.0" passed for integers too."""
    amounts = ("9007199254740993.0", "1e3", "5.0", '"1e3"', '"5.0"', "1e400", "9" * 5_000, '"' + "9" * 5_000 + '"')
    for amount in amounts:
        assert refused('{"ix": "deposit", "user": "@alice", "market_index": 0, "amount": ' + amount + "}")


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_field_is_refused(name: str) -> None:
    """A misspelt field is not ignored."""
    wire = as_data(sample(ALL[name]))
    assert refused({**wire, "amuont": 1}) == "Object contains unknown field `amuont`"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_field_is_refused(name: str) -> None:
    """Each field without a default is missed by name."""
    cls = ALL[name]
    wire = as_data(sample(cls))
    for field in msgspec.structs.fields(cls):
        if field.required:
            left = {k: v for k, v in wire.items() if k != field.encode_name}
            assert refused(left) == f"Object missing required field `{field.encode_name}`"


@pytest.mark.parametrize(("ix", "field", "names"), fields_with("literal"))
def test_a_name_that_does_not_exist_is_refused(ix: str, field: str, names: Any) -> None:
    """An enumerated argument has one of its names, in their spelling."""
    wire = as_data(sample(ALL[ix]))
    for wrong in ("Nonsense", names[0].lower() + "x", ""):
        assert f"`$.{field}`" in refused({**wire, field: wrong})


@pytest.mark.parametrize(("ix", "field"), [f[:2] for f in fields_with("key")] + [f[:2] for f in fields_with("user")])
def test_a_key_that_is_none_is_refused(ix: str, field: str) -> None:
    """Labels need a name, keys 32 bytes of base58; the message names the field."""
    wire = as_data(sample(ALL[ix]))
    for wrong, why in (
        ("@", "a label needs a name after '@'"),
        ("0OIl", "is not in its alphabet"),
        ("abc", "is no key: it has"),
    ):
        message = refused({**wire, field: wrong})
        assert message.startswith(f"{field}: ") and why in message


@pytest.mark.parametrize(("ix", "field"), [f[:2] for f in fields_with("user")])
def test_a_sub_account_that_is_none_is_refused(ix: str, field: str) -> None:
    """Sub-accounts have numbers of 16 bits."""
    wire = as_data(sample(ALL[ix]))
    for wrong in ("@alice/65536", "@alice/-1", "@alice/x", "@alice/٣", "@alice/" + "9" * 5_000):
        assert refused({**wire, field: wrong}) == f"{field}: {wrong!r}: a sub-account is a number from 0 to 65535"


@given(st.data())
def test_a_wrong_number_deep_inside_is_named_with_its_path(data: st.DataObject) -> None:
    """Also in nested parts and lists the message tells which number is wrong."""
    nested = [c for c in CLASSES if any(kind_of(h)[0] in ("struct", "list") for _, h in fields_of(c))]
    wire = as_data(data.draw(st.sampled_from(nested).flatmap(everything)))
    paths = [path for path in integers_in(wire) if len(path) > 1]
    if paths:
        path = data.draw(st.sampled_from(paths))
        message = refused(replaced(wire, path, 2**200))
        assert str(path[0]) in message and "must be within" in message and str(2**200) in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON: "),
        (b"\xff", "not JSON: "),
        ("[]", "an instruction is a JSON object with a field 'ix'"),
        ("null", "an instruction is a JSON object with a field 'ix'"),
        ("{}", "the field 'ix' with the instruction's name is missing"),
        ('{"ix": "depositt"}', "unknown instruction 'depositt'"),
        ('{"ix": 7}', "unknown instruction 7"),
        ('{"ix": ["deposit"]}', "unknown instruction ['deposit']"),
        ('{"ix": "Deposit"}', "unknown instruction 'Deposit'"),
    ],
)
def test_what_is_no_instruction_is_refused(data: bytes | str, message: str) -> None:
    """Broken JSON, other JSON, no name, another name."""
    assert refused(data).startswith(message)


@pytest.mark.parametrize("name", NAMES)
def test_every_instruction_says_who_signs_and_where_it_comes_from(name: str) -> None:
    """The docstring has a first sentence and no field goes without a type that the wire checks."""
    cls = ALL[name]
    assert cls.__doc__ and cls.__doc__.strip().splitlines()[0].endswith((".", ":", ","))
    for _, hint in fields_of(cls):
        anything(hint)


# --- a line of an instruction file -------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["--5", "5.0", "1e3", "", "ten", "9" * 5_000, 5.0, True, [], None])
@pytest.mark.parametrize("field", ["at", "slot"])
def test_regr_a_time_that_is_no_whole_number_is_refused(field: str, wrong: Any) -> None:
    """ "--5" and numbers of thousands of digits ended in a ValueError of Python's."""
    line = {**as_data(sample(ALL["deposit"])), "signer": "@alice", "at": 1, "slot": 1, field: wrong}
    with pytest.raises(SettlementError) as caught:
        request_from_line(msgspec.json.encode(line))
    assert field in caught.value.detail
