"""Errors as HTTP, at one place. Two shapes of body, as in the Letta V1 API: `detail`, always a text, and `error`.

Whatever is wrong with a request gets a 4xx that says what and how to mend it. Only faults of our own are a 500, and
what they were stands in the log.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from loci.errors import Busy, GivenUp, LociError, McpFailed, ModelFailure, NotAvailable
from loci.types.json import JsonValue

log = logging.getLogger(__name__)

EXAMPLE_UUID = "123e4567-e89b-42d3-8456-426614174000"
_SHOWN_MAX_CHARS = 200
_HOSTED = re.compile(r"/v1/(feeds|pipelines|environments|sandboxes|device-storage-key|legacy-templates)(/|$)")
"""Families of routes that only the vendor's hosted service had."""


def install(app: FastAPI) -> None:
    """Let the application answer all its errors this way."""
    app.add_exception_handler(LociError, _loci)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


KEPT = {"x-should-retry": "false"}
"""Goes with an error that came after the message was stored. The public SDKs send a request anew after most errors, and
would store it twice and three times; they obey this header.
"""


def error_answer(status: int, body: Mapping[str, JsonValue], headers: Mapping[str, str] | None = None) -> Response:
    """An error as a response."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


async def _loci(_request: Request, error: Exception) -> Response:
    problem = cast("LociError", error)
    if isinstance(problem, ModelFailure):
        fault = {"type": problem.fault.value, "message": problem.message, "detail": problem.detail}
        return error_answer(problem.http_status, {"error": fault})
    if isinstance(problem, McpFailed) and problem.status == 502:
        fault = {"type": "mcp_connection_error", "message": problem.message, "detail": str(problem)}
        return error_answer(problem.status, {"error": fault})
    body: dict[str, Any] = {"detail": str(problem)}
    if isinstance(problem, Busy | GivenUp) and problem.run_id:
        body["run_id"] = problem.run_id
    if isinstance(problem, GivenUp):
        return error_answer(problem.status, body, KEPT)
    if problem.status >= 500 and not isinstance(problem, NotAvailable):
        log.error("%s", problem, exc_info=problem)
    return error_answer(problem.status, body)


async def _invalid(request: Request, error: Exception) -> Response:
    problems = cast("RequestValidationError", error).errors()
    detail = "; ".join(map(_sentence, problems))
    if any(problem["loc"] == ("body",) for problem in problems) and not _is_json(request):
        detail += ". A JSON body needs the header 'Content-Type: application/json'."
    body: dict[str, Any] = {"trace_id": "", "detail": detail}
    path_names = [str(problem["loc"][-1]) for problem in problems if problem["loc"][:1] == ("path",)]
    if path_names:
        kind = path_names[0].removesuffix("_id")
        body["examples"] = [f"{kind}-{EXAMPLE_UUID}"]
    return error_answer(422, body)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _sentence(problem: dict[str, Any]) -> str:
    where = ".".join(str(item) for item in cast("Sequence[str | int]", problem["loc"]))
    given = problem.get("input")
    shown = f" (got {str(given)[:_SHOWN_MAX_CHARS]!r})" if isinstance(given, str | int | float) else ""
    return f"{where}: {str(problem['msg']).removeprefix('Value error, ')}{shown}"


async def _http(request: Request, error: Exception) -> Response:
    problem = cast("HTTPException", error)
    detail, headers = str(problem.detail), dict(problem.headers or {})
    if problem.status_code == 404 and (family := _HOSTED.match(request.url.path)):
        detail = f"Not Found: {family[1]} were a part of the vendor's hosted service and have no counterpart here."
    elif detail in ("Not Found", "Method Not Allowed"):
        prefix = "" if request.url.path.startswith("/v1/") else " The paths of the API begin with /v1."
        here = f"Here is only: {allowed}. " if (allowed := _allowed(request)) else ""
        detail += f". {here}/docs describes the API.{prefix}"
        headers |= {"Allow": allowed} if allowed else {}
    invalid = problem.status_code == 422
    answer = error_answer(problem.status_code, {"trace_id": "", "detail": detail} if invalid else {"detail": detail})
    answer.headers.update(headers)
    return answer


def _allowed(request: Request) -> str:
    """The methods of all routes that have this path: the framework names those of the first."""
    found = [route for route in request.app.routes if isinstance(route, Route)]
    there = [route.methods or set[str]() for route in found if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted(set[str]().union(*there)))


async def _fault(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_answer(500, {"detail": "An unknown error occurred"})
