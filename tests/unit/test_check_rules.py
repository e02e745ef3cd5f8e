"""The rule checker: every convention that it claims to see, it sees; and the repository keeps them."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_rules", ROOT / "tools/check_rules.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_rules"] = module
    spec.loader.exec_module(module)
    return module


check_rules = _load()

HEAD = '''"""A module of rules."""

from typing import Final

from seawall.arithmetic import div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import BORROW, BalanceType

LIMIT: Final = 10
"""A documented constant."""

'''


def _function(body: str, signature: str = "(left: int, right: int) -> int", mark: str = "@rule\n") -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f'{HEAD}\n{mark}def f{signature}:\n    """A rule."""\n{lines}\n'


ADMITTED = """
if left == BORROW:
    raise SettlementError(ErrorCode.MathError)
total = -1
for i in range(8):
    total += max(left, i) * (right // LIMIT) % 7
while total > 0 and not right == 9_223_372_036_854_775_807:
    total = div_trunc(total, 2)
return min(total, abs(right)) << 3
""".strip()

REFUSED = [
    ("a dict", "x = {left: right}\nreturn x[left]", "a dict"),
    ("an empty dict", "x = {}\nreturn left", "a dict"),
    ("a set", "return left in {1, 2}", "a set"),
    ("a text", "x = 'deposit'\nreturn left", "a text"),
    ("a second docstring is a text", "'''More.'''\nreturn left", "a text"),
    ("bytes", "x = b'1'\nreturn left", "a text"),
    ("a float", "return left * 1.5", "the float 1.5"),
    ("a float in scientific form", "return left * 1e6", "the float"),
    ("true division", "return left / right", "`/` gives a float"),
    ("true division in place", "left /= right\nreturn left", "`/` gives a float"),
    ("power", "return left ** 2", "`**`"),
    ("power in place", "left **= 2\nreturn left", "`**`"),
    ("try", "try:\n    return left\nexcept ValueError:\n    return right", "try"),
    ("with", "with left:\n    return right", "with"),
    ("lambda", "g = lambda: left\nreturn g()", "a lambda"),
    ("list comprehension", "return sum_of([i for i in range(3)])", "a comprehension"),
    ("set comprehension", "return sum_of({i for i in range(3)})", "a comprehension"),
    ("dict comprehension", "return sum_of({i: i for i in range(3)})", "a comprehension"),
    ("generator expression", "return any_of(i for i in range(3))", "a generator"),
    ("generator", "yield left", "a generator"),
    ("f-string", "x = f'{left}'\nreturn left", "an f-string"),
    ("min of one", "return min(left)", "min of 1"),
    ("min of three", "return min(left, right, 3)", "min of 3"),
    ("max of three", "return max(left, right, 3)", "max of 3"),
    ("max with a key", "return max(left, right, key=abs)", "max of 2"),
    ("an enum member", "if left == BalanceType.Borrow:\n    return 1\nreturn 0", "the enum member BalanceType.Borrow"),
    ("an error code as a value", "return left == ErrorCode.MathError", "the enum member ErrorCode.MathError"),
    ("a wide literal", "return left + 9_223_372_036_854_775_808", "an int literal of 2^63"),
    ("a wide constant expression", "return left + (1 << 63)", "a constant of 2^63"),
    ("the name float", "return float(left)", "the name float"),
    ("a name that starts with float", "float_price = left\nreturn float_price", "the name float_price"),
    ("a foreign builtin", "return sorted(left)", "calls sorted"),
    ("None as a value", "x = None\nreturn left", "None as a value"),
    ("another error", "raise ValueError(left)", "a raise must read"),
    ("an error with a cause", "raise SettlementError(ErrorCode.MathError) from left", "a raise must read"),
    ("a re-raise", "raise", "a raise must read"),
    ("a loop over a sequence", "for i in left:\n    right += i\nreturn right", "a loop over something else"),
    ("a nested function", "def g() -> int:\n    return 1\nreturn g()", "g is defined inside"),
    ("a nested class", "class G:\n    pass\nreturn left", "a class"),
    ("an import inside", "from seawall.arithmetic import clamp\nreturn left", "an import below the top"),
    ("global", "global LIMIT\nreturn left", "global"),
    ("match", "match left:\n    case 1:\n        return 1\nreturn 0", "match"),
]  # fmt: skip


def _texts(source: str) -> list[str]:
    return [problem.text for problem in check_rules.check_source(source, "rules/x.py")]


def test_a_rule_that_keeps_the_conventions_passes() -> None:
    assert _texts(_function(ADMITTED)) == []


@pytest.mark.parametrize(("body", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_each_breach_is_caught_where_it_stands(body: str, message: str) -> None:
    problems = check_rules.check_source(_function(body), "rules/x.py")
    assert any(message in problem.text for problem in problems), problems
    first_line = HEAD.count("\n") + 5  # a blank line, the mark, the definition, its docstring
    assert all(first_line <= problem.line < first_line + body.count("\n") + 1 for problem in problems)
    assert str(problems[0]).startswith(f"rules/x.py:{problems[0].line}: ")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("import os", "imports os"),
        ("import seawall.engine.venue", "imports seawall.engine.venue"),
        ("from seawall.engine.transaction import Transaction", "imports seawall.engine.transaction"),
        ("from seawall.records import Record", "imports seawall.records"),
        ("from seawall.rules_other import x", "imports seawall.rules_other"),
        ("from math import isqrt", "imports math"),
        ("from . import balances", "a relative import"),
        ("from seawall.arithmetic import *", "a star import"),
    ],
)
def test_imports_from_elsewhere_are_refused(statement: str, message: str) -> None:
    assert any(message in text for text in _texts(_function("return left") + statement + "\n"))


@pytest.mark.parametrize(
    "statement",
    [
        "from collections.abc import Sequence",
        "from seawall.rules.common.balances import get_token_amount",
        "from seawall.state.user import User",
    ],
)
def test_imports_of_the_same_layers_pass(statement: str) -> None:
    assert _texts(_function("return left") + statement + "\n") == []


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("(*, left: int) -> int", "keyword-only"),
        ("(*left: int) -> int", "starred"),
        ("(left: int = True + 1) -> int", "a default argument that is not an int"),
        ("(left: int = None) -> int", "a default argument that is not an int"),
        ("(left) -> int", "the parameter left has no type"),
        ("(left: int | None) -> int", "None in a type"),
        ("(left: int) -> int | None", "None in a type"),
        ("(left: float) -> int", "the name float"),
        ("(left: int) -> float", "the name float"),
        ("(float_left: int) -> int", "the name float_left"),
    ],
)
def test_signatures(signature: str, message: str) -> None:
    assert any(message in text for text in _texts(_function("return 1", signature))), _texts(
        _function("return 1", signature)
    )


def test_int_defaults_and_none_results_pass() -> None:
    assert _texts(_function("left = left + 1", "(left: int = -1) -> None")) == []


def test_a_function_without_the_mark_is_refused() -> None:
    assert _texts(_function("return left", mark="")) == ["f is not marked @rule"]
    assert _texts(_function("return left", mark="@rule\n@cache\n")) == ["f has another decorator than @rule"]


def test_docstrings_are_demanded() -> None:
    source = "from seawall.lanes import rule\n\n\n@rule\ndef f(left: int) -> int:\n    return left\n"
    assert _texts(source) == ["the module has no docstring", "f has no docstring"]


def test_a_name_that_starts_with_float_is_refused_for_functions_and_constants() -> None:
    assert "the name float_of: there are no floats in rules" in _texts(
        _function("return 1").replace("def f", "def float_of")
    )
    assert "the name float_limit: there are no floats in rules" in _texts(HEAD + "float_limit = 1\n")


def test_constants_of_a_module_obey_too() -> None:
    assert any("a dict" in text for text in _texts(HEAD + "TABLE: Final = {1: 2}\n"))
    assert any("2^63" in text for text in _texts(HEAD + "WIDE: Final = 1 << 64\n"))
    assert _texts(HEAD + "TABLE: Final = (1, 2, 3)\n") == []


def test_in_arithmetic_only_the_rules_are_read() -> None:
    source = HEAD + "U64_MAX: Final = 18_446_744_073_709_551_615\n\n\ndef isqrt(value):\n    return value ** 0.5\n"
    assert check_rules.check_source(source, "arithmetic.py", rules_only=True) == []
    assert check_rules.check_source(_function("return left / right"), "arithmetic.py", rules_only=True) != []


def test_the_repository_keeps_the_conventions() -> None:
    modules, problems = check_rules.check_tree(ROOT)
    assert modules > 5
    assert problems == []


def test_the_command_prints_each_problem_and_fails(tmp_path: Path) -> None:
    rules = tmp_path / "src/seawall/rules"
    rules.mkdir(parents=True)
    (tmp_path / "src/seawall/arithmetic.py").write_text('"""Arithmetic."""\n')
    (rules / "bad.py").write_text(_function("return left / right"))
    command = [sys.executable, str(ROOT / "tools/check_rules.py"), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "src/seawall/rules/bad.py:" in run.stdout and run.stdout.endswith("2 modules, 1 problems\n")
    (rules / "bad.py").write_text(_function("return left // right"))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
