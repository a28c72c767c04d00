"""What a recorded stream still owes: pure, from what it told and what the store holds.

A server that dies may have stored a message of which its stream had told nothing yet, or only the first pieces. The
rest is told as one more piece, so that a client which joins the pieces ends up with the message as it is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from loci.api.wire_messages import WireObject, wire_call
from loci.types.json import JsonValue

CALLS = frozenset({"tool_call_message", "approval_request_message"})
_TEXTS = {"assistant_message": "content", "reasoning_message": "reasoning"}
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Bit:
    """A text that is told in pieces, or (text None) an object that is told whole."""

    key: Key
    text: str | None


def owed(told: Iterable[WireObject], whole: Iterable[WireObject]) -> list[WireObject]:
    """The objects that complete `told`, so that it says everything in `whole`, in that order."""
    known: dict[Key, str] = {}
    for item in told:
        for bit in _bits(item):
            known[bit.key] = known.get(bit.key, "") + (bit.text or "")
    return [item for part in whole for item in _rest(part, known)]


def _bits(item: WireObject) -> Iterator[_Bit]:
    kind = str(item.get("message_type"))
    if kind in CALLS:
        for call in _calls(item):
            yield _Bit((str(item.get("id")), str(call.get("tool_call_id"))), str(call.get("arguments") or ""))
    elif kind in _TEXTS:
        yield _Bit((kind, str(item.get("otid"))), str(item.get(_TEXTS[kind]) or ""))
    else:
        yield _Bit((kind, str(item.get("otid"))), None)


def _calls(item: WireObject) -> list[Mapping[str, JsonValue]]:
    calls = item.get("tool_calls")
    several = calls if isinstance(calls, list) else [calls]
    return [call for call in several if isinstance(call, Mapping)]


def _rest(item: WireObject, known: Mapping[Key, str]) -> Iterator[WireObject]:
    bits = list(_bits(item))
    if not any(bit.key in known for bit in bits):
        yield item
        return
    kind = str(item["message_type"])
    for call, bit in zip(_calls(item) if kind in CALLS else [None], bits, strict=True):
        before = known.get(bit.key)
        if bit.text is None or before == bit.text or not bit.text.startswith(before or ""):
            continue
        rest = bit.text[len(before or "") :]
        if call is None:
            yield item | {_TEXTS[kind]: rest}
        else:
            piece = wire_call(bit.key[1], str(call.get("name")) if before is None else None, rest)
            yield item | {"tool_call": piece, "tool_calls": piece}
