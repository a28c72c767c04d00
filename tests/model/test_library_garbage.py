"""Whatever a provider sends, asking it ends with one event and no exception."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loci.model.base import Failed, Finished
from loci.testing.fake_provider import Answer, CallTool, Received, Say, Think, sse
from tests.model.providers import FAKES, SIGNATURE, WIRES, Wire, asking, request
from tests.model.sdk import events

# The library warns of what it finds strange, which here is everything.
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
RICH = Answer(
    parts=[Think("Hm.", SIGNATURE), Say("Well.", SIGNATURE), CallTool("call_1", "look", '{"q": "x"}', SIGNATURE)],
    stop="tool_calls",
)
SLOWLY = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def frames(wire: Wire) -> list[Any]:
    received = Received(path="/v1beta/models/m:streamGenerateContent", query="", headers={}, body={"model": "m"})
    return list(events(FAKES[wire][0]().frames(RICH, received)))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in the JSON."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def spoilt(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    whole = json.loads(json.dumps(value))
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    if replacement == "gone" and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = replacement
    return whole


@pytest.mark.parametrize("wire", WIRES)
@SLOWLY
@given(data=st.data())
async def test_a_spoilt_event_ends_in_one_event(wire: Wire, data: st.DataObject):
    stream = frames(wire)
    at = data.draw(st.integers(0, len(stream) - 1))
    path = data.draw(st.sampled_from(list(places(stream[at]))))
    replacement = data.draw(st.sampled_from([None, "gone", -1, "x", [], {}, True, {"type": "new"}]))
    stream[at] = spoilt(stream[at], path, replacement)
    order = data.draw(st.sampled_from(["as it was", "backwards", "twice"]))
    chosen = {"as it was": stream, "backwards": stream[::-1], "twice": stream + stream}[order]
    async with asking(wire, Answer(verbatim=[_spelt(event) for event in chosen])) as asked:
        heard = await asked.ask(request())

    endings = [event for event in heard if isinstance(event, Finished | Failed)]
    assert endings == heard[-1:], (wire, at, path, replacement)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "text", ["", "data: \n\n", "data: 1\n\n", "data: null\n\n", "event: x\n\n", "\x00\xff", "data: [DONE]\n\n", "{}"]
)
async def test_no_stream_at_all_ends_in_one_event(wire: Wire, text: str):
    async with asking(wire, Answer(verbatim=[text])) as asked:
        (failed,) = await asked.ask(request())

    assert isinstance(failed, Failed)


def _spelt(event: Any) -> str:
    kind = event.get("type") if isinstance(event, dict) else None
    return sse(event, kind if isinstance(kind, str) else None)
