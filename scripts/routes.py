"""Writes docs/reference/routes.md: every operation of the published Letta V1 API, and its state here.

    python -m scripts.routes            print what would be written
    python -m scripts.routes --write    write it

A test compares the page with what this writes, so it cannot fall behind.
"""

import sys
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from loci.app import build
from loci.config import Settings
from tests.wire.not_built import ELSEWHERE, NOT_BUILT
from tests.wire.plain_calls import PLAIN_CALLS
from tests.wire.published import Operation, bare, operations
from tests.wire.sdk_calls import SDK_CALLS

PAGE = Path(__file__).parent.parent / "docs/reference/routes.md"

HEAD = """# Routes

Every operation of the published Letta V1 API, and its state in Loci. {works} of the {self_hosted} operations that a
self-hosted server has work, and {extra} of the {hosted} that only the hosted service had.

*Checked* means that the tests send the request to a live server, as the unmodified Python client does where it has a
method for it (in its strict mode, which refuses other shapes), and judge the answer by the published schema.
The routes that Loci has beyond these are in its own API document, at `/docs` of a running server.
"""
LEGEND = {
    "checked": "works, checked",
    "there": "works, tested with its feature",
    "reason": "not there: {reason}",
    "unknown": "not there",
}


@cache
def document() -> dict[str, Any]:
    """The API's own document. It takes seconds to make; nobody changes it."""
    return build(Settings(home=Path(), database_url="")).openapi()


def ours() -> set[str]:
    """The operations that this server has, without slashes at the end and names of places."""
    return {f"{method.upper()} {bare(path)}" for path, methods in document()["paths"].items() for method in methods}


def checked(operation: Operation) -> bool:
    """Whether a test sends this request and judges its answer."""
    name = operation.name
    return operation.sdk in SDK_CALLS or any(bare(name) == bare(known) for known in PLAIN_CALLS) or name in ELSEWHERE


def is_there(operation: Operation, known: set[str]) -> bool:
    """Whether this server has the operation."""
    return f"{operation.method} {bare(operation.path)}" in known


def state(operation: Operation, known: set[str]) -> str:
    """In a few words, what becomes of this request here."""
    if is_there(operation, known):
        return LEGEND["checked" if checked(operation) else "there"]
    reason = NOT_BUILT.get(operation.name)
    return LEGEND["unknown"] if reason is None else LEGEND["reason"].format(reason=reason)


def page() -> str:
    """The whole page."""
    known = ours()
    states = {name: state(operation, known) for name, operation in operations().items()}
    works = {name for name, words in states.items() if words.startswith("works")}
    hosted = {name for name, operation in operations().items() if operation.hosted}
    head = HEAD.format(
        works=len(works - hosted),
        self_hosted=len(states) - len(hosted),
        extra=len(works & hosted),
        hosted=len(hosted),
    )
    return head + "\n".join(_tables(states)) + "\n"


def _tables(states: dict[str, str]) -> Iterator[str]:
    for group, items in groupby(operations().values(), key=lambda operation: operation.group):
        yield f"\n## {group}\n\n| operation | purpose | Python client | state |\n|---|---|---|---|"
        for item in items:
            notes = "".join(
                f" ({word})" for word, holds in (("deprecated", item.deprecated), ("hosted", item.hosted)) if holds
            )
            method = f"`{item.sdk}`" if item.sdk else ""
            yield f"| `{item.name}`{notes} | {item.purpose} | {method} | {states[item.name]} |"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
