"""The memory of an agent as a git repository, over git's smart HTTP: clone, fetch and push by any git."""

import re
from typing import Annotated, Literal

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.git_wire import announced, inflated, read_push, refs_for_push, report
from loci.api.parameters import AgentId
from loci.errors import BadRequest
from loci.memfs.git import GitFailed
from loci.memfs.objects import BRANCH
from loci.memfs.pushing import ACCEPT_LOSS, PushRefused
from loci.memfs.repository import Push
from loci.store import agents
from loci.types import actor as actors

router = new_router("git")
PATH = "/git/{agent_id}/state.git"
SAID_MAX_LINES = 50

_WANTS_MAX_BYTES = 5_000_000
_UPLOAD = ("upload-pack", "--stateless-rpc", "--strict", "--timeout=60")
_PROTOCOL = re.compile(r"version=[0-2]")
_FRESH = {"cache-control": "no-cache, max-age=0, must-revalidate"}

Protocol = Annotated[str | None, Header(alias="git-protocol")]
Service = Literal["git-upload-pack", "git-receive-pack"]


@router.get(f"{PATH}/info/refs", include_in_schema=False)
async def read_refs(
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    service: Annotated[Service, Query()],
    git_protocol: Protocol = None,
) -> Response:
    """Where the branch ends, for who wants to fetch it or to push to it."""
    async with services.memfs.opened(actor, agent_id) as branch:
        if service == "git-receive-pack":
            body = refs_for_push(branch.stretch.head)
        else:
            git = branch.git.among(_protocol(git_protocol))
            refs = await git.run(*_UPLOAD, "--advertise-refs", ".")
            body = refs if b"version 2" in refs[:20] else announced(service) + refs
    return Response(body, media_type=f"application/x-{service}-advertisement", headers=_FRESH)


@router.post(f"{PATH}/git-upload-pack", include_in_schema=False)
async def fetch_pack(
    agent_id: AgentId, request: Request, services: Services, actor: Actor, git_protocol: Protocol = None
) -> Response:
    """What a clone, fetch or pull lacks."""
    body = await _body(request, _WANTS_MAX_BYTES)
    async with services.memfs.opened(actor, agent_id) as branch:
        try:
            answer = await branch.git.among(_protocol(git_protocol)).run(*_UPLOAD, ".", data=body)
        except GitFailed as error:
            raise BadRequest(f"This cannot be fetched: {error.message}") from error
    return Response(answer, media_type="application/x-git-upload-pack-result", headers=_FRESH)


@router.post(f"{PATH}/git-receive-pack", include_in_schema=False)
async def push_pack(agent_id: AgentId, request: Request, services: Services, actor: Actor) -> Response:
    """A push: one ChangeSet, or nothing. Why it was refused stands in the answer, as git shows it."""
    await services.store.read(agents.get, actor, agent_id)
    asked = read_push(await _body(request, services.settings.body_limit_bytes))
    results: list[tuple[str, str | None]] = []
    said: list[str] = []
    for ref, old, new in asked.commands:
        fault = f"only {BRANCH} is kept here, and never deleted"
        if ref == BRANCH and new.strip("0"):
            push = Push(old=old, new=new, pack=asked.pack, loss_accepted=ACCEPT_LOSS in asked.options)
            fault, lines = await _push(services, actor, agent_id, push)
            said += lines
        results.append((ref, fault))
    answer = report(asked, results, [f"loci: {line}" for line in said[:SAID_MAX_LINES]]) if results else b""
    return Response(answer, media_type="application/x-git-receive-pack-result", headers=_FRESH)


async def _push(core: Core, actor: actors.Actor, agent_id: str, push: Push) -> tuple[str | None, list[str]]:
    """Why the branch does not move, if it does not, and what to tell."""
    try:
        async with core.memfs.opened(actor, agent_id) as branch:
            change_id = await core.memfs.push(actor, author_of(actor), agent_id, branch, push)
    except PushRefused as refused:
        return refused.word, list(refused.lines)
    return None, [f"memory changed: {change_id}" if change_id else "kept; no block changed"]


def _protocol(asked: str | None) -> dict[str, str]:
    return {"GIT_PROTOCOL": asked} if asked is not None and _PROTOCOL.fullmatch(asked) else {}


async def _body(request: Request, limit_bytes: int) -> bytes:
    body = await request.body()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding in ("gzip", "x-gzip"):
        return inflated(body, limit_bytes)
    if encoding != "identity":
        raise BadRequest(f"The content encoding '{encoding[:30]}' is not known.")
    return body
