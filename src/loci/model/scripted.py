"""A model without a model: what a newcomer gets when nothing is configured, and what tests and benchmarks run on.

It obeys the directives in the newest user message (see `loci.model.script`), else it gives an honest demonstration of
memory (see `loci.model.demo`). It is deterministic and keeps no state: where it stands in a script follows from the
messages after the newest user message. With `ScriptedModel.of` a test decides from Python what each call answers.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

import orjson

from loci.clock import Clock, SystemClock
from loci.errors import ModelFault
from loci.model.base import (
    Failed,
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from loci.model.demo import Scene, play
from loci.model.faults import MESSAGES, RETRYABLE
from loci.model.script import Bill, Call, End, Fail, Finish, Say, Step, Think, Wait, parse, unwrapped
from loci.model.tokens import estimate, request_bytes, text_bytes
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema
from loci.types.usage import Usage

Playable: TypeAlias = ModelEvent | Part | Wait | Bill | End | str
"""What a step of a double is made of: parts (streamed in pieces), raw events, pauses, or just words."""
DoubleStep: TypeAlias = Sequence[Playable] | str | Callable[[ModelRequest], Sequence[Playable] | str]

WINDOW_TOKENS = 128_000
_WORD = re.compile(r"\s*\S+\s*")
_BREATH_EVENTS = 64
_SPEAK = "send_message"
_HARMLESS = (_SPEAK, "memory_finish_edits", "finish_rethinking_memory")


def scripted_info(name: str = "default") -> ModelInfo:
    """The scripted model under that name: `scripted/<name>`; they are all the same."""
    return ModelInfo(
        handle=f"scripted/{name}",
        name=name,
        provider="scripted",
        provider_type="scripted",
        window_tokens=WINDOW_TOKENS,
        display_name="Scripted stand-in (no language model)",
        price_input_usd=0.0,
        price_output_usd=0.0,
    )


class ScriptedModel:
    """The shipped stand-in. `requests` is filled only by a double made with `of`."""

    def __init__(self, info: ModelInfo | None = None, *, clock: Clock | None = None) -> None:
        self._info = info or scripted_info()
        self._clock = clock or SystemClock()
        self._steps: list[DoubleStep] | None = None
        self.requests: list[ModelRequest] = []

    @classmethod
    def of(
        cls,
        steps: Sequence[DoubleStep] = (),
        *,
        info: ModelInfo | None = None,
        clock: Clock | None = None,
    ) -> "ScriptedModel":
        """A double for tests: call n plays step n. Asked more often than that, it fails. More steps may be added."""
        model = cls(info, clock=clock)
        model._steps = list(steps)
        return model

    @property
    def info(self) -> ModelInfo:
        """What is known about it."""
        return self._info

    def add(self, *steps: DoubleStep) -> None:
        """Append steps to a double."""
        self._steps = [*(self._steps or ()), *steps]

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Play one step."""
        answer = _Answer(prompt_tokens=0)
        for count, item in enumerate(self._items(request), 1):
            match item:
                case Wait(delay_s):
                    await self._clock.sleep(delay_s)
                case Bill(prompt_tokens, completion_tokens):
                    answer.bill = Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
                case End(reason):
                    answer.finish = reason
                case Finished() | Failed():
                    yield item
                    return
                case str():
                    for event in answer.speak(Text(item)):
                        yield event
                case TextDelta() | ReasoningDelta() | ToolCallDelta():
                    answer.overhear(item)
                    yield item
                case Text() | Image() | Reasoning() | ToolCall() | ToolResult() | ApprovalAnswer():
                    for number, event in enumerate(answer.speak(item), count):
                        yield event
                        if number % _BREATH_EVENTS == 0:
                            await asyncio.sleep(0)
                case _:
                    assert_never(item)
        yield answer.finished(self._info.name, request)

    def _items(self, request: ModelRequest) -> Sequence[Playable]:
        if self._steps is None:
            return _obey(request)
        self.requests.append(replace(request, messages=tuple(request.messages)))
        number = len(self.requests)
        if number > len(self._steps):
            return [failure(ModelFault.OTHER, f"The script has no step {number}.")]
        step = self._steps[number - 1]
        played = step(request) if callable(step) else step
        return [played] if isinstance(played, str) else played


