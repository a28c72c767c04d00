"""Every Python example of the README and the docs runs as it stands there."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cli.command import python
from tests.sdk.processes import running

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8283"


def examples() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, block in enumerate(BLOCK.findall(file.read_text(encoding="utf-8")), 1):
            found.append((f"{file.relative_to(ROOT)}#{number}", block))
    return found


def test_there_are_examples() -> None:
    assert len(examples()) >= 4


@pytest.mark.parametrize(("name", "code"), examples(), ids=[name for name, _ in examples()])
def test_an_example_runs(name: str, code: str, tmp_path: Path) -> None:
    with running(tmp_path / "home") if ADDRESS in code else nullcontext() as server:
        script = tmp_path / "example.py"
        script.write_text(code.replace(ADDRESS, server.url) if server else code, encoding="utf-8")
        done = python(script, LOCI_HOME=str(tmp_path / "embedded"))
    assert done.status == 0, f"{name}\n{done.out}\n{done.talk}"
