"""Groups of agents in the JSON of the Letta V1 API, whose names our own value has, and what is said to them."""

from dataclasses import asdict, replace

from loci.agent.request import RunRequest
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import SendIn, run_request
from loci.types.actor import DEFAULT_PROJECT
from loci.types.groups import Group
from loci.types.json import JsonObject


def wire_group(group: Group) -> WireObject:
    """Group."""
    shown = {name: value for name, value in asdict(group).items() if name != "created_at"}
    return shown | {"project_id": group.project_id or DEFAULT_PROJECT}


def group_request(asked: JsonObject) -> RunRequest:
    """What each speaker of a group is asked. Raises Unprocessable."""
    body = SendIn.model_validate(asked)
    request, _ = run_request(body, tokens=body.streaming is True and body.stream_tokens)
    return replace(request, background=False, callback_url=None)
