"""A database with one agent and one conversation, and runs in it that are made by hand."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from loci.agent.runs import LiveRun
from loci.store import conversations, runs
from loci.store.base import Transaction
from loci.store.sqlite import SQLiteStore
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.events import Event, RunEnded
from loci.types.runs import Run, status_of
from tests.api.said import AGENT, AT, RUN

ACTOR = Actor()
CONVERSATION = "conv-00000000-0000-4000-8000-000000000001"

_AGENT = {
    "id": AGENT,
    "organization_id": ACTOR.organization_id,
    "name": "a",
    "agent_type": "letta_v1_agent",
    "system": "",
    "model": "x/y",
    "tool_rules": "[]",
    "model_settings": "{}",
    "compaction_settings": "{}",
    "context_window_tokens": 1,
    "tool_exec_environment": "{}",
    "metadata": "{}",
    "timezone": "UTC",
    "message_buffer_autoclear": 0,
    "max_files_open": 1,
    "per_file_view_window_limit_chars": 1,
    "memory_version": 1,
    "created_at": "2026-01-01T00:00:00.000000Z",
    "updated_at": "2026-01-01T00:00:00.000000Z",
}


def _set_up(tx: Transaction) -> None:
    names = ", ".join(_AGENT)
    tx.run(f"insert into agents ({names}) values ({', '.join(':' + name for name in _AGENT)})", _AGENT)
    conversations.insert(tx, ACTOR, Conversation(id=CONVERSATION, agent_id=AGENT, created_at=AT))


@asynccontextmanager
async def a_store() -> AsyncGenerator[SQLiteStore]:
    store = SQLiteStore(":memory:")
    await store.open()
    await store.write(_set_up)
    try:
        yield store
    finally:
        await store.close()


def a_run(run_id: str = RUN, **fields: Any) -> Run:
    return Run(
        id=run_id,
        agent_id=AGENT,
        conversation_id=CONVERSATION,
        status="running",
        background=fields.pop("background", True),
        created_at=AT,
        **fields,
    )


async def store_run(store: SQLiteStore, run: Run) -> Run:
    await store.write(runs.insert, ACTOR, run)
    return run


async def end_run(store: SQLiteStore, run: Run, end: RunEnded, at: Any = AT) -> None:
    error = end.ending.error_type and {
        "error_type": end.ending.error_type,
        "message": end.ending.message,
        "detail": end.ending.detail,
    }
    done = replace(
        run,
        status=status_of(end.ending.reason),
        stop_reason=end.ending.reason,
        usage=end.usage,
        step_count=end.step_count,
        error=error or None,
        completed_at=at,
    )
    await store.write(runs.update, ACTOR, done)


class HandMadeRun(LiveRun):
    """A run whose events come when the test says so."""

    def say(self, *events: Event) -> None:
        for event in events:
            self.emit(event)
