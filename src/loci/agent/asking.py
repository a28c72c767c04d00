"""Asking a model one thing, outside of any conversation: nothing is stored and no tool is offered."""

from dataclasses import dataclass

from loci.agent.turn import Kit
from loci.errors import ModelFailure, NotAvailable
from loci.ids import new_id
from loci.model.base import Failed, Finished, ModelRequest
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.messages import Message, Role, Text
from loci.types.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model said, which model it was, and what it used up."""

    text: str
    handle: str
    usage: Usage


async def ask(
    kit: Kit,
    actor: Actor,
    words: str,
    *,
    system: str,
    handle: str | None = None,
    response_format: JsonObject | None = None,
) -> Answer:
    """Ask the model of that handle, or the default one. Raises ModelFailure, NotFound, NotAvailable without a model."""
    chosen = handle or kit.models.default_model
    if chosen is None:
        raise NotAvailable("There is no model to ask.", hint="Set LOCI_MODEL.")
    model = await kit.models.model(actor, chosen)
    question = Message(
        id=new_id("message"),
        role=Role.USER,
        parts=(Text(words),),
        created_at=kit.clock.now(),
        agent_id="",
        conversation_id="",
    )
    request = ModelRequest(system=system, messages=[question], response_format=response_format)
    async for event in model.stream(request):
        match event:
            case Failed():
                raise ModelFailure(event.fault, event.message, detail=event.detail)
            case Finished():
                text = "".join(part.text for part in event.parts if isinstance(part, Text))
                return Answer(text=text, handle=chosen, usage=event.usage)
            case _:
                pass
    return Answer(text="", handle=chosen, usage=Usage())
