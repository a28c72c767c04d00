"""The repository stands alone: it names no place outside itself, and its locks name only the public registries."""

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

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


@pytest.mark.parametrize("path", ["see ../" + "shared/x.md", "cd /work" + "/main", "'file:" + "///srv/index'"])
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
    document = read_toml("pyproject.toml")
    metadata = next(package for package in read_toml("uv.lock")["package"] if package["name"] == "loci-agents")[
        "metadata"
    ]
    optional = document["project"]["optional-dependencies"].values()

    assert wanted(*document["project"]["dependencies"], *chain(*optional)) == locked(metadata["requires-dist"])
    assert {group: wanted(*texts) for group, texts in document["dependency-groups"].items()} == {
        group: locked(entries) for group, entries in metadata["requires-dev"].items()
    }


def test_nothing_pulls_in_a_training_framework():
    names = {package["name"] for package in read_toml("uv.lock")["package"]}

    assert names & {"torch", "tensorflow", "jax", "transformers", "triton"} == set()


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text("utf-8"))


def wanted(*texts: str) -> set[tuple[str, str, frozenset[str]]]:
    parsed = [Requirement(text) for text in texts]
    return {(each.name, str(each.specifier), frozenset(each.extras)) for each in parsed}


def locked(entries: list[dict[str, Any]]) -> set[tuple[str, str, frozenset[str]]]:
    return {
        (each["name"], str(SpecifierSet(each.get("specifier", ""))), frozenset(each.get("extras", ())))
        for each in entries
    }
