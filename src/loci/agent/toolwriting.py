"""Asking a model to write a tool. What it writes is text until somebody stores it: it is parsed, never run here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from loci.agent.asking import ask
from loci.agent.turn import Kit
from loci.errors import BadRequest
from loci.tools.schema import schema_from_source
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.tools import ToolSchema

_SYSTEM = """You write tools for an agent: one Python function each.

Answer with two fenced blocks and a sentence between them. The first, marked python, holds the whole source: imports,
and one function with a type for every argument and a docstring in Google style that describes each argument under
'Args:'. The second, marked json, holds an object of arguments for a first try. Return text or JSON; use the standard
library unless told otherwise."""
_BLOCK = re.compile(r"```(\w*)[^\n]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the tool shall do, and what was wrong with an earlier attempt."""

    name: str
    prompt: str
    starter_code: str | None = None
    faults: Sequence[str] = ()
    handle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the model wrote."""

    source: str
    schema: ToolSchema
    sample_args: JsonObject
    answer: str


async def write_tool(kit: Kit, actor: Actor, wish: Wish) -> Written:
    """Ask for a tool. Raises BadRequest when the answer holds none, ModelFailure, NotFound for an unknown model."""
    answer = (await ask(kit, actor, _words(wish), system=_SYSTEM, handle=wish.handle)).text
    blocks = [(mark.lower(), text) for mark, text in _BLOCK.findall(answer)]
    source = next((text for mark, text in blocks if mark in ("python", "py", "")), None)
    if source is None:
        raise BadRequest("The model wrote no tool.", hint="Say more about what it shall do, or ask another model.")
    return Written(source=source, schema=schema_from_source(source), sample_args=_sample(blocks), answer=answer)


def _words(wish: Wish) -> str:
    parts = [f"Write the tool '{wish.name}'.", wish.prompt]
    if wish.starter_code:
        parts.append(f"Begin with this:\n```python\n{wish.starter_code}\n```")
    if wish.faults:
        parts.append("Mend this:\n" + "\n".join(f"- {fault}" for fault in wish.faults))
    return "\n\n".join(parts)


def _sample(blocks: Sequence[tuple[str, str]]) -> JsonObject:
    for mark, text in blocks:
        if mark == "json":
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict):
                return cast("JsonObject", value)
    return {}
