"""Runs and steps as the Letta V1 API shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from loci.api.wire_messages import WireObject
from loci.store.conversations import default_id
from loci.store.rows import maybe_time_text
from loci.types.actor import DEFAULT_PROJECT
from loci.types.json import JsonValue
from loci.types.runs import Run, Step
from loci.types.usage import Usage

_REQUEST_CONFIG = (
    "use_assistant_message",
    "assistant_message_tool_name",
    "assistant_message_tool_kwarg",
    "include_return_message_types",
)
REQUEST_CONFIG = "request_config"
"""Key of a run's metadata under which its request's wishes for the telling are kept; on the wire it is a field."""


def wire_moment(moment: datetime | None) -> str | None:
    """A time of anything but a message: with microseconds, in UTC."""
    return maybe_time_text(moment)


def wire_run(run: Run) -> WireObject:
    """One run."""
    config = run.metadata.get(REQUEST_CONFIG)
    metadata = {key: value for key, value in run.metadata.items() if key != REQUEST_CONFIG}
    if run.error:
        metadata["error"] = run.error
    return {
        "id": run.id,
        "status": run.status,
        "created_at": wire_moment(run.created_at),
        "completed_at": wire_moment(run.completed_at),
        "agent_id": run.agent_id,
        # The main thread has no conversation of its own on the wire.
        "conversation_id": None if run.conversation_id == default_id(run.agent_id) else run.conversation_id,
        "base_template_id": run.base_template_id,
        "background": run.background,
        "metadata": metadata,
        "request_config": {key: config.get(key) for key in _REQUEST_CONFIG} if isinstance(config, Mapping) else None,
        "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        "callback_url": run.callback_url,
        "callback_sent_at": None,
        "callback_status_code": None,
        "callback_error": None,
        "ttft_ns": run.ttft_ns,
        "total_duration_ns": run.total_duration_ns,
    }


def wire_run_usage(run: Run) -> WireObject:
    """What a run used up."""
    return _usage(run.usage)


def wire_run_metrics(run: Run, tools_used: Sequence[str]) -> WireObject:
    """How long a run took and what it called."""
    return {
        "id": run.id,
        "agent_id": run.agent_id,
        "project_id": run.project_id or DEFAULT_PROJECT,
        "run_start_ns": _nanoseconds(run.created_at),
        "run_ns": run.total_duration_ns,
        "num_steps": run.step_count,
        "tools_used": list(tools_used),
        "template_id": run.template_id,
        "base_template_id": run.base_template_id,
    }


def wire_step(step: Step) -> WireObject:
    """One step."""
    error = step.error or {}
    kind = error.get("error_type")
    return {
        "id": step.id,
        "run_id": step.run_id,
        "agent_id": step.agent_id,
        "model": step.model.partition("/")[2] or step.model,
        "model_handle": step.model if "/" in step.model else f"{step.provider}/{step.model}",
        "model_endpoint": None,
        "provider_name": step.provider,
        "provider_category": "base",
        "provider_id": None,
        "context_window_limit": step.context_window_tokens,
        **_usage(step.usage),
        "cached_input_tokens": step.usage.cached_input_tokens,
        "cache_write_tokens": step.usage.cache_write_tokens,
        "reasoning_tokens": step.usage.reasoning_tokens,
        "status": step.status,
        "stop_reason": None if step.stop_reason is None else step.stop_reason.value,
        "error_type": kind if isinstance(kind, str) else None,
        "error_data": step.error,
        "feedback": step.feedback,
        "tags": list(step.tags),
        "messages": [],
        "origin": None,
        "project_id": step.project_id or DEFAULT_PROJECT,
        "request_id": None,
        "tid": step.transaction_id,
        "trace_id": step.run_id,
    }


def wire_step_metrics(step: Step) -> WireObject:
    """How long a step took, by what it waited for."""
    start = _nanoseconds(step.created_at)
    return {
        "id": step.id,
        "run_id": step.run_id,
        "agent_id": step.agent_id,
        "provider_id": None,
        "step_start_ns": start,
        "llm_request_start_ns": start,
        "llm_request_ns": step.model_duration_ns,
        "tool_execution_ns": step.tools_duration_ns,
        "step_ns": step.duration_ns,
        "project_id": step.project_id or DEFAULT_PROJECT,
        "template_id": step.template_id,
        "base_template_id": step.base_template_id,
    }


def _usage(usage: Usage) -> WireObject:
    prompt: JsonValue = None
    if usage.cached_input_tokens is not None or usage.cache_write_tokens is not None:
        prompt = {
            "cached_tokens": usage.cached_input_tokens,
            "cache_read_tokens": usage.cached_input_tokens,
            "cache_creation_tokens": usage.cache_write_tokens,
        }
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": None
        if usage.reasoning_tokens is None
        else {"reasoning_tokens": usage.reasoning_tokens},
    }


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000) * 1_000
