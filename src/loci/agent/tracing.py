"""Traces: what was sent to a model and what it answered, written down after the run has gone on.

A turn only leaves a note of each call (`Kit.calls`). The notes are written a moment later, many in one transaction;
what a crash takes with it is the trace of the last seconds, and no more.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from loci.agent.bases import HELD_MAX_S, Bases, Delta
from loci.agent.turn import Kit, ModelCall
from loci.errors import StoreFailure
from loci.ids import new_id
from loci.model.base import Failed, Finished, Model, ModelRequest, Showing
from loci.store import traces
from loci.store.parts import part_to_json
from loci.store.runs import usage_to_json
from loci.store.traces import NewTrace
from loci.types.actor import Actor
from loci.types.json import JsonValue

log = logging.getLogger(__name__)

WRITE_EVERY_S = 2.0
PURGE_EVERY_S = 300.0
BATCH_CALLS = 64
BATCH_BYTES = 4_000_000
BODY_MAX_BYTES = 20_000_000
_TOO_LONG = b'{"omitted":"The request was too long to be kept."}'


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceBounds:
    """How long traces are kept, and how much of them."""

    kept_s: float
    kept_bytes: int


class Traces:
    """Writes down the calls of models."""

    def __init__(self, kit: Kit, bounds: TraceBounds) -> None:
        self._kit = kit
        self._bounds = bounds
        self._bases = Bases()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin."""
        if self._kit.calls is not None:
            self._task = asyncio.get_running_loop().create_task(self._write_now_and_then(), name="traces")

    async def close(self) -> None:
        """Write what is left, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.flush()

    async def flush(self) -> None:
        """Write down every call that has ended."""
        async with self._writing:
            while self._kit.calls:
                batch = await self._batch()
                try:
                    await self._kit.store.write(traces.insert, batch)
                except StoreFailure as failure:
                    self._bases.forget()
                    log.warning("%d traces are not kept: %s", len(batch), failure)

    async def purge(self) -> int:
        """Drop what is too old or too much."""
        now = self._kit.clock.now()
        before, unused_before = now - timedelta(seconds=self._bounds.kept_s), now - timedelta(seconds=2 * HELD_MAX_S)
        return await self._kit.store.write(traces.purge, before, unused_before, self._bounds.kept_bytes)

    async def _write_now_and_then(self) -> None:
        purged_s = float("-inf")
        while True:
            try:
                await self.flush()
                if self._kit.clock.monotonic_s() - purged_s >= PURGE_EVERY_S:
                    purged_s = self._kit.clock.monotonic_s()
                    await self.purge()
            except StoreFailure as failure:
                log.warning("old traces are not dropped yet: %s", failure)
            # Real time, whatever the clock says: a clock that tests move would make this loop spin.
            await asyncio.sleep(WRITE_EVERY_S)

    async def _batch(self) -> list[tuple[Actor, NewTrace]]:
        """The next calls, as many as are written at once."""
        taken: list[tuple[ModelCall, Sequence[bytes]]] = []
        size_bytes = 0
        while self._kit.calls and len(taken) < BATCH_CALLS and size_bytes < BATCH_BYTES:
            call = self._kit.calls.popleft()
            sent = call.answer.sent if isinstance(call.answer, Finished) else ()
            body = sent or (await body_of(call.model, call.request),)
            length = sum(map(len, body))
            taken.append((call, body if length <= BODY_MAX_BYTES else (_TOO_LONG,)))
            size_bytes += length
        return await asyncio.to_thread(self._packed, taken, self._kit.clock.monotonic_s())

    def _packed(self, taken: list[tuple[ModelCall, Sequence[bytes]]], now_s: float) -> list[tuple[Actor, NewTrace]]:
        return [
            (call.actor, _new(call, self._bases.told(call.run.conversation_id, b"".join(body), now_s)))
            for call, body in taken
        ]


def _new(call: ModelCall, told: Delta) -> NewTrace:
    return NewTrace(
        id=new_id("provider_trace"),
        run_id=call.run.id,
        agent_id=call.run.agent_id,
        step_id=call.step_id,
        call_type=call.call_type,
        model=call.model.info.handle,
        base_id=told.base.id,
        new_base=traces.packed(told.base.body) if told.is_base else None,
        head_bytes=told.head_bytes,
        tail_bytes=told.tail_bytes,
        request=traces.packed(told.new),
        response=traces.packed(_answer(call.answer)),
        duration_ns=int(call.duration_s * 1e9),
        created_at=call.ended_at,
    )


async def body_of(model: Model, request: ModelRequest) -> bytes:
    """The request as the provider gets it, in JSON; that to a model without a provider in our own terms."""
    if isinstance(model, Showing):
        return await model.body(request)
    plain: dict[str, JsonValue] = {
        "model": model.info.name,
        "system": request.system,
        "messages": [
            {"role": message.role.value, "content": [part_to_json(part) for part in message.parts]}
            for message in request.messages
        ],
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ],
        "tool_choice": request.tool_choice,
    }
    return orjson.dumps(plain)


def _answer(answer: Finished | Failed) -> bytes:
    if isinstance(answer, Failed):
        told: dict[str, JsonValue] = {
            "error": {
                "type": answer.fault.value,
                "message": answer.message,
                "detail": answer.detail,
                "http_status": answer.http_status,
            }
        }
    else:
        told = {
            "id": answer.request_id,
            "model": answer.model,
            "finish_reason": answer.finish,
            "content": [part_to_json(part) for part in answer.parts],
            "usage": usage_to_json(answer.usage),
        }
    return orjson.dumps(told)
