"""The tools that come with the server, kept in the database beside everybody else's."""

from collections.abc import Mapping
from datetime import datetime

from loci.ids import new_id
from loci.store import tools
from loci.store.base import Transaction
from loci.tools.base import BuiltinTool
from loci.types.actor import Actor
from loci.types.memory import Author
from loci.types.tools import Tool


def ensure_builtins(
    tx: Transaction, actor: Actor, author: Author, builtins: Mapping[str, BuiltinTool], now: datetime
) -> None:
    """Store the built-in tools of this version, new or changed; a person's own tool of the same name is left alone."""
    known = tools.by_names(tx, actor, list(builtins))
    for name, builtin in builtins.items():
        stored = known.get(name)
        if stored is not None and not stored.is_builtin:
            continue
        wanted = _builtin_row(name, builtin, stored)
        if stored is None:
            tools.insert(tx, actor, author, wanted, now)
        elif (stored.json_schema, stored.tool_type, stored.tags) != (wanted.json_schema, wanted.tool_type, wanted.tags):
            tools.update(tx, actor, author, wanted, now)


def _builtin_row(name: str, builtin: BuiltinTool, stored: Tool | None) -> Tool:
    schema = builtin.schema
    return Tool(
        id=stored.id if stored else new_id("tool"),
        name=name,
        tool_type=builtin.tool_type,
        description=schema.description,
        json_schema={"name": name, "description": schema.description, "parameters": schema.parameters},
        tags=builtin.tags or (builtin.tool_type.value,),
        return_limit_chars=builtin.return_limit_chars,
        created_at=stored.created_at if stored else None,
    )
