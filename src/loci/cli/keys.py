"""`loci keys`: make, list and revoke the keys by which users are known."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from letta_client import Letta

from loci.cli import screen
from loci.cli.connect import connected
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.cli.orgs import day, everything, organization_id
from loci.errors import BadRequest, NotFound
from loci.types.json import JsonObject

app = commands("Create, list and revoke keys: each belongs to a user, and opens what the user's organisation has.")

FIRST = "default"
OrgOption = Annotated[str, typer.Option("--org", metavar="ORG", help="Name or id of an organisation.")]


@app.command("list")
def list_keys(
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Only those of this organisation.")] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    List keys, the oldest first. Of each only the beginning is known.

    Examples:
      loci keys list
      loci keys list --org acme --json | jq -r '.[].last_used_at'
    """
    with connected(server, api_key) as connection:
        query = {} if org is None else {"org_id": organization_id(connection.client, org)}
        found = everything(connection.client, "/v1/admin/keys", **query)
        orgs = [] if json or not found else everything(connection.client, "/v1/admin/orgs/")
    if json:
        screen.emit(found)
    elif not found:
        screen.note("No keys yet. `loci keys create NAME` makes one.")
    else:
        names = {str(each["id"]): str(each["name"]) for each in orgs}
        screen.show_table(("NAME", "ORG", "BEGINS", "LAST USED", "STATE", "ID"), [_row(key, names) for key in found])


def _row(key: JsonObject, names: dict[str, str]) -> tuple[str, ...]:
    state = f"revoked {day(key['revoked_at'])}" if key["revoked_at"] else ""
    if not state and key["expires_at"]:
        expired = datetime.fromisoformat(str(key["expires_at"])) <= datetime.now(UTC)
        state = f"{'expired' if expired else 'until'} {day(key['expires_at'])}"
    org = names.get(str(key["organization_id"]), "")
    used = day(key["last_used_at"]) or "never"
    return str(key["name"]), org, f"{key['begins']}…", used, state, str(key["id"])


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: who or what will use it.")],
    *,
    org: OrgOption = FIRST,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Whose it is; the organisation's first user.")] = None,
    days: Annotated[int | None, typer.Option(help="For how long it is good; for ever if left out.", min=1)] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Create a key and write it, once. The server keeps no key, only what tells one from another.

    Examples:
      loci keys create laptop --org acme
      loci keys create ci --org acme --days 90
      export LETTA_API_KEY=$(loci keys create notebook)
    """
    body: dict[str, object] = {"name": name, "user_id": user}
    if days is not None:
        try:
            body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        except OverflowError as error:
            raise BadRequest(f"{days} days from now there is no date.") from error
    with connected(server, api_key) as connection:
        body["organization_id"] = organization_id(connection.client, org)
        made = connection.client.post("/v1/admin/keys", cast_to=dict[str, object], body=body)
    if json:
        screen.emit(made)
    else:
        print(made["key"])
        screen.note("Keep it: it is not shown again. Clients send it as 'Authorization: Bearer …'.")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, its name, or how it begins.")],
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Make a key worth nothing, at once.

    Example:
      loci keys revoke laptop
    """
    with connected(server, api_key) as connection:
        found = _key_called(connection.client, key)
        revoked = connection.client.delete(f"/v1/admin/keys/{found['id']}", cast_to=dict[str, object])
    if json:
        screen.emit(revoked)
    else:
        screen.note(f"'{found['name']}' ({found['begins']}…) is revoked.")


def _key_called(client: Letta, key: str) -> JsonObject:
    keys = [each for each in everything(client, "/v1/admin/keys") if not each["revoked_at"]]
    # The whole key is taken too: who has lost it may have it at hand.
    found = [each for each in keys if key in (each["id"], each["name"]) or key.startswith(str(each["begins"]))]
    if not found:
        raise NotFound(f"There is no key '{key}' that is good.", hint="`loci keys list` shows them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} keys fit '{key}'.", hint="Name one by its id.")
    return found[0]
