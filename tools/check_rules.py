"""Check what a machine can see of the rule conventions in CONTRIBUTING.md («How a rule is written»).

A rule runs unchanged in CPython and compiled, so its source may use only what both run alike. This reads every module
of ``src/seawall/rules`` and every ``@rule`` function of ``src/seawall/arithmetic.py`` and prints one line a problem:
``file:line: what is wrong``. Exit code 1 if there is any.

    python tools/check_rules.py [ROOT]
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ADMITTED_IMPORTS = (
    "seawall.arithmetic",
    "seawall.errors",
    "seawall.lanes",
    "seawall.rules",
    "seawall.state",
    "typing",
    "collections.abc",
)
ADMITTED_BUILTINS = {"abs", "bool", "int", "len", "max", "min", "range"}
LARGEST_LITERAL = 2**63 - 1
FORBIDDEN_NODES: dict[type[ast.AST], str] = {
    ast.Dict: "a dict",
    ast.Set: "a set",
    ast.DictComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.ListComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.Yield: "a generator",
    ast.YieldFrom: "a generator",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.Try: "try",
    ast.TryStar: "try",
    ast.With: "with",
    ast.AsyncWith: "with",
    ast.AsyncFor: "async",
    ast.Await: "async",
    ast.AsyncFunctionDef: "async",
    ast.ClassDef: "a class",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Match: "match",
}
FORBIDDEN_OPERATORS: dict[type[ast.operator], str] = {
    ast.Div: "`/` gives a float: use `//` or a named rounding of seawall.arithmetic",
    ast.Pow: "`**`: use pow10 or a product",
    ast.MatMult: "`@`",
}
FOLDED: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.LShift: "<<"}


class Problem(NamedTuple):
    """One breach of the conventions."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class _Module:
    """One parsed module and what its names mean."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        self.problems: list[Problem] = []
        self.enums: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("seawall.state.enums", "seawall.errors"):
                names = {alias.asname or alias.name for alias in node.names}
                self.enums |= {name for name in names if not name.isupper() and name != "SettlementError"}

    def report(self, node: ast.AST, text: str) -> None:
        self.problems.append(Problem(self.path, getattr(node, "lineno", 1), text))

    # --- the module as a whole ------------------------------------------------------------------------------------

    def check_module(self) -> None:
        """Everything in a module of the rules: imports, constants, functions."""
        if ast.get_docstring(self.tree) is None:
            self.report(self.tree, "the module has no docstring")
        for statement in self.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self.check_import(statement)
            elif isinstance(statement, ast.FunctionDef):
                self.check_function(statement)
            elif not _is_text(statement):  # the module's docstring, or that of a constant
                self.check_nodes(statement)

    def check_rules_only(self) -> None:
        """The ``@rule`` functions of a module that holds other things too."""
        for statement in self.tree.body:
            if isinstance(statement, ast.FunctionDef) and _is_rule(statement):
                self.check_function(statement)

    def check_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom):
            if node.level > 0:
                self.report(node, "a relative import: name the module in full")
                return
            modules = [node.module or ""]
            if any(alias.name == "*" for alias in node.names):
                self.report(node, "a star import")
        else:
            modules = [alias.name for alias in node.names]
        for module in modules:
            if not any(module == name or module.startswith(f"{name}.") for name in ADMITTED_IMPORTS):
                self.report(node, f"imports {module}: a rule imports arithmetic, errors, lanes, rules and state only")

    # --- one function ---------------------------------------------------------------------------------------------

    def check_function(self, function: ast.FunctionDef) -> None:
        name = function.name
        if not _is_rule(function):
            self.report(function, f"{name} is not marked @rule")
        if len(function.decorator_list) > 1:
            self.report(function, f"{name} has another decorator than @rule")
        if ast.get_docstring(function) is None:
            self.report(function, f"{name} has no docstring")
        if name.startswith("float"):
            self.report(function, f"the name {name}: there are no floats in rules")
        self.check_signature(function)
        for index, statement in enumerate(function.body):
            if not (index == 0 and _is_text(statement)):
                self.check_nodes(statement)

    def check_signature(self, function: ast.FunctionDef) -> None:
        arguments = function.args
        name = function.name
        if arguments.kwonlyargs or arguments.posonlyargs or arguments.vararg or arguments.kwarg:
            self.report(function, f"{name}: keyword-only, positional-only and starred parameters")
        for default in arguments.defaults:
            if not _is_int(default):
                self.report(default, f"{name}: a default argument that is not an int")
        for argument in arguments.args:
            if argument.annotation is None:
                self.report(argument, f"{name}: the parameter {argument.arg} has no type")
            if argument.arg.startswith("float"):
                self.report(argument, f"the name {argument.arg}: there are no floats in rules")
            self.check_annotation(argument.annotation)
        if not _is_none(function.returns):
            self.check_annotation(function.returns)

    def check_annotation(self, annotation: ast.expr | None) -> None:
        """A type may name enums and quote names; it may not admit None or a float."""
        if annotation is None:
            return
        for node in ast.walk(annotation):
            if _is_none(node):
                self.report(node, "None in a type: a rule takes and returns records, ints and bools")
            elif isinstance(node, ast.Name) and node.id.startswith("float"):
                self.report(node, f"the name {node.id}: there are no floats in rules")

    # --- one statement --------------------------------------------------------------------------------------------

    def check_nodes(self, statement: ast.stmt) -> None:
        """Every node below a statement; annotations apart, and the error in a ``raise`` apart."""
        for node in self.walk(statement):
            kind = type(node)
            if kind in FORBIDDEN_NODES:
                self.report(node, f"{FORBIDDEN_NODES[kind]}: not in a rule")
            elif isinstance(node, ast.FunctionDef):
                self.report(node, f"{node.name} is defined inside another function")
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self.report(node, "an import below the top of the module")
            elif isinstance(node, (ast.BinOp, ast.AugAssign)):
                self.check_operator(node)
            elif isinstance(node, ast.Constant):
                self.check_constant(node)
            elif isinstance(node, ast.Call):
                self.check_call(node)
            elif isinstance(node, ast.Attribute):
                self.check_attribute(node)
            elif isinstance(node, ast.Name) and node.id.startswith("float"):
                self.report(node, f"the name {node.id}: there are no floats in rules")
            elif isinstance(node, ast.For) and not _is_range(node.iter):
                self.report(node, "a loop over something else than range(…)")

    def walk(self, node: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.Raise):
            self.check_raise(node)
            return
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.JoinedStr)):
            return  # the node itself is the problem
        for field, value in ast.iter_fields(node):
            if field == "annotation":
                self.check_annotation(value)
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self.walk(child)

    def check_operator(self, node: ast.BinOp | ast.AugAssign) -> None:
        if type(node.op) in FORBIDDEN_OPERATORS:
            self.report(node, FORBIDDEN_OPERATORS[type(node.op)])
        elif isinstance(node, ast.BinOp):
            value = _folded(node)
            if value is not None and abs(value) > LARGEST_LITERAL:
                self.report(node, "a constant of 2^63 or more: name it in seawall.arithmetic")

    def check_constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, (str, bytes)):
            self.report(node, "a text: not in a rule")
        elif isinstance(value, (float, complex)):
            self.report(node, f"the float {value}: rules are exact")
        elif value is None:
            self.report(node, "None as a value: return ints, bools or tuples of them")
        elif isinstance(value, int) and value > LARGEST_LITERAL:
            self.report(node, "an int literal of 2^63 or more: name it in seawall.arithmetic")

    def check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name):
            return
        name = node.func.id
        if name in ("min", "max") and (len(node.args) != 2 or node.keywords):
            self.report(node, f"{name} of {len(node.args)}: exactly two in a rule")
        if name in vars(builtins) and name not in ADMITTED_BUILTINS and not name.startswith("float"):
            self.report(node, f"calls {name}: not in a rule")

    def check_attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self.enums:
            self.report(node, f"the enum member {node.value.id}.{node.attr}: compare with the module constant")

    def check_raise(self, node: ast.Raise) -> None:
        error = node.exc
        if node.cause is None and isinstance(error, ast.Call) and _is_name(error.func, "SettlementError"):
            (code,) = error.args if len(error.args) == 1 and not error.keywords else (None,)
            if isinstance(code, ast.Attribute) and _is_name(code.value, "ErrorCode"):
                return
        self.report(node, "a raise must read: raise SettlementError(ErrorCode.X)")


def _is_name(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_none(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_int(node: ast.expr) -> bool:
    value = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, int)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_rule(function: ast.FunctionDef) -> bool:
    return any(_is_name(decorator, "rule") for decorator in function.decorator_list)


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _is_name(node.func, "range")


def _folded(node: ast.expr) -> int | None:
    """The value of an expression of int literals, or None."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    if isinstance(node, ast.BinOp) and type(node.op) in FOLDED:
        left, right = _folded(node.left), _folded(node.right)
        if left is None or right is None or (isinstance(node.op, ast.LShift) and not 0 <= right < 1024):
            return None
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        return left * right if isinstance(node.op, ast.Mult) else left << right
    return None


def check_source(source: str, path: str, rules_only: bool = False) -> list[Problem]:
    """The problems of one module, in the order of its lines."""
    module = _Module(path, ast.parse(source, filename=path))
    if rules_only:
        module.check_rules_only()
    else:
        module.check_module()
    return sorted(set(module.problems), key=lambda problem: (problem.line, problem.text))


def check_tree(root: Path) -> tuple[int, list[Problem]]:
    """How many modules were read below ``root``, and their problems."""
    rules = sorted((root / "src/seawall/rules").rglob("*.py"))
    problems = []
    for file in rules:
        problems += check_source(file.read_text(encoding="utf-8"), str(file.relative_to(root)))
    arithmetic = root / "src/seawall/arithmetic.py"
    problems += check_source(arithmetic.read_text(encoding="utf-8"), str(arithmetic.relative_to(root)), rules_only=True)
    return len(rules) + 1, problems


def main(arguments: list[str]) -> int:
    """Check the repository at the given root, or the one that this file lies in."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    modules, problems = check_tree(root)
    for problem in problems:
        print(problem)
    print(f"{modules} modules, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
