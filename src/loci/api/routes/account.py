"""Who is asking, for clients that show it. Nothing costs money here, and nobody gathers what clients would report."""

from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor
from loci.api.shapes_apart import AccountShape, BalanceShape, StatusShape, SuccessShape
from loci.api.wire_messages import WireObject
from loci.types.actor import DEFAULT_PROJECT

router = new_router("account")

TIER = "self-hosted"


@router.get("/metadata/user", response_model=AccountShape)
async def retrieve_account(actor: Actor) -> Response:
    """The user that the key of the request belongs to."""
    account: WireObject = {
        "id": actor.user_id,
        "email": "",
        "name": actor.user_id,
        "organization_name": actor.organization_id,
        "organization_id": actor.organization_id,
        "current_project_name": None if actor.project_id else "Default",
        "current_project_id": actor.project_id or DEFAULT_PROJECT,
        "billing_tier": TIER,
        "remaining_credits": 0,
    }
    return json_answer(account)


@router.get("/metadata/status", response_model=StatusShape)
async def retrieve_status(actor: Actor) -> Response:
    """The project that the key of the request belongs to."""
    return json_answer({"current_project_id": actor.project_id or DEFAULT_PROJECT})


@router.get("/metadata/balance", response_model=BalanceShape)
async def retrieve_balance() -> Response:
    """No money: this server sells nothing. What models cost is between you and their providers."""
    nothing: WireObject = dict.fromkeys(("total_balance", "monthly_credit_balance", "purchased_credit_balance"), 0)
    return json_answer(nothing | {"billing_tier": TIER})


@router.post("/metadata/feedback", response_model=SuccessShape)
@router.post("/metadata/telemetry", response_model=SuccessShape)
async def report() -> Response:
    """Not taken: what clients report about their users is neither kept nor sent on, and the answer says so."""
    return json_answer({"success": False})
