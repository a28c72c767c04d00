"""How a run goes on after a step. Pure: one place for all the reasons to end or to go on."""

from collections.abc import Sequence
from dataclasses import dataclass

from loci.agent.toolcalls import Prepared
from loci.agent.turn import Turn, Work
from loci.errors import MODEL_FAULT_STATUS, LociError, ModelFault
from loci.model.base import Failed
from loci.tools import rules
from loci.types.messages import ToolResult
from loci.types.runs import Ending, StopReason
from loci.types.tools import PastCall

_FAULT_REASONS = {
    ModelFault.BAD_REPLY: StopReason.INVALID_LLM_RESPONSE,
    ModelFault.CREDITS: StopReason.INSUFFICIENT_CREDITS,
    ModelFault.CONTEXT_TOO_LONG: StopReason.CONTEXT_WINDOW_OVERFLOW,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """`ending` None means: go on. `alert` is a note that the agent is given on the way."""

    ending: Ending | None = None
    alert: str | None = None


GO_ON = Decision()
DONE = Decision(Ending(reason=StopReason.END_TURN))


def decide(turn: Turn, work: Work, prepared: Sequence[Prepared], results: Sequence[ToolResult]) -> Decision:
    """What the calls of a step and their results mean for the run. Questions that wait end it for now."""
    if any(item.asks is not None for item in prepared):
        return Decision(Ending(reason=StopReason.REQUIRES_APPROVAL))
    decision = _wish(turn, work, prepared, results)
    tool_rules = turn.bundle.agent.tool_rules
    ends = decision.ending is not None and decision.ending.reason in (StopReason.END_TURN, StopReason.TOOL_RULE)
    if ends and tool_rules:
        past = turn.window.past_calls() + [
            PastCall(name=r.name, output=r.text, ok=r.status == "success") for r in results
        ]
        missing = rules.missing_before_exit(tool_rules, turn.bundle.tools, past)
        if missing:
            decision = Decision(alert=f"Your turn cannot end before you have called: {', '.join(missing)}.")
    if decision.ending is None:
        return _bounded(turn, results) or decision
    return decision


def _wish(turn: Turn, work: Work, prepared: Sequence[Prepared], results: Sequence[ToolResult]) -> Decision:
    if work.finish == "length":
        detail = "Raise max_output_tokens of the agent's model settings."
        return Decision(Ending(reason=StopReason.MAX_TOKENS_EXCEEDED, message="The answer was cut off.", detail=detail))
    if not prepared:
        return DONE
    worked = [result.name for result in results if result.status == "success"]
    continuation = rules.after(turn.bundle.agent.tool_rules, worked)
    if continuation == "stop":
        return Decision(Ending(reason=StopReason.TOOL_RULE))
    if continuation == "go_on" or not turn.kind.heartbeats:
        return GO_ON
    failed = len(worked) < len(results)
    return GO_ON if failed or any(item.heartbeat for item in prepared) else DONE


def _bounded(turn: Turn, results: Sequence[ToolResult]) -> Decision | None:
    """The end that a bound sets to a run that would go on."""
    # Parallel calls fail before the model has read of any, and what people decide is no failure of the model.
    own = [result for result in results if result.status == "error" and result.call_id not in turn.replies]
    for key, result in {f"{result.name}: {result.text}": result for result in own}.items():
        turn.failures[key] = turn.failures.get(key, 0) + 1
        if turn.failures[key] >= turn.limits.repeated_failures_max:
            text = f"The tool '{result.name}' failed {turn.failures[key]} times in the same way."
            return Decision(_ending(StopReason.INVALID_TOOL_CALL, "repeated_tool_failure", text, result.text))
    limits = turn.limits
    if turn.step_count >= limits.steps_max:
        return Decision(Ending(reason=StopReason.MAX_STEPS))
    if limits.total_tokens_max is not None and turn.usage.total_tokens >= limits.total_tokens_max:
        text = f"The run used {turn.usage.total_tokens} tokens, of {limits.total_tokens_max} that it may."
        return Decision(_ending(StopReason.ERROR, "token_budget", text, "Raise limits.tokens in config.toml."))
    if limits.cost_usd_max is not None and turn.usage.cost_usd >= limits.cost_usd_max:
        text = f"The run cost ${turn.usage.cost_usd:.4f}, of ${limits.cost_usd_max:.4f} that it may."
        return Decision(_ending(StopReason.ERROR, "cost_budget", text, "Raise limits.usd in config.toml."))
    return None


def _ending(reason: StopReason, error_type: str, message: str, detail: str) -> Ending:
    return Ending(reason=reason, error_type=error_type, message=message, detail=detail, status_code=400)


def broken(error: LociError) -> Ending:
    """The end that an error of ours means."""
    return Ending(
        reason=StopReason.ERROR,
        error_type=type(error).__name__,
        message=error.message,
        detail=error.advice,
        status_code=error.status,
    )


def failed(failure: Failed) -> Ending:
    """The end that a model provider's failure means."""
    return Ending(
        reason=_FAULT_REASONS.get(failure.fault, StopReason.LLM_API_ERROR),
        error_type=failure.fault.value,
        message=failure.message,
        detail=failure.detail,
        status_code=MODEL_FAULT_STATUS[failure.fault],
    )
