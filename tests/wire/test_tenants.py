"""No operation lets one organisation see, use, change or delete anything of another, whatever ids it names.

The operations are those of the API's own document: a new one joins by itself, and one with a new kind of id in its
path fails until there is such a thing to try it on. What is said of somebody else's thing must be what is said of a
thing that is not there.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx  # noqa: TID251  what the client is built on
import pytest
from fastapi.routing import APIRoute

from loci.api.routes import memfs
from scripts import routes
from tests.wire.smallest import Document, Schema
from tests.wire.tenants import ID, MARK, Two, two

PLACE = re.compile(r"\{([a-z_]+)\}")
DOCUMENT = Document(routes.document())
REPOSITORIES = [
    (method, route.path)
    for route in memfs.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
]
"""What git speaks to, which is not in the document."""
COMMAND = f"{'0' * 40} {'1' * 40} refs/heads/main\0report-status".encode()
GIT_REQUESTS: dict[str, list[tuple[str, bytes | None]]] = {
    "refs": [("?service=git-upload-pack", None), ("?service=git-receive-pack", None)],
    "git-upload-pack": [("", b"0000")],
    "git-receive-pack": [("", b"0000"), ("", f"{len(COMMAND) + 4:04x}".encode() + COMMAND + b"0000")],
}
DEAD = "00000000-0000-4000-8000-00000000dead"
OPERATORS = "/v1/admin"
FREE = frozenset({"transaction_id", "block_label", "mcp_tool_name"})
"""Names in paths that mean something only within what stands before them, or that somebody outside chooses."""
WORDS = frozenset({"message", "deployment_id", "project_id"})
"""Fields that are called like a kind of thing and hold words, or that somebody outside chooses."""
EMPTY = frozenset({f"{method} /v1/_internal_templates/deployment/{{deployment_id}}" for method in ("GET", "DELETE")})
"""Operations that say of a thing that is not there what they say of one that has nothing."""
SEARCHED = frozenset({"query", "query_text", "search", "name", "label", "label_search", "value_search", "tags"})
MCP_SERVER = "/v1/mcp-servers/{mcp_server_id}"
TEMPLATE_FILES = {
    ("PATCH", "/v1/templates/{template_name}"),
    ("PUT", "/v1/templates/{project_id}/{template_name}/agent-file"),
}
MCP_CONFIG = {"config": {"mcp_server_type": "sse", "server_url": "https://example.org"}}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two(tmp_path_factory.mktemp("tenants") / "home") as opened:
        yield opened


def nobodys(known: str) -> str:
    """An id of the same kind that nothing has."""
    if known.isdecimal():
        return "999999999"
    return ID.sub(lambda found: found[0][:-36] + DEAD, known) if ID.search(known) else "nobody"


def same(text: str, asked: Two) -> str:
    """An answer without the ids that were asked for."""
    for known in asked.ids[0].values():
        text = re.sub(rf"\b{re.escape(known)}\b", nobodys(known), text)
    return text


class Attempts:
    """What the second organisation tries, and what comes of it that must not."""

    def __init__(self, asked: Two) -> None:
        self.asked = asked
        self.faults: list[str] = []
        self.refused: set[str] = set()
        """The operations that said there is no such thing."""

    def send(self, method: str, where: str, ids: dict[str, str], described: Schema, **options: Any) -> httpx.Response:
        """One request, with the smallest body that fits unless there is one."""
        wanted = DOCUMENT.body(described)
        if wanted is not None and "json" not in options:
            kind, schema = wanted
            if kind.startswith("multipart"):
                options["files"] = {"file": ("notes.md", b"# Notes\n")}
            elif kind == "application/json":
                options["json"] = self._body(method, where, schema)
        needed = {
            each["name"]: DOCUMENT.smallest(each["schema"])
            for each in described.get("parameters", [])
            if each["in"] == "query" and each.get("required")
        }
        options["params"] = needed | options.get("params", {})
        http = self.asked.second.http
        answer = http.request(method, filled(where, ids), **options)
        if answer.status_code == 409 and "run_id" in answer.json():  # an earlier attempt is at work in the background
            http.post(f"/v1/runs/{answer.json()['run_id']}/stream", json={})
            answer = http.request(method, filled(where, ids), **options)
        return answer

    def _body(self, method: str, where: str, schema: Schema) -> object:
        if where == MCP_SERVER:
            return MCP_CONFIG
        if "/tools/approval/" in where:
            return {"requires_approval": True}
        if where.endswith("/messages/{message_id}"):
            return {"message_type": "user_message", "content": "x"}
        if (method, where) in TEMPLATE_FILES:
            path = f"/v1/agents/{self.asked.ids[1]['agent_id']}/export"
            return {"agent_file_json": self.asked.second.call("GET", path)}
        return DOCUMENT.smallest(schema)

    def compare(self, what: str, foreign: httpx.Response, control: httpx.Response) -> None:
        """Take note if an answer shows anything, or is not what would be said of a thing that is not there."""
        if foreign.status_code == 404:
            self.refused.add(what.partition(" with ")[0])
        if (foreign.status_code, same(foreign.text, self.asked)) != (
            control.status_code,
            same(control.text, self.asked),
        ):
            self.faults.append(
                f"{what}: {foreign.status_code} {foreign.text[:300]}\n"
                f"  of nothing: {control.status_code} {control.text[:300]}"
            )
        self.look(what, foreign)

    def look(self, what: str, answer: httpx.Response) -> None:
        """Take note if an answer shows anything that the request did not name."""
        sent = str(answer.request.url) + answer.request.read().decode("utf-8", "replace")
        shown = {found for found in ID.findall(answer.text) if found in self.asked.owned and found not in sent}
        if shown or (MARK in answer.text and MARK not in sent):
            self.faults.append(f"{what}: shows {shown} {answer.text[:500]}")
        if answer.status_code >= 500:
            self.faults.append(f"{what}: {answer.status_code} {answer.text[:300]}")


def filled(path: str, ids: dict[str, str]) -> str:
    return PLACE.sub(lambda found: ids.get(found[1], "x"), path)


def test_ids_of_others_in_paths_are_as_if_they_were_not_there(asked: Two) -> None:
    attempts, unknown, silent = Attempts(asked), set[str](), set[str]()
    theirs, mine = asked.ids
    for method, path, described in DOCUMENT.operations():
        places = [place for place in PLACE.findall(path) if place not in FREE]
        if not places or path.startswith(OPERATORS):
            continue
        unknown |= {place for place in places if place not in theirs}
        nothing = {place: nobodys(known) for place, known in theirs.items()}
        for foreign in [places, *([place] for place in places if len(places) > 1)]:
            ids = mine | {place: theirs.get(place, "x") for place in foreign}
            control = mine | {place: nothing.get(place, "x") for place in foreign}
            what = f"{method} {path} with their {', '.join(foreign)}"
            answer = attempts.send(method, path, ids, described)
            attempts.compare(what, answer, attempts.send(method, path, control, described))
        if f"{method} {path}" not in attempts.refused | EMPTY:
            silent.add(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    assert unknown == set(), "make one of these in tests/wire/tenants.py"
    assert silent == set(), "requests that were refused for another reason show nothing"
    assert not attempts.faults, "\n".join(attempts.faults)
    assert asked.rows(0) == asked.before


def test_ids_of_others_in_bodies_and_queries_are_as_if_they_were_not_there(asked: Two) -> None:
    attempts = Attempts(asked)
    theirs, mine = asked.ids
    kinds = {place.removesuffix("_id"): known for place, known in theirs.items() if place.endswith("_id")}
    count = 0
    for method, path, described in DOCUMENT.operations():
        if path.startswith(OPERATORS):
            continue
        wanted = DOCUMENT.body(described)
        ways = [] if wanted is None or wanted[0] != "application/json" else list(DOCUMENT.fields(wanted[1]))
        for way in ways:
            known = kinds.get(re.sub(r"_ids?$", "", way[-1]).removeprefix("manager_").removeprefix("shared_"))
            if way[-1] == "model" and len(way) == 1:
                known = theirs["agent_id"]
            if known is None or wanted is None or way[-1] in WORDS:
                continue
            count += 1
            bodies = [DOCUMENT.smallest(wanted[1], way, value) for value in (known, nobodys(known))]
            answers = [attempts.send(method, path, mine, described, json=body) for body in bodies]
            what = f"{method} {path} with {'.'.join(way)}"
            if answers[0].is_success and answers[1].is_success:
                attempts.look(what, answers[0])
            else:
                attempts.compare(what, *answers)
                if answers[0].status_code == 422:
                    attempts.faults.append(
                        f"{what}: refused for another reason, which shows nothing: {answers[0].text}"
                    )
        for name in [each["name"] for each in described.get("parameters", []) if each["in"] == "query"]:
            searched = method == "GET" and name in SEARCHED
            known = kinds.get(re.sub(r"(_ids?|Id)$", "", name)) or (MARK if searched else None)
            for cursor in ("after", "before") if known is None and name == "after" else (name,):
                values = [known] if known else [each for each in theirs.values() if ID.fullmatch(each)]
                for value in values if known or name == "after" else ():
                    count += 1
                    answer = attempts.send(method, path, mine, described, params={cursor: value})
                    attempts.look(f"{method} {path} with {cursor}", answer)
    assert count > 2_000
    assert not attempts.faults, "\n".join(attempts.faults)
    assert asked.rows(0) == asked.before
    shown = [
        f"{table} has {sorted(foreign)}: {row}"
        for table, rows in asked.rows(1).items()
        for row in rows
        if (foreign := asked.owned.intersection(ID.findall(row)))
    ]
    assert not shown, "\n".join(shown)


def test_repositories_of_others_are_as_if_they_were_not_there(asked: Two) -> None:
    attempts = Attempts(asked)
    theirs, mine = asked.ids
    for method, path in REPOSITORIES:
        for query, body in GIT_REQUESTS[path.rpartition("/")[2]]:
            nothing = nobodys(theirs["agent_id"])
            answers = [
                asked.second.http.request(method, f"{path.format(agent_id=agent_id)}{query}", content=body)
                for agent_id in (theirs["agent_id"], nothing, mine["agent_id"])
            ]
            attempts.compare(f"{method} {path}{query}", answers[0], answers[1])
            assert [answer.status_code for answer in answers] == [404, 404, 200], f"{method} {path}{query}"
    assert not attempts.faults, "\n".join(attempts.faults)
    assert asked.rows(0) == asked.before


def test_lists_and_searches_show_nothing_of_others(asked: Two) -> None:
    attempts = Attempts(asked)
    for method, path, described in DOCUMENT.operations():
        mine = asked.ids[1]
        if method == "GET":
            attempts.look(f"GET {path}", attempts.send(method, path, mine, described))
        wanted = DOCUMENT.body(described) if "search" in path else None
        for way in DOCUMENT.fields(wanted[1]) if wanted is not None else ():
            if way[-1] in SEARCHED:
                body = DOCUMENT.smallest(wanted[1], way, MARK) if wanted else None
                attempts.look(f"{method} {path}", attempts.send(method, path, mine, described, json=body))
    assert not attempts.faults, "\n".join(attempts.faults)
    assert asked.rows(0) == asked.before
