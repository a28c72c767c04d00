"""A package index of one package, in a folder."""

import zipfile
from pathlib import Path

import pytest


def offered(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    planted: Path | None = None,
    name: str = "greeting",
    version: str = "1.2",
    source: str = "words = 'good morning'\n",
) -> Path:
    """The package tries to make a folder as soon as an interpreter starts beside it that sees where it would lie."""
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        if planted:
            trap = f"import os; os.path.isdir({str(planted.parent)!r}) and os.mkdir({str(planted)!r})\n"
            wheel.writestr(f"{name}.pth", trap)
        wheel.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}-{version}.dist-info/RECORD", "")
    for variable, value in (("UV_OFFLINE", "1"), ("UV_FIND_LINKS", str(folder)), ("PIP_NO_INDEX", "1")):
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
