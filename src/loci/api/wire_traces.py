"""Traces as the Letta V1 API shows them: the call of a model behind a step, and a run as a tree of spans."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.store.traces import Trace
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.messages import Message
from loci.types.runs import Run, Step

SOURCE = "loci"


def wire_trace(trace: Trace, actor: Actor) -> WireObject:
    """ProviderTrace."""
    handle = trace.model
    return {
        "id": trace.id,
        "request_json": dict(trace.request),
        "response_json": dict(trace.response),
        "step_id": trace.step_id,
        "run_id": trace.run_id,
        "agent_id": trace.agent_id,
        "agent_tags": None,
        "call_type": trace.call_type,
        "source": SOURCE,
        "org_id": actor.organization_id,
        "llm_config": {"handle": handle, "model": handle.partition("/")[2] or handle},
        "compaction_settings": None,
        "billing_context": None,
        "latency_ms": trace.duration_ns // 1_000_000,
        "created_at": wire_moment(trace.created_at),
        "updated_at": None,
        "created_by_id": None,
        "last_updated_by_id": None,
    }


def wire_spans(run: Run, steps: Sequence[Step], traces: Sequence[Trace], said: Sequence[Message]) -> list[WireObject]:
    """A run from its beginning to its end: its steps, and in each the call of the model and the tools."""
    root = _span(run.id, run.id, None, "agent_run", run.created_at, run.total_duration_ns)
    root["attributes"] = {
        "agent_id": run.agent_id,
        "conversation_id": run.conversation_id,
        "stop_reason": run.stop_reason,
        "step_count": run.step_count,
    }
    root["status"] = run.status
    spans = [root]
    if run.ttft_ns is not None:
        spans.append(_span(run.id, f"{run.id}:ttft", run.id, "time_to_first_token", run.created_at, run.ttft_ns))
    for step in steps:
        spans += _of_step(run, step, said)
    known = {step.id for step in steps}
    spans += [_of_call(trace, trace.step_id if trace.step_id in known else run.id) for trace in traces]
    return spans


def _of_step(run: Run, step: Step, said: Sequence[Message]) -> list[WireObject]:
    began = None if step.created_at is None else step.created_at - timedelta(microseconds=step.duration_ns // 1_000)
    span = _span(run.id, step.id, run.id, "agent_step", began, step.duration_ns)
    span["attributes"] = {"step_id": step.id, "number": step.number, "model": step.model}
    span["status"] = step.status
    calls = [call for message in said if message.step_id == step.id for call in message.tool_calls]
    if not calls:
        return [span]
    tools = _span(run.id, f"{step.id}:tools", step.id, "tool_execution", None, step.tools_duration_ns)
    tools["attributes"] = {"tools": [call.name for call in calls], "tool_call_ids": [call.id for call in calls]}
    return [span, tools]


def _of_call(trace: Trace, parent_id: str) -> WireObject:
    began = trace.created_at - timedelta(microseconds=trace.duration_ns // 1_000)
    span = _span(trace.run_id, trace.id, parent_id, "model_call", began, trace.duration_ns)
    error = trace.response.get("error")
    span["status"] = "success" if error is None else "failed"
    span["attributes"] = {
        "step_id": trace.step_id,
        "call_type": trace.call_type,
        "model": trace.model,
        "usage": trace.response.get("usage"),
        "error": error,
    }
    return span


def _span(
    trace_id: str, span_id: str, parent_id: str | None, name: str, began: datetime | None, duration_ns: int | None
) -> WireObject:
    attributes: JsonObject = {}
    return {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": parent_id,
        "span_name": name,
        "start_time": wire_moment(began),
        "duration_ns": duration_ns,
        "status": "success",
        "attributes": attributes,
    }
