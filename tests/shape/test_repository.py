"""The repository stands alone: it names no place outside itself, and its locks name only the public registries."""

import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.shape.source import ROOT, committed_files, committed_text

# Written in pieces, so that this file passes its own test.
OUTSIDE = re.compile(
    "|".join([r"\.\./" + "shared", r"(?<![\w.])/work" + "/", "/opt" + "/lv", "/tmp/" + "brief", "file:" + "///"])
)
REGISTRIES = {"pypi.org", "files.pythonhosted.org", "registry.npmjs.org"}
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def outside_paths(text: str) -> list[str]:
    return OUTSIDE.findall(text)


def test_no_file_names_a_place_outside_the_repository():
    found = {name: outside_paths(committed_text(name) or "") for name in committed_files()}

    assert {name: paths for name, paths in found.items() if paths} == {}


@pytest.mark.parametrize("path", ["see ../shared" + "/x.md", "cd /work" + "/main", "'file:" + "///srv/index'"])
def test_such_a_place_is_seen(path: str):
    assert outside_paths(path) != []


def test_every_link_between_documents_leads_somewhere():
    broken = [
        f"{name}: {link}"
        for name in committed_files()
        if name.endswith(".md")
        for link in LINK.findall(committed_text(name) or "")
        if not (ROOT / Path(name).parent / link).exists()
    ]

    assert broken == []


def test_the_locks_name_only_the_public_registries():
    locks = [name for name in committed_files() if Path(name).name in {"uv.lock", "package-lock.json"}]
    hosts = {
        urlsplit(url).hostname
        for name in locks
        for url in re.findall(r'"(?:git\+)?(\w+://[^"]+)"', without_funding(name))
    }

    assert "uv.lock" in locks
    assert hosts <= REGISTRIES


def without_funding(name: str) -> str:
    """An npm lock also repeats where the authors ask for money: no address that anything is fetched from."""
    return re.sub(r'"funding": (\{[^}]*\}|\[[^\]]*\]|"[^"]*")', "", committed_text(name) or "")


def test_the_lock_belongs_to_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    own = next(package for package in locked if package["name"] == project["name"])

    assert own["version"] == project["version"]
    assert {base_name(text) for text in project["dependencies"]} == {package["name"] for package in own["dependencies"]}


def base_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0]
