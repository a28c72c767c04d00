"""A package index of one package, in a folder."""

import zipfile
from pathlib import Path

import pytest


def offered(folder: Path, monkeypatch: pytest.MonkeyPatch, *, planted: Path | None = None) -> Path:
    """The package tries to make a folder as soon as an interpreter starts beside it that sees where it would lie."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "greeting-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "words = 'good morning'\n")
        if planted:
            trap = f"import os; os.path.isdir({str(planted.parent)!r}) and os.mkdir({str(planted)!r})\n"
            wheel.writestr("greeting.pth", trap)
        wheel.writestr("greeting-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.2\n")
        wheel.writestr("greeting-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("greeting-1.2.dist-info/RECORD", "")
    for name, value in (("UV_OFFLINE", "1"), ("UV_FIND_LINKS", str(folder)), ("PIP_NO_INDEX", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
