"""The three providers behind the library as one choice: a fake with its script, and the model that asks it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

from loci.model.base import Finished, ModelEvent, ModelInfo, ModelRequest, ProviderConfig
from loci.model.library import LibraryModel
from loci.net import Door
from loci.testing.fake_anthropic import FakeAnthropic
from loci.testing.fake_gemini import FakeGemini
from loci.testing.fake_provider import FakeProvider, Scripted, served
from loci.testing.fake_responses import FakeResponses
from loci.types.messages import Message, Part, Reasoning, Role, Text, ToolCall
from loci.types.tools import ToolSchema

Wire = Literal["anthropic", "responses", "google"]

WIRES: tuple[Wire, ...] = ("anthropic", "responses", "google")
SIGNATURE = "c2VhbGVk"
"""Base64, as Gemini demands; the others take any text."""
PNG = "iVBORw0KGgpwaXhlbHM="
"""Enough of a picture to be known as one."""
KEY = "sk-do-not-tell"

FAKES: dict[Wire, tuple[type[FakeProvider], str, str]] = {
    "anthropic": (FakeAnthropic, "claude-opus-5-5", ""),
    "responses": (FakeResponses, "gpt-5.5", "/v1"),
    "google": (FakeGemini, "gemini-3-pro", ""),
}

LOOK = ToolSchema(
    name="look",
    description="Looks something up.",
    parameters={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
)
NOTE = ToolSchema(name="note", description="Notes something.", parameters={"type": "object", "properties": {}})

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A model and the fake that answers it."""

    model: LibraryModel
    fake: FakeProvider
    url: str

    async def ask(self, request: ModelRequest) -> list[ModelEvent]:
        return [event async for event in self.model.stream(request)]

    async def answer(self, request: ModelRequest) -> Finished:
        last = (await self.ask(request))[-1]
        assert isinstance(last, Finished), last
        return last

    @property
    def sent(self) -> Any:
        """The body of the last request."""
        return self.fake.received[-1].body

    @property
    def bodies(self) -> list[Any]:
        """The bodies of all requests."""
        return [received.body for received in self.fake.received]


@asynccontextmanager
async def asking(
    wire: Wire,
    *script: Scripted,
    name: str | None = None,
    provider: str | None = None,
    timeout_s: float = 10.0,
    door: Door | None = None,
    **info: Any,
) -> AsyncGenerator[Asked]:
    fake_class, default_name, suffix = FAKES[wire]
    fake, name, provider = fake_class(*script), name or default_name, provider or wire
    async with served(fake) as url:
        known = ModelInfo(
            handle=f"{provider}/{name}",
            name=name,
            provider=provider,
            provider_type=wire,
            window_tokens=200_000,
            **info,
        )
        config = ProviderConfig(name=provider, provider_type=wire, base_url=url + suffix, api_key=KEY, wire=wire)
        model = LibraryModel(known, config, timeout_s=timeout_s, door=door)
        try:
            yield Asked(model, fake, url)
        finally:
            await model.aclose()


def words(part: Part) -> str:
    """What a part says, or calls with."""
    match part:
        case ToolCall(arguments=arguments):
            return arguments
        case Text(text) | Reasoning(text):
            return text
        case _:
            raise AssertionError(part)


def message(role: Role, *parts: Part) -> Message:
    return Message(
        id=f"message-{next(_numbers)}",
        role=role,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        agent_id="agent-1",
        conversation_id="conv-1",
    )


def user(text: str) -> Message:
    return message(Role.USER, Text(text))


def request(*messages: Message, tools: Sequence[ToolSchema] = (LOOK, NOTE), **options: Any) -> ModelRequest:
    return ModelRequest(system="You are kind.", messages=messages or (user("Rain?"),), tools=tools, **options)
