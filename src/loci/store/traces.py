"""What was sent to models and what came back, compressed, kept for a while and up to a size.

Traces are for people who look into a step; nothing reads them to work. They go with their run. A request is kept as
what is new in it beside an earlier one, its base (`loci.agent.bases`); a base goes when no trace needs it any more.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, TypeAlias, cast

from loci.store.base import Row, SqlValue, Transaction
from loci.store.rows import integer, load_object, maybe_text, moment, text, time_text, within
from loci.types.actor import Actor
from loci.types.json import JsonObject

CallType: TypeAlias = Literal["agent_step", "summarization"]

READ = """
select traces.*, trace_bases.body as base from traces left join trace_bases on trace_bases.id = traces.base_id"""
INSERT = """
insert into traces (id, organization_id, project_id, run_id, agent_id, step_id, call_type, model, request, response,
    size_bytes, duration_ns, created_at, base_id, head_bytes, tail_bytes)
values (:id, :organization_id, :project_id, :run_id, :agent_id, :step_id, :call_type, :model, :request, :response,
    :size_bytes, :duration_ns, :created_at, :base_id, :head_bytes, :tail_bytes)"""
INSERT_BASE = """
insert into trace_bases (id, organization_id, project_id, body, created_at)
values (:id, :organization_id, :project_id, :body, :created_at)"""
OF_STEP = f"""{READ}
where traces.step_id = :step_id and traces.organization_id = :organization_id order by traces.seq desc limit 1"""
OF_RUN = f"""{READ}
where traces.run_id = :run_id and traces.organization_id = :organization_id order by traces.seq limit :limit"""
UNUSED_BASES = """
delete from trace_bases where created_at < :before
    and not exists (select 1 from traces where traces.base_id = trace_bases.id)"""
EXPIRED = "delete from traces where created_at < :before"
_SMALL_WINDOW, _SMALL_MEMORY = 12, 5
TOO_MUCH = """
delete from traces where seq in (
    select seq from (select seq, sum(size_bytes) over (order by seq desc) as through from traces) as running
    where through > :limit_bytes)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model. `step_id` None: a call beside the steps."""

    id: str
    run_id: str
    agent_id: str
    step_id: str | None
    call_type: CallType
    model: str
    duration_ns: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrace(Call):
    """A call, packed. `new_base`: the base, where it is new."""

    base_id: str
    new_base: bytes | None
    head_bytes: int
    tail_bytes: int
    request: bytes
    response: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Call):
    """A call: the body of the request as it was sent, and the answer."""

    request: JsonObject
    response: JsonObject


def packed(body: bytes) -> bytes:
    """JSON text as a column holds it."""
    # To set up the widest window takes ten times as long as a short body does in a small one.
    window, memory = (
        (_SMALL_WINDOW, _SMALL_MEMORY) if len(body) <= 1 << _SMALL_WINDOW else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    )
    packing = zlib.compressobj(1, zlib.DEFLATED, window, memory)
    return packing.compress(body) + packing.flush()


def insert(tx: Transaction, new: Sequence[tuple[Actor, NewTrace]]) -> None:
    """Store traces; those of a run that was deleted meanwhile are dropped."""
    params: dict[str, SqlValue] = {f"run{n}": run_id for n, run_id in enumerate({trace.run_id for _, trace in new})}
    names = ", ".join(f":{name}" for name in params)
    known = {row["id"] for row in tx.all(f"select id from runs where id in ({names})", params)}
    bases = [_base_params(actor, trace, trace.new_base) for actor, trace in new if trace.new_base is not None]
    if bases:
        tx.many(INSERT_BASE, bases)
    rows = [_params(actor, trace) for actor, trace in new if trace.run_id in known]
    if rows:
        tx.many(INSERT, rows)


def _base_params(actor: Actor, trace: NewTrace, body: bytes) -> dict[str, SqlValue]:
    return within(actor, id=trace.base_id, body=body, created_at=time_text(trace.created_at))


def _params(actor: Actor, trace: NewTrace) -> dict[str, SqlValue]:
    size_bytes = len(trace.request) + len(trace.response) + len(trace.new_base or b"")
    columns: dict[str, SqlValue] = {**asdict(trace), "created_at": time_text(trace.created_at)}
    return {**within(actor, size_bytes=size_bytes), **columns}


def of_step(tx: Transaction, actor: Actor, step_id: str) -> Trace | None:
    """The trace of a step's model call, if it is still kept."""
    row = tx.one(OF_STEP, within(actor, step_id=step_id))
    return None if row is None else _from_row(row)


def of_run(tx: Transaction, actor: Actor, run_id: str, limit_rows: int) -> list[Trace]:
    """The traces of a run that are still kept, oldest first."""
    return [_from_row(row) for row in tx.all(OF_RUN, within(actor, run_id=run_id, limit=limit_rows))]


def _from_row(row: Row) -> Trace:
    return Trace(
        id=text(row, "id"),
        run_id=text(row, "run_id"),
        agent_id=text(row, "agent_id"),
        step_id=maybe_text(row, "step_id"),
        call_type=cast("CallType", text(row, "call_type")),
        model=text(row, "model"),
        request=load_object(_request(row).decode()),
        response=load_object(_unpacked(row["response"]).decode()),
        duration_ns=integer(row, "duration_ns"),
        created_at=moment(row, "created_at"),
    )


def _request(row: Row) -> bytes:
    new = _unpacked(row["request"])
    if row["base_id"] is None:
        return new
    base = _unpacked(row["base"])
    return base[: integer(row, "head_bytes")] + new + base[len(base) - integer(row, "tail_bytes") :]


def _unpacked(value: SqlValue) -> bytes:
    return zlib.decompress(value) if isinstance(value, bytes) else b""


def purge(tx: Transaction, before: datetime, unused_before: datetime, limit_bytes: int) -> int:
    """Drop what is older than that time, then the oldest until the rest fits; how many were dropped.

    Bases that no trace needs go too, unless they are young enough for a trace to come that needs them.
    """
    dropped = tx.run(EXPIRED, {"before": time_text(before)}) + tx.run(TOO_MUCH, {"limit_bytes": limit_bytes})
    tx.run(UNUSED_BASES, {"before": time_text(unused_before)})
    return dropped
