"""Who somebody is by a key, and limited keys for what runs at the client's side."""

import hmac
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from loci.api import keyring
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import INTEGER_MAX, UUID, Moment
from loci.api.requests_agents import Body
from loci.api.shapes_admin import TokenShape, TokensShape, WhoShape
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import BadRequest
from loci.net import site_of
from loci.store import agents, keys
from loci.store.base import Transaction
from loci.store.keys import KeyFilter
from loci.types import actor as actors
from loci.types.keys import Access, ApiKey, Grant
from loci.types.paging import PAGE_MAX_ROWS, Page

router = new_router("access")

DEFAULT_LIFE = timedelta(minutes=5)
LAPSED_KEPT = timedelta(days=1)
GRANTS_MAX = 100
TOKEN_MAX_CHARS = 200
DEFAULT_TOKENS = 10

Token = Annotated[str, Path(max_length=TOKEN_MAX_CHARS, description="The token, or its id.")]
Count = Annotated[float, Query(ge=0, le=INTEGER_MAX, allow_inf_nan=False)]
AgentQuery = Annotated[str | None, Query(alias="agentId", pattern=f"^agent-{UUID}$")]


class WhoIn(Body):
    """A key to be looked at; without one, that of the request."""

    password: Annotated[str, Field(max_length=TOKEN_MAX_CHARS)] | None = None


class GrantIn(Body):
    """What a token may do with one agent."""

    type: Literal["agent"]
    id: Annotated[str, Field(pattern=f"^agent-{UUID}$")]
    access: Annotated[list[Access], Field(max_length=GRANTS_MAX)]


class TokenIn(Body):
    """A token to be there."""

    hostname: Annotated[str, Field(max_length=2_000)]
    policy: Annotated[list[GrantIn], Field(max_length=GRANTS_MAX)]
    expires_at: Moment | None = None


def wire_token(key: ApiKey, text: str | None = None) -> WireObject:
    """A limited key as the wire has it; later than in its first answer its id stands for it."""
    data = [{"type": "agent", "id": grant.agent_id, "access": list(grant.access)} for grant in key.grants or ()]
    return {
        "token": text or key.id,
        "hostname": key.hostname or "",
        "policy": {"version": "1", "data": data},
        "expiresAt": wire_moment(key.expires_at),
    }


@router.post("/auth", response_model=WhoShape)
async def authenticate(body: WhoIn, request: Request, services: Services, actor: Actor) -> Response:
    """Tell whose key it is. That changes nothing: each request says by its own key who asks."""
    who, is_operator = actor, bool(request.state.is_operator)
    if body.password is not None:
        given, operators = body.password.encode(), services.settings.api_key
        is_operator = operators is not None and hmac.compare_digest(given, operators.encode())
        who = actors.Actor() if is_operator else keyring.actor_of(await services.keyring.key_of(given))
    return json_answer({"uuid": who.user_id.removeprefix("user-"), "is_admin": is_operator})


@router.post("/client-side-access-tokens", status_code=201, response_model=TokenShape)
async def create_token(body: TokenIn, request: Request, services: Services, actor: Actor) -> Response:
    """Make a token for a program that many can look into, such as a page: good for these agents and that access only.

    The answer is the only one that holds it. Without `expires_at` it is good for five minutes, and never for longer
    than the key that makes it.
    """
    now = services.clock.now()
    if site_of(body.hostname) is None:
        raise BadRequest(f"'{body.hostname}' is no address of a site.", hint="Write it as https://app.example.org.")
    expires_at = body.expires_at or now + DEFAULT_LIFE
    if expires_at <= now:
        raise BadRequest("expires_at is in the past.")
    until: datetime | None = request.state.until
    wanted = ApiKey(
        id="",
        organization_id=actor.organization_id,
        user_id=actor.user_id,
        name=body.hostname,
        begins="",
        hostname=body.hostname,
        grants=tuple(Grant(agent_id=grant.id, access=tuple(grant.access)) for grant in body.policy),
        expires_at=expires_at if until is None else min(expires_at, until),
    )

    def make(tx: Transaction) -> tuple[ApiKey, str]:
        keys.purge_limited(tx, now - LAPSED_KEPT)
        for grant in body.policy:
            agents.get(tx, actor, grant.id)
        return services.keyring.make(tx, wanted)

    key, text = await services.store.write(make)
    return json_answer(wire_token(key, text), 201)


@router.get("/client-side-access-tokens", response_model=TokensShape)
async def list_tokens(
    services: Services, actor: Actor, agent_id: AgentQuery = None, offset: Count = 0, limit: Count = DEFAULT_TOKENS
) -> Response:
    """Tokens that are good now, oldest first. `token` is the id of each: what can be used was shown once."""
    rows = max(1, min(int(limit), PAGE_MAX_ROWS - 1))
    chosen = KeyFilter(
        organization_id=actor.organization_id, limited=True, agent_id=agent_id, valid_at=services.clock.now()
    )
    found = await services.store.read(keys.listing, chosen, Page(limit_rows=rows + 1), skipped_rows=int(offset))
    return json_answer({"tokens": [wire_token(key) for key in found[:rows]], "hasNextPage": len(found) > rows})


@router.delete("/client-side-access-tokens/{token}")
async def delete_token(token: Token, services: Services, actor: Actor) -> Response:
    """Make a token worth nothing, at once."""
    await services.store.write(keys.delete_limited, actor, token, keyring.hash_of(token.encode()))
    services.keyring.forget()
    return json_answer(None)
