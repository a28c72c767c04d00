"""The published V1 API as data: which operations there are, and what their answers look like.

`published.json` holds names and types only. An answer is judged by the schema of its operation, which also decides
which of the operations a request was: the one with the most literal words in its path.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

PLACE = re.compile(r"\{[^}]+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: `name` is "METHOD /path/{id}" as published, `sdk` its method of the Python client."""

    group: str
    name: str
    purpose: str
    sdk: str | None
    deprecated: bool
    hosted: bool
    """Only the vendor's hosted service had it; a self-hosted server of theirs did not."""
    answer: Any

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]


@cache
def _document() -> Any:
    text = (Path(__file__).parent / "published.json").read_text(encoding="utf-8")
    return json.loads(text, object_hook=_nullable)


def _nullable(item: dict[str, Any]) -> dict[str, Any]:
    """The older word for a type that may be null, as JSON Schema says it."""
    return {**item, "type": [item["type"], "null"]} if item.get("nullable") is True and "type" in item else item


@cache
def operations() -> dict[str, Operation]:
    """All of them, by name."""
    return {
        item["operation"]: Operation(
            group=item["group"],
            name=item["operation"],
            purpose=item["purpose"],
            sdk=item.get("sdk"),
            deprecated=item.get("deprecated", False),
            hosted=item.get("hosted", False),
            answer=item.get("answer"),
        )
        for item in _document()["operations"]
    }


def bare(path: str) -> str:
    """A path without its last slash and without the names of its places."""
    return PLACE.sub("{}", path).rstrip("/")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], str]]:
    found = [
        (item.method, re.compile(PLACE.sub("[^/]+", item.path.rstrip("/")) + "/?"), item.name)
        for item in operations().values()
    ]
    return sorted(found, key=lambda entry: entry[2].count("{"))


def operation_of(method: str, path: str) -> str | None:
    """The operation that a request is."""
    for wanted, pattern, name in _patterns():
        if wanted == method and pattern.fullmatch(path):
            return name
    return None


@cache
def _judge(name: str) -> Any:
    answer = operations()[name].answer
    if answer is None:
        return None
    return jsonschema_rs.validator_for({**answer, "components": {"schemas": _document()["schemas"]}})


def faults(name: str, body: Any) -> list[str]:
    """What is wrong with an answer by the published schema of its operation; a few faults are enough."""
    judge = _judge(name)
    if judge is None:
        return []
    found: Iterable[Any] = judge.iter_errors(body)
    return [f"{'/'.join(map(str, fault.instance_path))}: {str(fault.message)[:300]}" for fault in list(found)[:5]]
