"""Request bodies: bounded in size and depth, strict JSON, and free of what a database cannot hold."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, HTTPException, params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loci.api.auth import refuse
from loci.api.shapes import ErrorShape, InvalidShape
from loci.errors import TooLarge

DEPTH_MAX = 100
"""Levels of nesting in a JSON body."""


class JsonRequest(Request):
    """A request whose JSON is read strictly: RFC 8259, no NaN, no lone surrogates, no NUL, bounded depth."""

    async def json(self) -> Any:  # noqa: ANN401  the base class says so
        """The body as JSON. Raises HTTPException, the one error that FastAPI lets through from here."""
        return read_json(await self.body())


def read_json(raw: bytes, what: str = "The body") -> Any:  # noqa: ANN401  any JSON
    """Bytes as JSON. Raises HTTPException."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid_body(f"{what} is not valid JSON: {error}") from error
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _depth_over(value, DEPTH_MAX):
        raise invalid_body(f"{what} is nested more than {DEPTH_MAX} levels deep.")
    if b"\\u0000" in raw and _has_nul(value):
        raise invalid_body(f"{what} has a NUL character (\\u0000), which cannot be stored.")
    return value


def invalid_body(message: str) -> HTTPException:
    """A body that cannot be read."""
    return HTTPException(422, message)


class JsonRoute(APIRoute):
    """A route that reads its body with `JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given our kind of request."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await inner(JsonRequest(request.scope, request.receive))

        return handle


def new_router(tag: str, dependencies: Sequence[params.Depends] = ()) -> APIRouter:
    """A router for routes under /v1. Paths are written without a slash at the end (see `server.Slashes`)."""
    refusals: dict[int | str, dict[str, Any]] = {422: {"model": InvalidShape}, "4XX": {"model": ErrorShape}}
    return APIRouter(
        prefix="/v1", tags=[tag], route_class=JsonRoute, responses=refusals, dependencies=list(dependencies)
    )


def _depth_over(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        below: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                below.extend(item.values())  # pyright: ignore[reportUnknownArgumentType]  any JSON
            elif isinstance(item, list):
                below.extend(item)  # pyright: ignore[reportUnknownArgumentType]  any JSON
        if not below:
            return False
        layer = below
    return True


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  any JSON
    return isinstance(value, list) and any(map(_has_nul, value))  # pyright: ignore[reportUnknownArgumentType]  any JSON


class BodyLimit:
    """Middleware: a body may have at most so many bytes, whether it says its length or not."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._limit_bytes:
            words = f"The body is larger than {self._limit_bytes} bytes, the most this server takes."
            await refuse(send, TooLarge(words))
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                raise HTTPException(
                    413, f"The body is larger than {self._limit_bytes} bytes, the most this server takes."
                )
            return message

        await self._app(scope, counted, send)