def failure(fault: ModelFault, detail: str = "As the script says.", *, retry_after_s: float | None = None) -> Failed:
    """A failure of that kind, as a provider's adapter would report it."""
    return Failed(
        fault=fault,
        message=MESSAGES[fault],
        detail=detail,
        retry_after_s=retry_after_s,
        retryable=fault in RETRYABLE,
    )


@dataclass(slots=True)
class _Answer:
    """The parts said so far, and what they are worth in tokens."""

    prompt_tokens: int
    parts: list[Part] = field(default_factory=list[Part])
    heard: dict[int, Part] = field(default_factory=dict[int, Part])
    bill: Usage | None = None
    finish: Finish | None = None

    def speak(self, part: Part) -> Sequence[ModelEvent]:
        index = len(self.parts) + len(self.heard)
        self.parts.append(part)
        match part:
            case Text(text):
                return [TextDelta(index, piece) for piece in _WORD.findall(text) or [text]]
            case Reasoning(text):
                return [ReasoningDelta(index, piece) for piece in _WORD.findall(text)]
            case ToolCall(call_id, name, arguments):
                middle = len(arguments) // 2
                head = ToolCallDelta(index, arguments[:middle], call_id, name)
                return [head, ToolCallDelta(index, arguments[middle:])]
            case Image() | ToolResult() | ApprovalAnswer():
                return []

    def overhear(self, event: TextDelta | ReasoningDelta | ToolCallDelta) -> None:
        """Gather a raw event into the part that it belongs to."""
        known = self.heard.get(event.index)
        match event:
            case TextDelta(index, text):
                self.heard[index] = Text((known.text if isinstance(known, Text) else "") + text)
            case ReasoningDelta(index, text):
                self.heard[index] = Reasoning((known.text if isinstance(known, Reasoning) else "") + text)
            case ToolCallDelta(index, arguments):
                old = known if isinstance(known, ToolCall) else ToolCall(event.call_id or "", event.name or "", "")
                self.heard[index] = replace(old, arguments=old.arguments + arguments)

    def finished(self, model: str, request: ModelRequest) -> ModelEvent:
        parts = (*(self.heard[index] for index in sorted(self.heard)), *self.parts)
        calls = any(isinstance(part, ToolCall) for part in parts)
        if not calls and not any(isinstance(part, Text) and part.text.strip() for part in parts):
            return failure(ModelFault.BAD_REPLY, "The answer was empty.")
        if self.bill is None:
            words = sum(
                text_bytes(part.arguments if isinstance(part, ToolCall) else part.text)
                for part in parts
                if isinstance(part, ToolCall | Text | Reasoning)
            )
            self.bill = Usage(prompt_tokens=estimate(request_bytes(request)), completion_tokens=estimate(words))
        finish = self.finish or ("tool_calls" if calls else "stop")
        return Finished(parts=parts, usage=self.bill, finish=finish, model=model)


def _obey(request: ModelRequest) -> Sequence[Playable]:
    """The items of the step that is due, as the agent's tools and the tool choice want them."""
    start = _newest_user(request.messages)
    since = request.messages[start + 1 :]
    said = unwrapped(request.messages[start].text) if start >= 0 else ""
    number = sum(message.role is Role.ASSISTANT for message in since)
    steps = parse(said)
    more = False
    if not steps:
        tools = {tool.name: tool for tool in request.tools if request.tool_choice != "none"}
        step: Step = play(Scene(system=request.system, messages=request.messages, tools=tools, said=said, since=since))
    elif number < len(steps):
        step, more = steps[number], number + 1 < len(steps)
    else:
        step = (Say("The script is done."),)
    seed = f"{request.messages[-1].id if request.messages else ''}:{number}"
    return _fitted(step, request, seed=seed, more=more)


