"""What clients send to have an agent work, and what we make of it.

One flat model for every kind of message: which fields belong together is decided by `type`, or by the fields that are
there when `type` is missing, as the Letta V1 API does. Everything that could later make a history unusable (no content,
pictures that are none) is refused here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from loci.agent.request import ApprovalReply, NewMessage, RunRequest
from loci.api.wire_events import Telling
from loci.api.wire_messages import View
from loci.api.wire_runs import REQUEST_CONFIG
from loci.errors import Unprocessable
from loci.model.pictures import from_base64, from_data_url
from loci.types.json import EMPTY, JsonObject
from loci.types.messages import Image, Part, Reasoning, Role, Text, ToolStatus, Trust
from loci.types.runs import Run
from loci.types.tools import ToolSchema

_CONFIG = {
    "use_assistant_message",
    "assistant_message_tool_name",
    "assistant_message_tool_kwarg",
    "include_return_message_types",
    "include_compaction_messages",
}
"""What has to be known to tell the run again."""
_UNSERVED = {"return_logprobs", "top_logprobs", "return_token_ids", "enable_thinking"}
NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


class _Lenient(BaseModel):
    """Unknown fields are ignored: newer clients send more than we know."""

    model_config = ConfigDict(extra="ignore")


class ContentIn(_Lenient):
    """One part of a message."""

    type: str = "text"
    text: str | None = None
    source: dict[str, Any] | None = None
    reasoning: str | None = None
    signature: str | None = None
    data: str | None = None


Content: TypeAlias = str | list[ContentIn]
MessageType: TypeAlias = Literal[
    "system_message",
    "user_message",
    "assistant_message",
    "reasoning_message",
    "hidden_reasoning_message",
    "tool_call_message",
    "tool_return_message",
    "approval_request_message",
    "approval_response_message",
    "summary_message",
    "event_message",
]
"""What a client can ask to be shown alone."""


class AnswerIn(_Lenient):
    """The answer to one call: a decision, or what the client got by running it."""

    type: Literal["approval", "tool"] | None = None
    tool_call_id: str
    approve: bool | None = None
    reason: str | None = None
    tool_return: Content | None = None
    status: ToolStatus = "success"
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class MessageIn(_Lenient):
    """Something said (`message`), decided (`approval`) or brought back from a client's tool (`tool_return`)."""

    type: Literal["message", "approval", "tool_return"] | None = None
    role: Literal["user", "system", "assistant"] = "user"
    content: Content | None = None
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    approve: bool | None = None
    approval_request_id: str | None = None
    approvals: list[AnswerIn] | None = None
    reason: str | None = None
    tool_returns: list[AnswerIn] | None = None

    @property
    def is_answer(self) -> bool:
        """Whether this answers a call instead of saying something."""
        if self.type is not None:
            return self.type != "message"
        return self.approve is not None or self.approval_request_id is not None or self.approvals is not None


