"""The context of an agent for the viewer: the very texts that are sent, part by part, with their estimated tokens."""

from datetime import datetime

from loci.agent.apart import for_thread
from loci.agent.context import Bundle, Window
from loci.agent.opening import is_fresh, load_bundle, load_window
from loci.agent.recompile import compile_now
from loci.agent.turn import Kit
from loci.api.core import Core
from loci.api.wire_messages import WireObject
from loci.api.wire_stored import wire_stored
from loci.model.tokens import START, estimate, messages_bytes, text_bytes
from loci.store import conversations, messages, passages
from loci.store.base import Transaction
from loci.store.passages import PassageFilter
from loci.store.rows import integer, text
from loci.types.actor import Actor
from loci.types.json import JsonValue
from loci.types.messages import Kind


async def wire_context(core: Core, actor: Actor, agent_id: str, conversation_id: str | None) -> WireObject:
    """ContextWindowOverview. Raises NotFound."""
    target = conversation_id if conversation_id not in (None, "default") else conversations.default_id(agent_id)
    return await core.store.write(_overview, core.kit, actor, agent_id, target or "", core.clock.now())


def _overview(tx: Transaction, kit: Kit, actor: Actor, agent_id: str, target: str, now: datetime) -> WireObject:
    head = conversations.head(tx, actor, target, agent_id)
    conversation = conversations.from_row(head)
    stamp = (integer(head, "memory_version"), text(head, "agent_updated_at"))
    bundle = load_bundle(tx, kit.caches, actor, agent_id, stamp)
    if conversation.is_apart:
        bundle = for_thread(tx, actor, bundle, conversation)
    window = load_window(tx, kit.caches, actor, conversation)
    compiled = compile_now(tx, actor, bundle.agent, bundle.blocks, bundle.tools, conversation, now=now)
    fresh = is_fresh(conversation, bundle, window.system, now)
    parts: dict[str, str] = {}
    for name, part in compiled.parts:
        parts[name] = parts.get(name, "") + part
    counts = (messages.count_talk(tx, agent_id), passages.count(tx, actor, PassageFilter(agent_id=agent_id)))
    return _shown(kit, bundle, window, parts, window.system.text if fresh else compiled.text, counts)


def _shown(
    kit: Kit, bundle: Bundle, window: Window, parts: dict[str, str], system: str, counts: tuple[int, int]
) -> WireObject:
    ratio = kit.ratios.get(bundle.agent.model, START)

    def tokens(value: str) -> int:
        return estimate(text_bytes(value), ratio)

    summaries = [message for message in window.messages if message.kind is Kind.SUMMARY]
    talk = [message for message in window.messages if message.kind is not Kind.SUMMARY]
    summary = "\n".join(message.text for message in summaries)
    functions: list[JsonValue] = [
        {
            "type": "function",
            "function": {"name": schema.name, "description": schema.description, "parameters": schema.parameters},
        }
        for schema in bundle.schemas.values()
    ]
    costs = {
        "num_tokens_system": tokens(parts.get("system", "")),
        "num_tokens_core_memory": tokens(parts.get("core_memory", "")),
        "num_tokens_external_memory_summary": tokens(parts.get("external_memory_summary", "")),
        "num_tokens_tool_usage_rules": tokens(parts.get("tool_usage_rules", "")),
        "num_tokens_memory_filesystem": 0,
        "num_tokens_directories": tokens(parts.get("directories", "")),
        "num_tokens_summary_memory": estimate(messages_bytes(summaries), ratio),
        "num_tokens_functions_definitions": estimate(bundle.schemas_bytes, ratio),
        "num_tokens_messages": estimate(messages_bytes(talk), ratio),
    }
    return {
        "context_window_size_max": bundle.agent.context_window_tokens,
        "context_window_size_current": sum(costs.values()),
        "num_messages": len(window.messages),
        "num_recall_memory": counts[0],
        "num_archival_memory": counts[1],
        **costs,
        "system_prompt": system,
        "core_memory": parts.get("core_memory", ""),
        "external_memory_summary": parts.get("external_memory_summary", ""),
        "tool_usage_rules": parts.get("tool_usage_rules"),
        "memory_filesystem": None,
        "directories": parts.get("directories"),
        "summary_memory": summary or None,
        "functions_definitions": functions,
        "messages": [wire_stored(message) for message in window.messages],
    }
