"""Two organisations on one server: the first has one of everything, the second tries to get at it."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import apsw

from tests.fuzz.room import furnish
from tests.wire import makers
from tests.wire.world import World, look_at, open_world

MARK = "zyzzyva"
"""A word that only the first organisation uses."""
ID = re.compile(r"[a-z_]+-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
SETTLED_TRIES = 10
SHARED = frozenset({"organizations", "api_keys"})
"""Tables that the operator's requests of the test write to."""


class Marked(World):
    """A world whose things can be told from those of others."""

    def name(self, kind: str) -> str:
        return f"{MARK}-{super().name(kind)}"


@dataclass(frozen=True, slots=True)
class Two:
    """`ids` are those of what each has, by the name of the place in a path; `owned` are all of the first."""

    database: Path
    first: World
    second: World
    organizations: tuple[str, str]
    ids: tuple[dict[str, str], dict[str, str]]
    owned: frozenset[str] = frozenset()
    before: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """All that the first has, before anything is tried."""

    def rows(self, number: int) -> dict[str, list[str]]:
        """All that an organisation has, by table."""
        with closing(apsw.Connection(str(self.database))) as connection:
            tables = [row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")]
            return {table: found for table in tables if (found := self._of(connection, table, number))}

    def _of(self, connection: apsw.Connection, table: str, number: int) -> list[str]:
        columns = [row[1] for row in connection.execute(f"select * from pragma_table_info('{table}')")]
        if "organization_id" not in columns or table in SHARED:
            return []
        sql = f"select * from {table} where organization_id = ?"
        found = connection.execute(sql, (self.organizations[number],))
        return sorted(repr(dict(zip(columns, row, strict=True))) for row in found)


@contextmanager
def two(folder: Path) -> Iterator[Two]:
    """Start a server with both."""
    with open_world(folder) as operator, ExitStack() as opened:
        orgs, keys = zip(*[_organization(operator, name) for name in ("first", "second")], strict=True)
        plain = look_at(operator.process, operator.provider_url, keys[0])
        first = Marked(plain.process, plain.provider_url, plain.sdk, plain.http)
        second = look_at(operator.process, operator.provider_url, keys[1])
        for world in (first, second):
            opened.callback(world.http.close)
            opened.callback(world.sdk.close)
        ids = (furnish(first).ids | _more(first), furnish(second).ids | _more(second))
        asked = Two(folder / "loci.db", first, second, (orgs[0], orgs[1]), ids)
        rows = _settled(operator, asked)
        owned = frozenset(ID.findall(json.dumps(rows))) - frozenset(ID.findall(json.dumps(asked.rows(1))))
        yield replace(asked, owned=owned - frozenset(orgs), before=rows)


def _settled(operator: World, asked: Two) -> dict[str, list[str]]:
    """What the first has when what goes on in the background has come to its end."""
    agent_id, before = operator.agent().id, asked.rows(0)
    for _ in range(SETTLED_TRIES):
        operator.turn(agent_id, "@wait 3\n@say Hello.")  # longer than it takes until the messages of a run are indexed
        now = asked.rows(0)
        if now == before:
            return now
        before = now
    raise AssertionError("the first organisation does not come to rest")


def _organization(operator: World, name: str) -> tuple[str, str]:
    made = operator.call("POST", "/v1/admin/orgs/", {"name": name, "privileged_tools": True})["id"]
    return made, operator.call("POST", "/v1/admin/keys", {"name": name, "organization_id": made})["key"]


def _more(world: World) -> dict[str, str]:
    """What the fuzzer's room has none of."""
    word = MARK if isinstance(world, Marked) else "stone"
    agent_id, folder_id, file_id = makers.with_file(world)
    world.sdk.agents.blocks.update("human", agent_id=agent_id, value=f"The {word} is a beetle.")
    world.sdk.agents.passages.create(agent_id, text=f"A {word} eats roots.")
    world.turn(agent_id, f"@say The {word} flies at night.")
    question = {"agent_id": agent_id, "messages": [{"role": "user", "content": "@say Hello."}]}
    batch = world.call("POST", "/v1/messages/batches", {"requests": [question]})
    config = world.call("POST", "/v1/sandbox-config/local/default")["id"]
    variable = world.call("POST", f"/v1/sandbox-config/{config}/environment-variable", {"key": "CITY", "value": word})
    server_id = makers.mcp_server(world)
    grant = [{"type": "agent", "id": agent_id, "access": ["read_agent"]}]
    token = world.sdk.access_tokens.create(hostname="http://localhost", policy=grant)
    template = makers.template(world)
    project = world.call("POST", "/v1/projects", {"name": world.name("project")})["id"]
    world.call("POST", f"/v1/templates/{project}", {"type": "agent", "agent_id": agent_id, "name": template})
    deployed = world.call("POST", f"/v1/templates/{project}/{template}/agents", {})
    history = world.call("GET", f"/v1/agents/{agent_id}/memory/history")
    return {
        "folder_id": folder_id,
        "source_id": folder_id,
        "file_id": file_id,
        "folder_name": world.sdk.folders.retrieve(folder_id).name,
        "batch_id": batch["id"],
        "job_id": world.call("GET", "/v1/jobs/")[0]["id"],
        "sandbox_config_id": config,
        "env_var_id": variable["id"],
        "mcp_server_name": world.sdk.mcp_servers.retrieve(server_id).server_name,
        "mcp_tool_name": "echo",
        "provider_id": makers.provider(world),
        "token": token.token,
        "change_id": str(history[0]["id"]),
        "template_name": template,
        "template_version": f"{template}:1",
        "name": template,
        "project_id": project,
        "deployment_id": deployed["deployment_id"],
        "agent_ids": agent_id,
    }
