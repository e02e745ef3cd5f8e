"""``seawall parity`` as a user meets it: what it prints, how it ends, and that no file makes it break."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from seawall.audit.parity.replay import read_lines
from seawall.cli import app

DATA = Path(__file__).parent / "data"
VECTORS = DATA / "vectors/interest.jsonl.gz"
TRACE = DATA / "traces/b4_on_the_hour_timing.jsonl.gz"
FACT_FILE = DATA / "facts/withdraw-limits.json"


def run(*paths: Path | str) -> Result:
    return CliRunner().invoke(app, ["parity", *(str(path) for path in paths)])


def first_lines(path: Path, count: int) -> list[dict[str, Any]]:
    lines = read_lines(path)
    return [next(lines) for _ in range(count)]


def write_lines(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


# --- agreement and difference ----------------------------------------------------------------------------------


def test_agreement_ends_with_0_and_a_count(tmp_path: Path) -> None:
    result = run(write_lines(tmp_path / "some.jsonl", first_lines(VECTORS, 21)))
    assert (result.exit_code, result.output) == (0, "20 instructions, 0 differ\n")


def test_facts_count_as_instructions_and_the_others_are_told() -> None:
    result = run(FACT_FILE)
    assert result.exit_code == 0
    assert result.output == (
        "withdraw-limits.json: 3 facts are not compared; docs/parity.md says why\n10 instructions, 0 differ\n"
    )


def test_several_files_add_up(tmp_path: Path) -> None:
    result = run(write_lines(tmp_path / "some.jsonl", first_lines(VECTORS, 21)), FACT_FILE)
    assert result.output.endswith("\n30 instructions, 0 differ\n")


def test_a_difference_is_printed_and_ends_with_1(tmp_path: Path) -> None:
    lines = first_lines(VECTORS, 4)
    market = next(iter(lines[2]["changed"]))
    field = next(iter(lines[2]["changed"][market]))
    lines[2]["changed"][market][field] = "12345678901"
    result = run(write_lines(tmp_path / "wrong.jsonl", lines))
    assert result.exit_code == 1
    shown, last = result.output.splitlines()
    assert shown.startswith("wrong.jsonl #") and "instead of" in shown and "12345678901" in shown
    assert last == "3 instructions, 1 differ"


def test_a_wrong_result_is_a_difference(tmp_path: Path) -> None:
    lines = first_lines(VECTORS, 2)
    lines[1] = {**lines[1], "result": {"error": "MathError", "code": 6030, "msg": ""}}
    result = run(write_lines(tmp_path / "wrong.jsonl", lines))
    assert result.exit_code == 1
    assert "instead of MathError" in result.output


def test_a_wrong_fact_is_a_difference(tmp_path: Path) -> None:
    facts = json.loads(FACT_FILE.read_text())
    facts[0]["expected"]["min_deposit_token"] = "750001"
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(facts))
    result = run(path)
    assert result.exit_code == 1
    shown = "wrong.json #0 calculate_min_deposit_token_amount: min_deposit_token: 750000 instead of 750001"
    assert result.output.splitlines()[0] == shown
    assert result.output.splitlines()[-1] == "10 instructions, 1 differ"


def test_an_instruction_that_the_engine_lacks_is_a_difference_and_the_replay_goes_on(tmp_path: Path) -> None:
    lines = first_lines(VECTORS, 4)
    lines[1] = {**lines[1], "ix": "print_money"}
    result = run(write_lines(tmp_path / "unknown.jsonl", lines))
    assert result.exit_code == 1
    assert "the engine has no instruction 'print_money'" in result.output
    assert result.output.endswith("\n3 instructions, 1 differ\n")


def test_show_limits_what_is_printed_not_what_is_counted(tmp_path: Path) -> None:
    lines = [
        {**line, "result": {"error": "MathError"}} if line["kind"] == "vec" else line
        for line in first_lines(VECTORS, 6)
    ]
    result = CliRunner().invoke(app, ["parity", "--show", "2", str(write_lines(tmp_path / "wrong.jsonl", lines))])
    assert len(result.output.splitlines()) == 3
    assert result.output.endswith("5 instructions, 5 differ\n")


# --- unreadable files ------------------------------------------------------------------------------------------


def _plain(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _fact(**changes: Any) -> bytes:
    fact = {
        "function": "log10_iter",
        "version": "both",
        "source": "x::y",
        "inputs": {"n": "9"},
        "expected": {"result": "0"},
    }
    return json.dumps([{key: value for key, value in {**fact, **changes}.items() if value is not ...}]).encode()


_HEADER = json.dumps(first_lines(VECTORS, 1)[0]).encode()

UNREADABLE = [
    ("empty.jsonl", b"", "the file is empty"),
    ("empty.jsonl.gz", b"", "the file is empty"),
    ("text.jsonl", b"once upon a time\n", ":1: not JSON"),
    ("cut.jsonl", _HEADER + b'\n{"kind": "vec", "n": 1', ":2: not JSON"),
    ("list.jsonl", b"[1, 2]\n", "an object with a field 'kind'"),
    ("kind.jsonl", b'{"kind": "vec"}\n', "the first line is no recorded state"),
    ("bare.jsonl", b'{"kind": "base"}\n', ":1: malformed"),
    ("type.jsonl", b'{"kind": "base", "accounts": 7, "vaults": {}}\n', ":1: malformed"),
    ("field.jsonl", _HEADER.replace(b'"deposit_balance"', b'"deposits"', 1) + b"\n", "neither modelled nor listed"),
    ("bytes.jsonl", b"\xff\xfe\x00", "can't decode"),
    ("nogzip.jsonl.gz", b"plain text", "Not a gzipped file"),
    ("cut.jsonl.gz", VECTORS.read_bytes()[:20_000], "ended before"),
    ("broken.jsonl.gz", VECTORS.read_bytes()[:3_000] + bytes(500) + VECTORS.read_bytes()[3_500:], "broken.jsonl.gz"),
    ("ix.jsonl", _HEADER + b'\n{"kind": "vec", "n": 1}\n', ":2: malformed"),
    ("text.json", b"once", ":1: not JSON"),
    ("cut.json", _fact()[:-9], "not JSON"),
    ("object.json", b"{}", "a fact file is an array of facts"),
    ("number.json", b"[1]", "fact 0 has no function"),
    ("function.json", _fact(function=...), "fact 0 has no function"),
    ("expected.json", _fact(expected=[1]), "fact 0 has no expected of its kind (dict)"),
    ("unknown.json", _fact(function="make_money"), "fact 0 (make_money): the function is unknown"),
    ("missing.json", _fact(inputs={}), "inputs: n is missing"),
    ("kind.json", _fact(inputs={"n": "nine"}), "inputs: n is no integer: 'nine'"),
    ("more.json", _fact(inputs={"n": "9", "base": "2"}), "nothing reads inputs.base"),
    ("bytes.json", b"\xff\xfe\x00", "can't decode"),
]


@pytest.mark.parametrize(("name", "content", "message"), UNREADABLE, ids=[row[0] for row in UNREADABLE])
def test_an_unreadable_file_ends_with_2_and_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if name == "empty.jsonl.gz":
        content = gzip.compress(content)
    path = _plain(tmp_path / name, content)
    result = run(path)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(str(path)) and message in result.stderr


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.jsonl.gz", "missing.json"])
def test_a_missing_file_ends_with_2(tmp_path: Path, name: str) -> None:
    result = run(tmp_path / name)
    assert (result.exit_code, result.stderr) == (2, f"{tmp_path / name}: No such file or directory\n")


def test_a_directory_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 2


def _places(data: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return (
        [prefix, *(place for key, value in items for place in _places(value, (*prefix, key)))]
        if prefix
        else [place for key, value in items for place in _places(value, (key,))]
    )


_DAMAGES = st.sampled_from([None, "", "x", "-1", str(2**200), 7, -1.5, True, [], {}, [[]], {"x": 1}, "delete"])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), damage=_DAMAGES, source=st.sampled_from(["trace", "vectors", "facts"]))
def test_whatever_is_damaged_the_command_ends_properly(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, damage: Any, source: str
) -> None:
    """Any one value of a recording replaced or removed gives agreement, a difference or one line, never a traceback."""
    if source == "facts":
        document: Any = [json.loads(data.draw(st.sampled_from(_ALL_FACTS)))]
    else:
        document = first_lines(TRACE if source == "trace" else VECTORS, 4)
    place = data.draw(st.sampled_from(_places(document)))
    owner = document
    for key in place[:-1]:
        owner = owner[key]
    if damage == "delete":
        del owner[place[-1]]
    else:
        owner[place[-1]] = damage
    directory = tmp_path_factory.mktemp("damaged")
    if source == "facts":
        path = _plain(directory / "damaged.json", json.dumps(document).encode())
    else:
        path = write_lines(directory / "damaged.jsonl", document)
    result = run(path)
    assert result.exit_code in (0, 1, 2), result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code == 2:
        assert len(result.stderr.splitlines()) == 1


_ALL_FACTS = [
    json.dumps(fact)
    for path in sorted(DATA.glob("facts/*.json"))
    for fact in json.loads(path.read_text(encoding="utf-8"))
    if "long run" not in fact["function"] and "once per second" not in fact["function"]
]
