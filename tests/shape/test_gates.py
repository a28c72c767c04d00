"""Nothing in the package runs text as code, loads objects from bytes, or hands a line to a shell."""

import ast
from collections.abc import Iterable, Iterator

import pytest

from tests.shape.source import Module, module, modules

FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.popen",
    "os.system",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
    "yaml.load",
    "yaml.unsafe_load",
}
FORBIDDEN_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}


def violations(tree: Iterable[Module]) -> list[str]:
    return [f"{source.file}:{line}: {what}" for source in tree for line, what in _violations(source.tree)]


def _violations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).removeprefix("builtins.")
            if name in FORBIDDEN_CALLS:
                yield node.lineno, name
            if any(word.arg == "shell" and not _is_false(word.value) for word in node.keywords):
                yield node.lineno, "shell"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in _imported(node):
                if name.partition(".")[0] in FORBIDDEN_MODULES or name in FORBIDDEN_CALLS:
                    yield node.lineno, name


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def test_the_package_keeps_to_the_gates():
    assert violations(modules()) == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "builtins.exec('x')",
        "import pickle",
        "from marshal import loads",
        "from os import system",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=choice)",
        "yaml.load(text)",
    ],
)
def test_a_way_round_a_gate_is_seen(text: str):
    assert len(violations([module("loci.x", text)])) == 1


@pytest.mark.parametrize(
    "text", ["yaml.safe_load(text)", "subprocess.run(['ls'], shell=False)", "store.exec(statement)"]
)
def test_what_is_harmless_passes(text: str):
    assert violations([module("loci.x", text)]) == []
