"""How long is a prompt? An estimate from its bytes, learned per model from what the provider billed.

No tokenizer is downloaded. Four bytes a token is the start; each answer that reports its prompt tokens moves the ratio
of its model (exponential smoothing). All is PURE: the ratio goes in and comes out, the caller keeps it where it lasts.
The estimate is for planning; the provider's own count is the truth, and only its refusal is an overflow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from loci.model.base import ModelInfo, ModelRequest
from loci.types.messages import ApprovalAnswer, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema
from loci.types.usage import Usage

IMAGE_BYTES = 4_000
"""A picture counts like this many bytes of text (about 1,000 tokens, between the providers' low and high detail)."""

_MESSAGE_BYTES = 16
_CALL_BYTES = 32
_NEWEST_WEIGHT = 0.2
_BYTES_PER_TOKEN_LEAST, _BYTES_PER_TOKEN_MOST = 1.0, 8.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """What was learned about one model. Two numbers, meant to be stored."""

    bytes_per_token: float = 4.0
    samples: int = 0


START = Ratio()


def estimate(size_bytes: int, ratio: Ratio = START) -> int:
    """Tokens of a text of that size, rounded up."""
    return int(size_bytes / ratio.bytes_per_token + 0.999)


def learn(ratio: Ratio, *, size_bytes: int, prompt_tokens: int) -> Ratio:
    """The ratio after one more answer. The first one replaces the guess; outliers are clipped, zeros ignored."""
    if size_bytes <= 0 or prompt_tokens <= 0:
        return ratio
    seen = min(max(size_bytes / prompt_tokens, _BYTES_PER_TOKEN_LEAST), _BYTES_PER_TOKEN_MOST)
    weight = max(_NEWEST_WEIGHT, 1.0 / (ratio.samples + 1))
    return Ratio(ratio.bytes_per_token + weight * (seen - ratio.bytes_per_token), ratio.samples + 1)


def text_bytes(text: str) -> int:
    """The size of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def message_bytes(message: Message) -> int:
    """The size of a message as the model reads it. Reasoning that was passed on counts; approvals are not shown."""
    return _MESSAGE_BYTES + sum(_part_bytes(part) for part in message.parts)


def tools_bytes(tools: Iterable[ToolSchema]) -> int:
    """The size of the tool schemas as the model reads them."""
    return sum(
        text_bytes(tool.name) + text_bytes(tool.description) + len(orjson.dumps(tool.parameters)) for tool in tools
    )


def request_bytes(request: ModelRequest) -> int:
    """The size of everything in the request: what `prompt_tokens` of its answer is compared with in `learn`."""
    return text_bytes(request.system) + messages_bytes(request.messages) + tools_bytes(request.tools)


def messages_bytes(messages: Sequence[Message]) -> int:
    """The size of the messages together."""
    return sum(map(message_bytes, messages))


def with_cost(info: ModelInfo, usage: Usage) -> Usage:
    """The usage with its price at the rates of `info`, unless the provider named one. Cached tokens count in full."""
    if usage.cost_usd or info.price_input_usd is None or info.price_output_usd is None:
        return usage
    cost = usage.prompt_tokens * info.price_input_usd + usage.completion_tokens * info.price_output_usd
    return replace(usage, cost_usd=cost / 1_000_000)


def _part_bytes(part: Part) -> int:
    match part:
        case Text(text) | Reasoning(text):
            return text_bytes(text)
        case Image():
            return IMAGE_BYTES
        case ToolCall():
            return _CALL_BYTES + text_bytes(part.name) + text_bytes(part.arguments)
        case ToolResult():
            return _CALL_BYTES + text_bytes(part.text)
        case ApprovalAnswer():
            return 0
