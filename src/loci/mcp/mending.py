"""What an MCP server sends, made fit for the SDK, and what a tool gave back as text.

The SDK refuses a whole list of tools for one that is malformed. So the list is mended before the SDK sees it: what can
be used stays, and what was wrong with a schema is left in it, to be reported.
"""

import asyncio
from types import TracebackType
from typing import Any, Self, cast

import anyio
import orjson
from mcp.client._transport import ReadStream
from mcp.shared.message import SessionMessage
from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    JSONRPCResponse,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from loci.mcp.schema import FAULT

_KEPT = ("name", "title", "description", "inputSchema", "annotations", "_meta")
_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


def mended(item: SessionMessage | Exception) -> SessionMessage | Exception:
    """The message, its list of tools mended if it has one."""
    if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCResponse):
        tools = item.message.result.get("tools")
        if isinstance(tools, list):
            item.message.result["tools"] = [tool for raw in cast("list[object]", tools) if (tool := _tool(raw))]
    return item


def _tool(raw: object) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    given = cast("dict[str, Any]", raw)
    name = given.get("name")
    if not isinstance(name, str) or not name:
        return None
    tool = {key: given[key] for key in _KEPT if given.get(key) is not None}
    for key, kind in (("title", str), ("description", str), ("annotations", dict), ("_meta", dict)):
        if key in tool and not isinstance(tool[key], kind):
            del tool[key]
    annotations = cast("dict[str, Any]", tool.get("annotations") or {})
    if annotations:
        tool["annotations"] = {key: annotations[key] for key in _HINTS if isinstance(annotations.get(key), bool)}
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict):
        tool["inputSchema"] = {"type": "object", FAULT: "missing" if schema is None else "no schema"}
    elif cast("dict[str, Any]", schema).get("type") != "object":
        said = cast("dict[str, Any]", schema)
        tool["inputSchema"] = {**said, "type": "object", FAULT: said.get("type", "untyped")}
    return tool


def text_of(result: CallToolResult) -> str:
    """What a tool gave back, as a model reads it. Pictures and sounds are named, not shown."""
    parts = [_part(part) for part in result.content]
    if not any(parts) and result.structured_content is not None:
        return orjson.dumps(result.structured_content).decode()
    return "\n".join(part for part in parts if part)


def _part(part: object) -> str:
    match part:
        case TextContent():
            return part.text
        case ImageContent() | AudioContent():
            return f"[{part.type}, {part.mime_type}, {len(part.data) * 3 // 4} bytes: not shown]"
        case ResourceLink():
            return f"[{part.name}: {part.uri}]"
        case EmbeddedResource():
            resource = part.resource
            return resource.text if isinstance(resource, TextResourceContents) else f"[{resource.uri}: not shown]"
        case _:
            return ""


class Watched:
    """The stream of what a server says: mended on the way, and its end is noticed at once."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], ended: asyncio.Event) -> None:
        self._inner = inner
        self._ended = ended

    @property
    def last_context(self) -> object:
        """What the SDK looks for beside the protocol."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            return mended(await self._inner.receive())
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._ended.set()
            raise

    def __aiter__(self) -> ReadStream[SessionMessage | Exception]:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream as end:
            raise StopAsyncIteration from end

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._inner.aclose()
