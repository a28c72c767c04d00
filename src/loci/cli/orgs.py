"""`loci orgs`: those who share a server and see nothing of each other."""

from typing import Annotated

import typer
from letta_client import Letta

from loci.cli import screen
from loci.cli.connect import connected
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.errors import BadRequest, NotFound
from loci.types.json import JsonObject

app = commands("List and create organisations: those who share a server and see nothing of each other.")

PAGE_ROWS = 100


@app.command("list")
def list_organizations(json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None) -> None:
    """
    List organisations, the oldest first. The first is the operator's own.

    Example:
      loci orgs list
    """
    with connected(server, api_key) as connection:
        found = everything(connection.client, "/v1/admin/orgs/")
    if json:
        screen.emit(found)
    else:
        screen.show_table(
            ("NAME", "CREATED", "ID"), [(str(o["name"]), day(o["created_at"]), str(o["id"])) for o in found]
        )


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    *,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Create an organisation. A key of it is the way in.

    Examples:
      loci orgs create acme
      loci keys create laptop --org acme
    """
    with connected(server, api_key) as connection:
        made = connection.client.post("/v1/admin/orgs/", cast_to=dict[str, object], body={"name": name})
    if json:
        screen.emit(made)
    else:
        print(made["id"])
        screen.note(f"'{name}' has no keys yet. Make one: loci keys create KEY-NAME --org {name}")


def everything(client: Letta, path: str, **query: object) -> list[JsonObject]:
    """All of a list that has pages."""
    found: list[JsonObject] = []
    while True:
        after = {"after": found[-1]["id"]} if found else {}
        params: dict[str, object] = {"limit": PAGE_ROWS, **query, **after}
        page = client.get(path, cast_to=list[JsonObject], options={"params": params})
        found += page
        if len(page) < PAGE_ROWS:
            return found


def organization_id(client: Letta, name: str) -> str:
    """The id of the organisation with this name; an id is taken as it is. Raises NotFound and BadRequest."""
    if name.startswith("org-"):
        return name
    found = everything(client, "/v1/admin/orgs/", name=name)
    if not found:
        raise NotFound(f"There is no organisation '{name}'.", hint="`loci orgs list` shows them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} organisations are called '{name}'.", hint="Name one by its id.")
    return str(found[0]["id"])


def day(moment: object) -> str:
    """A time as people read it."""
    return str(moment or "")[:10]