class ClientToolIn(_Lenient):
    """A tool that the client runs itself."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class SendIn(_Lenient):
    """The body of every request that has an agent work."""

    messages: list[MessageIn] | None = None
    input: Content | None = None
    max_steps: int | None = Field(default=None, ge=1)
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[MessageType] | None = None
    client_tools: list[ClientToolIn] | None = None
    client_skills: list[dict[str, Any]] | None = None
    override_model: str | None = None
    override_system: str | None = Field(default=None, validation_alias=AliasChoices("override_system", "system"))
    include_compaction_messages: bool = False
    streaming: bool | None = None
    stream_tokens: bool = False
    include_pings: bool = True
    background: bool = False
    callback_url: str | None = None
    agent_id: str | None = None
    return_logprobs: bool | None = None
    top_logprobs: int | None = None
    return_token_ids: bool | None = None
    enable_thinking: bool | None = None


@dataclass(frozen=True, slots=True)
class OldAnswer:
    """A decision in the older form. It names no calls: it holds for those of a message, or for all that are open."""

    approve: bool
    message_id: str | None
    reason: str | None


def run_request(body: SendIn, *, tokens: bool) -> tuple[RunRequest, OldAnswer | None]:
    """What we make of a request, and the decision in it whose calls must still be looked up. Raises Unprocessable."""
    if body.model_fields_set & _UNSERVED:
        _refuse_unserved(body)
    messages, approvals, approval_otid, old = _messages(body)
    request = RunRequest(
        messages=messages,
        approvals=approvals,
        approval_otid=approval_otid,
        steps_max=body.max_steps,
        client_tools=tuple([_client_tool(tool) for tool in body.client_tools or ()]),
        client_skills=tuple(body.client_skills or ()),
        override_model=body.override_model,
        override_system=body.override_system,
        background=body.background,
        stream_tokens=tokens,
        callback_url=body.callback_url,
        metadata={"run_type": "send_message", REQUEST_CONFIG: body.model_dump(include=_CONFIG)},
    )
    return request, old


def _refuse_unserved(body: SendIn) -> None:
    for name in sorted(_UNSERVED - {"enable_thinking"}):
        if getattr(body, name) not in (None, False):
            raise Unprocessable(
                f"'{name}' asks for what no answer holds here: the likelihoods of tokens, or their ids.",
                hint="Leave it out, or ask the model's own server.",
            )
    if body.enable_thinking is False:
        raise Unprocessable(
            "A message cannot forbid an agent to think.",
            hint='Change the agent: {"model_settings": {"reasoning": {"reasoning_effort": "none"}}}.',
        )


def _messages(
    body: SendIn,
) -> tuple[tuple[NewMessage, ...], tuple[ApprovalReply, ...], str | None, OldAnswer | None]:
    if (body.messages is None) == (body.input is None):
        raise Unprocessable("Give either 'messages' or 'input', and not both.")
    if body.input is not None:
        return (NewMessage(parts=parts_of(body.input, Role.USER)),), (), None, None
    if not body.messages:
        raise Unprocessable("Messages must not be empty.")
    said: list[NewMessage] = []
    approvals: list[ApprovalReply] = []
    otid: str | None = None
    old: OldAnswer | None = None
    for message in body.messages:
        if not message.is_answer:
            role = Role(message.role)
            said.append(
                NewMessage(
                    parts=parts_of(message.content or (), role),
                    role=role,
                    otid=message.otid,
                    name=message.name,
                    sender_id=message.sender_id,
                    trust=Trust.OPERATOR if role is Role.SYSTEM else Trust.USER,
                )
            )
            continue
        otid = otid or message.otid
        answers = message.approvals or message.tool_returns
        approvals += [_reply(answer) for answer in answers or ()]
        if not answers and message.approve is not None:
            old = OldAnswer(message.approve, message.approval_request_id, message.reason)
    return tuple(said), tuple(approvals), otid, old


def parts_of(content: str | Sequence[ContentIn], role: Role) -> tuple[Part, ...]:
    """The parts that a message of that role is made of. Raises Unprocessable."""
    parts: list[Part] = []
    if isinstance(content, str):
        parts, content = [Text(content)] if content else [], ()
    for item in content:
        match item.type:
            case "text":
                if item.text:
                    parts.append(Text(item.text))
            case "image":
                parts.append(_picture(item.source or {}))
            case "reasoning" if role is Role.ASSISTANT:
                parts.append(Reasoning(item.reasoning or "", signature=item.signature))
            case "redacted_reasoning" if role is Role.ASSISTANT:
                parts.append(Reasoning("", redacted=item.data))
            case "omitted_reasoning":
                pass
            case _:
                raise Unprocessable(f"A message of role '{role}' cannot hold content of type '{item.type}'.")
    if not parts:
        raise Unprocessable("A message must hold some content.")
    return tuple(parts)


def _picture(source: Mapping[str, object]) -> Image:
    data, url, detail = source.get("data"), source.get("url"), source.get("detail")
    inline = isinstance(url, str) and url.startswith("data:")
    if isinstance(data, str) or inline:
        picture = from_base64(data) if isinstance(data, str) else from_data_url(str(url))
        if picture is None:
            raise Unprocessable("An image must be a PNG, JPEG, GIF, WebP or HEIC file in base64.")
        encoded = data if isinstance(data, str) else str(url).partition(",")[2]
        return Image(media_type=picture.media_type, data=encoded, detail=detail if isinstance(detail, str) else None)
    if not isinstance(url, str):
        raise Unprocessable("An image needs a source with 'url' or with base64 'data'.")
    if not url.lower().startswith(("https://", "http://")):
        raise Unprocessable("The URL of an image must begin with https://, http:// or data:.")
    return Image(url=url)


def _reply(answer: AnswerIn) -> ApprovalReply:
    if answer.type == "tool" or answer.tool_return is not None:
        return ApprovalReply(
            call_id=answer.tool_call_id,
            result=_result_text(answer.tool_return or ""),
            status=answer.status,
            stdout=tuple(answer.stdout or ()),
            stderr=tuple(answer.stderr or ()),
        )
    if answer.approve is None:
        raise Unprocessable(f"The approval of call '{answer.tool_call_id}' must say whether to approve it.")
    return ApprovalReply(call_id=answer.tool_call_id, approve=answer.approve, reason=answer.reason)


def _result_text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(item.text or "" if item.type == "text" else f"[{item.type}]" for item in content)


def _client_tool(tool: ClientToolIn) -> ToolSchema:
    return ToolSchema(name=tool.name, description=tool.description or "", parameters=tool.parameters or NO_PARAMETERS)


def view_of(run: Run) -> View:
    """The view that a stored run was asked for."""
    config = run.metadata.get(REQUEST_CONFIG)
    stored = config if isinstance(config, Mapping) else EMPTY
    types = stored.get("include_return_message_types")
    return View(
        use_assistant_message=stored.get("use_assistant_message") is not False,
        speaking_tool=str(stored.get("assistant_message_tool_name") or "send_message"),
        speaking_argument=str(stored.get("assistant_message_tool_kwarg") or "message"),
        types=frozenset(str(item) for item in types) if isinstance(types, list) else None,
        compaction=stored.get("include_compaction_messages") is True,
    )


def telling_of(run: Run, *, thinks_in_calls: bool) -> Telling:
    """How a run is told to whoever asked for it."""
    tools = run.request.get("client_tools")
    names = (tool.get("name") for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, Mapping))
    return Telling(
        view=view_of(run),
        tokens=run.request.get("stream_tokens") is True,
        thinks_in_calls=thinks_in_calls,
        client_tools=frozenset(str(name) for name in names),
    )
