"""The narrow port to language and embedding models.

A `Model` has one method. It never raises for what a provider does: failure is an event (`Failed`) that ends the stream.
Each stream ends with exactly one `Finished` or one `Failed`. No vendor type crosses this line.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from loci.errors import ModelFault
from loci.types.actor import Actor
from loci.types.agents import ModelSettings
from loci.types.json import EMPTY, JsonObject
from loci.types.messages import Message, Part
from loci.types.tools import ToolSchema
from loci.types.usage import Usage

ToolChoice: TypeAlias = Literal["auto", "required", "none"] | str  # noqa: PYI051  any other word names the tool to call


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that can be had. `window_tokens` is what its server says, unless the operator said otherwise."""

    handle: str
    """`provider/name`, the name by which agents refer to it."""
    name: str
    """The name on the provider's wire."""
    provider: str
    provider_type: str
    """The provider's kind on the Letta V1 API: openai, anthropic, google_ai, ollama …"""
    window_tokens: int
    output_tokens_max: int | None = None
    endpoint: str | None = None
    display_name: str | None = None
    supports_images: bool = True
    price_input_usd: float | None = None
    """US dollars for a million prompt tokens; None when unknown (local models: 0)."""
    price_output_usd: float | None = None
    brought: bool = False
    """Whether an organisation brought its provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingInfo:
    """An embedding model that can be had."""

    handle: str
    name: str
    provider: str
    provider_type: str
    dimensions: int
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One model call: exactly what the model is shown. `messages` begins after the system prompt.

    `stable_count`: how many leading messages were already sent on the last call (where a prompt cache may be marked).
    """

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSchema] = ()
    tool_choice: ToolChoice = "auto"
    settings: ModelSettings = field(default_factory=ModelSettings)
    response_format: JsonObject | None = None
    stable_count: int = 0
    user: str | None = None
    extra: JsonObject = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More words of part `index`."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More thinking of part `index`."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call, part `index`. `call_id` and `name` come with the first piece of a call."""

    index: int
    arguments: str
    call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The whole answer, in order, with signatures. `finish` is why the model stopped.

    `sent`: the body of the request as it went out, if the adapter spells it itself; pieces are shared, not copied.
    """

    parts: tuple[Part, ...]
    usage: Usage
    finish: Literal["stop", "tool_calls", "length", "content_filter"] = "stop"
    model: str | None = None
    request_id: str | None = None
    sent: Sequence[bytes] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The provider failed. `message` is safe to show to anyone, `detail` holds its own words (never a key)."""

    fault: ModelFault
    message: str
    detail: str
    http_status: int | None = None
    retry_after_s: float | None = None
    retryable: bool = False


ModelEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Finished | Failed


class Model(Protocol):
    """A language model."""

    @property
    def info(self) -> ModelInfo:
        """What is known about it."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask it. Yields pieces, then one Finished or Failed. Closing the iterator abandons the request."""
        ...


@runtime_checkable
class Showing(Protocol):
    """A model that can show what it sends."""

    async def body(self, request: ModelRequest) -> bytes:
        """The body of the request to the provider, as JSON text. Never its headers, so never a key. Sends nothing."""
        ...


class Embedder(Protocol):
    """A model that turns texts into vectors of unit length."""

    @property
    def info(self) -> EmbeddingInfo:
        """What is known about it."""
        ...

    async def embed(self, texts: Sequence[str]) -> "Sequence[Sequence[float]]":
        """One vector a text, in order. Raises ModelFailure when the provider fails."""
        ...


class Models(Protocol):
    """The models of one server, by handle. An organisation has what the operator set up, and what it brought itself."""

    async def model(self, actor: Actor, handle: str, /) -> Model:
        """The model behind a handle or alias. Raises NotFound with near names as the hint."""
        ...

    async def embedder(self, actor: Actor, handle: str, /) -> Embedder:
        """The embedding model behind a handle. Raises NotFound."""
        ...

    async def list_models(self, actor: Actor, /) -> Sequence[ModelInfo]:
        """What is really there now, asked of the servers (cached for a short time)."""
        ...

    async def list_embedders(self, actor: Actor, /) -> Sequence[EmbeddingInfo]:
        """The embedding models that are really there now."""
        ...

    @property
    def default_model(self) -> str | None:
        """The handle for an agent that names none: configured, else the first real model, else `scripted/default`."""
        ...

    @property
    def default_embedder(self) -> str | None:
        """The handle for an agent that names none; None means words only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """A place where models come from, as the operator or a user set it up. `name` is the first half of its handles."""

    name: str
    provider_type: str
    """openai, anthropic, google_ai, ollama, lmstudio, vllm, llamacpp, openrouter, groq, deepseek … or scripted."""
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    wire: Literal["chat", "responses", "anthropic", "google", "scripted"] = "chat"
    configured: bool = True
    """False for a local server that is only looked for (Ollama, LM Studio on localhost)."""
    brought: bool = False
    """Whether an organisation brought it, instead of the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverride:
    """What the operator knows better about one model than its server says."""

    window_tokens: int | None = None
    output_tokens_max: int | None = None
    price_input_usd: float | None = None
    price_output_usd: float | None = None