def _newest_user(messages: Sequence[Message]) -> int:
    """Where the newest message stands that a user said (or a login); -1 if there is none."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if message.is_task or message.kind is Kind.LOGIN:
            return position
    return -1


def _fitted(step: Step, request: ModelRequest, *, seed: str, more: bool) -> list[Playable]:
    tools = {tool.name: tool for tool in request.tools}
    calls = [action for action in step if isinstance(action, Call)]
    fails = any(isinstance(action, Fail) for action in step)
    choice = request.tool_choice
    if choice == "none":
        step = tuple(action for action in step if not isinstance(action, Call))
        if not step and calls:
            step = (Say(f"The script calls {calls[0].name}, but no tool was offered."),)
    elif not calls and not fails and tools and choice != "auto":
        step = _by_tool(step, tools, choice)
    items: list[Playable] = []
    for position, action in enumerate(step):
        match action:
            case Say(text):
                items.append(Text(text))
            case Think(text):
                items.append(Reasoning(text, provider="scripted"))
            case Call():
                items.append(_call(action, tools, step, call_id=_call_id(f"{seed}:{position}"), more=more))
            case Fail(fault):
                items.append(failure(fault, retry_after_s=1.0 if fault is ModelFault.RATE_LIMIT else None))
            case Wait() | Bill() | End():
                items.append(action)
    return items


def _by_tool(step: Step, tools: dict[str, ToolSchema], choice: str) -> Step:
    """A step that only speaks, said through a tool instead: the named one, `send_message`, or a harmless one."""
    words = "\n".join(action.text for action in step if isinstance(action, Say))
    name = choice if choice in tools else next((name for name in _HARMLESS if name in tools), None)
    if name is None:
        name = next((tool.name for tool in tools.values() if not tool.parameters.get("required")), next(iter(tools)))
    arguments: JsonObject = {"message": words} if name == _SPEAK else _least_arguments(tools[name], words)
    kept = [action for action in step if not isinstance(action, Say)]
    # Words that no tool carries stay beside the call.
    spoken = [] if name == _SPEAK or not words else [Say(words)]
    return (*kept, *spoken, Call(name, json.dumps(arguments, ensure_ascii=False)))


def _least_arguments(tool: ToolSchema, words: str) -> JsonObject:
    """The required arguments, each with a value of its type."""
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    samples: dict[str, JsonValue] = {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}
    found: dict[str, JsonValue] = {}
    for name in required if isinstance(required, list) else []:
        schema = properties.get(str(name)) if isinstance(properties, dict) else None
        kind = schema.get("type") if isinstance(schema, dict) else "string"
        found[str(name)] = samples.get(str(kind), words)
    return found


def _call(action: Call, tools: dict[str, ToolSchema], step: Step, *, call_id: str, more: bool) -> ToolCall:
    """The call, with the inner monologue and the heartbeat that agents of the MemGPT kind expect of each call."""
    tool = tools.get(action.name)
    properties = tool.parameters.get("properties") if tool else None
    wanted = [name for name in ("thinking", "request_heartbeat") if isinstance(properties, dict) and name in properties]
    if not wanted:
        return ToolCall(call_id, action.name, action.arguments)
    try:
        arguments: JsonValue = orjson.loads(action.arguments)
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        return ToolCall(call_id, action.name, action.arguments)
    thoughts = " ".join(thought.text for thought in step if isinstance(thought, Think)) or "As the script says."
    extra: JsonObject = {"thinking": thoughts, "request_heartbeat": more or action.name != _SPEAK}
    filled = {**{name: extra[name] for name in wanted}, **arguments}
    return ToolCall(call_id, action.name, json.dumps(filled, ensure_ascii=False))


def _call_id(seed: str) -> str:
    return "call_" + hashlib.sha256(seed.encode()).hexdigest()[:24]
