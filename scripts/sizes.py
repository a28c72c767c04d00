"""The size ratchet: measures the package against `sizes.toml` and names each place that is too large.

An exception has to say why it stands, and goes when nothing needs it any more: the list grows by review only and
shrinks by itself. Counted are lines as they stand in the file, docstrings and comments included.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
SLACK_LINES = 20
KINDS = ("file_lines", "function_lines", "broad_excepts", "lazy_imports")


@dataclass(frozen=True, slots=True)
class Limits:
    """The top table of `sizes.toml`."""

    package_lines: int
    file_lines: int
    function_lines: int
    broad_excepts: int

    def threshold(self, kind: str) -> int:
        """Up to this amount a place needs no exception."""
        return {"file_lines": self.file_lines, "function_lines": self.function_lines}.get(kind, 0)


@dataclass(frozen=True, slots=True)
class Allowance:
    """One `[[exception]]` of `sizes.toml`."""

    kind: str
    where: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What the tree holds: `amounts[kind, where]`."""

    package_lines: int
    amounts: dict[tuple[str, str], int]


def load(path: Path) -> tuple[Limits, list[Allowance]]:
    """Read limits and exceptions. An unknown key is an error."""
    document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return Limits(**document["limits"]), [Allowance(**entry) for entry in document.get("exception", [])]


def measure(root: Path, package: Path) -> Measured:
    """Measure every module of `package`; places are named relative to `root`."""
    amounts: defaultdict[tuple[str, str], int] = defaultdict(int)
    package_lines = 0
    for path in sorted(package.rglob("*.py")):
        text, file = path.read_text("utf-8"), path.relative_to(root).as_posix()
        lines = len(text.splitlines())
        package_lines += lines
        amounts["file_lines", file] = lines
        tree = ast.parse(text, filename=file)
        for name, function in functions(tree):
            key = "function_lines", f"{file}:{name}"
            amounts[key] = max(amounts[key], (function.end_lineno or function.lineno) - function.lineno + 1)
            amounts["broad_excepts", f"{file}:{name}"] += sum(map(catches_all, own_nodes(function)))
            amounts["lazy_imports", file] += sum(map(is_import, own_nodes(function)))
        amounts["broad_excepts", file] += sum(map(catches_all, own_nodes(tree)))
        amounts["lazy_imports", file] += sum(map(is_dynamic_import, own_nodes(tree)))
    return Measured(package_lines, dict(amounts))


def functions(tree: ast.AST, outer: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its qualified name, nested ones too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FUNCTION):
            yield outer + node.name, node
        name = f"{outer}{node.name}." if isinstance(node, (*FUNCTION, ast.ClassDef)) else outer
        yield from functions(node, name)


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a module or function, but not in a function inside it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, FUNCTION):
            yield node
            yield from own_nodes(node)


def catches_all(node: ast.AST) -> bool:
    """Tell whether this handler takes every error and does not end by raising it again."""
    if isinstance(node, ast.Call):
        return _names(node.func) == {"suppress"} and any(_is_everything(argument) for argument in node.args)
    if not isinstance(node, ast.ExceptHandler):
        return False
    last = node.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return not raises_again and (node.type is None or _is_everything(node.type))


def is_import(node: ast.AST) -> bool:
    """Tell whether this is an import of any kind."""
    return isinstance(node, (ast.Import, ast.ImportFrom)) or is_dynamic_import(node)


def is_dynamic_import(node: ast.AST) -> bool:
    """Tell whether this call imports a module by a name that only the run knows."""
    return isinstance(node, ast.Call) and bool(_names(node.func) & {"import_module", "__import__"})


def _is_everything(node: ast.expr) -> bool:
    return bool(_names(node) & {"Exception", "BaseException"})


def _names(node: ast.expr) -> set[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.Tuple(elts=elements):
            return {name for element in elements for name in _names(element)}
        case _:
            return set()


def faults(limits: Limits, allowances: list[Allowance], measured: Measured) -> list[str]:
    """Compare: each line says what is wrong and what would make it right."""
    found: list[str] = []
    if measured.package_lines > limits.package_lines:
        found.append(f"the package: {measured.package_lines} lines, more than {limits.package_lines}: delete something")
    listed = {(allowance.kind, allowance.where): allowance for allowance in allowances}
    for (kind, where), amount in measured.amounts.items():
        if amount <= limits.threshold(kind):
            continue
        allowed = listed[kind, where].amount if (kind, where) in listed else limits.threshold(kind)
        if amount > allowed:
            found.append(f"{where}: {kind} is {amount}, more than {allowed}: split it, or excuse it in sizes.toml")
    for allowance in allowances:
        found.extend(_allowance_faults(limits, allowance, measured.amounts.get((allowance.kind, allowance.where), 0)))
    catching = sum(amount for (kind, _), amount in measured.amounts.items() if kind == "broad_excepts")
    if catching > limits.broad_excepts:
        found.append(f"{catching} places catch everything, more than {limits.broad_excepts}: name the errors instead")
    return found


def _allowance_faults(limits: Limits, allowance: Allowance, amount: int) -> Iterator[str]:
    place = f"sizes.toml: {allowance.kind} of {allowance.where}"
    slack = SLACK_LINES if allowance.kind.endswith("_lines") else 0
    if allowance.kind not in KINDS:
        yield f"{place}: there is no such kind; known are {', '.join(KINDS)}"
    elif amount <= limits.threshold(allowance.kind):
        yield f"{place}: no longer needed ({amount}); remove it"
    elif allowance.amount > amount + slack:
        yield f"{place}: allows {allowance.amount}, but there are {amount}; lower it"
    if not allowance.reason.strip():
        yield f"{place}: give a reason"


def main(root: Path) -> int:
    """Print what is wrong, or one line of numbers. Returns the exit status."""
    limits, allowances = load(root / "sizes.toml")
    measured = measure(root, root / "src" / "loci")
    found = faults(limits, allowances, measured)
    for fault in found:
        print(fault)
    if not found:
        files = [amount for (kind, _), amount in measured.amounts.items() if kind == "file_lines"]
        longest = max((n, where) for (kind, where), n in measured.amounts.items() if kind == "function_lines")
        print(
            f"sizes: {measured.package_lines} lines in {len(files)} files, largest {max(files)}; "
            f"longest function {longest[0]} ({longest[1]}); {len(allowances)} exceptions",
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
