"""The package as syntax trees, and the rest of the repository as files: what the shape tests look at."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "loci"


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its import name, its place in the repository, its tree."""

    name: str
    file: str
    is_package: bool
    tree: ast.Module


@cache
def modules() -> tuple[Module, ...]:
    return tuple(parse(path) for path in sorted(PACKAGE.rglob("*.py")))


def parse(path: Path) -> Module:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    file = path.relative_to(ROOT).as_posix()
    return Module(name, file, is_package, ast.parse(path.read_text("utf-8"), filename=file))


def module(name: str, text: str, *, is_package: bool = False) -> Module:
    """Make up a module, to show that a check can fail."""
    return Module(name, f"{name.replace('.', '/')}.py", is_package, ast.parse(text))


@cache
def committed_files() -> tuple[str, ...]:
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows what is committed")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(name for name in listing.split("\0") if name and (ROOT / name).is_file())


def committed_text(name: str) -> str | None:
    """Return what stands in a committed file; None if it is not text."""
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return None
