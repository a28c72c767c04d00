"""Compiling the system prompt: instructions, core memory, rules and a few numbers, always in the same layout. Pure.

The order is stable, slow, volatile, and equal inputs give equal bytes, so that a provider's prompt cache holds until
memory changes. The layout is the one that Letta V1 agents know.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.clock import zone_named
from loci.types.agents import Agent
from loci.types.files import Directory, FileView
from loci.types.json import JsonObject
from loci.types.memory import Block

TODAY = "- Today is %A, %Y-%m-%d"
"""The line that is an agent's only calendar; a prompt of another day is compiled anew."""
CORE_MEMORY = "{CORE_MEMORY}"
"""Where memory goes in a system text that has this placeholder; at the end in one that has not."""

_OUR_ENDS = re.compile(r"</(?=\s*(?:value|file|directory|directories|memory_blocks|memory_metadata)\b)", re.IGNORECASE)
"""What a file may not say: it would end the place that the prompt gives it."""

_LINE_NOTE = "# NOTE: line numbers below are only a view. Never write them into memory."


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMetadata:
    """The numbers at the end of the prompt, as they stood when it was compiled."""

    compiled_at: datetime
    recall_count: int
    archival_count: int = 0
    tags: tuple[str, ...] = ()
    conversation_label: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPrompt:
    """The prompt and the parts that it is made of: joined, they are the text byte for byte."""

    text: str
    parts: tuple[tuple[str, str], ...]


def compile_system(  # noqa: PLR0913  what a prompt is made of
    agent: Agent,
    blocks: Sequence[Block],
    *,
    rules_text: str,
    metadata: PromptMetadata,
    line_numbers: bool = False,
    skills: Sequence[JsonObject] = (),
    directories: Sequence[Directory] = (),
) -> CompiledPrompt:
    """The system prompt of an agent."""
    memory: list[tuple[str, str]] = []
    if blocks:
        memory.append(("core_memory", _core_memory(blocks, line_numbers=line_numbers) + "\n\n"))
    if rules_text:
        memory.append(("tool_usage_rules", rules_section(rules_text)))
    if directories:
        memory.append(("directories", _directories(agent, directories) + "\n\n"))
    if skills:
        memory.append(("skills", _skills(skills) + "\n\n"))
    memory.append(("external_memory_summary", _metadata(agent, metadata)))
    before, found, behind = agent.system.partition(CORE_MEMORY)
    if found:
        parts = [("system", before), *memory, ("system", behind)]
    else:
        parts = [("system", agent.system.rstrip() + "\n\n" if agent.system.strip() else ""), *memory]
    kept = tuple((name, text) for name, text in parts if text)
    return CompiledPrompt(text="".join(text for _, text in kept), parts=kept)


def rules_section(words: str) -> str:
    """The part of a prompt that tells the tool rules."""
    return f"<tool_usage_rules>\n{words}\n</tool_usage_rules>\n\n"


def _core_memory(blocks: Sequence[Block], *, line_numbers: bool) -> str:
    body = "\n\n".join(_block(block, line_numbers=line_numbers) for block in blocks)
    return (
        "<memory_blocks>\nThe following memory blocks are currently engaged in your core memory unit:\n\n"
        f"{body}\n\n</memory_blocks>"
    )


def _block(block: Block, *, line_numbers: bool) -> str:
    facts = ["- read_only=true"] if block.read_only else []
    facts += [f"- chars_current={len(block.value)}", f"- chars_limit={block.limit_chars}"]
    value = block.value
    if line_numbers:
        numbered = "\n".join(f"{number}→ {line}" for number, line in enumerate(value.split("\n"), 1))
        value = f"{_LINE_NOTE}\n{numbered}"
    return (
        f"<{block.label}>\n<description>\n{block.description or ''}\n</description>\n"
        f"<metadata>\n{chr(10).join(facts)}\n</metadata>\n<value>\n{value}\n</value>\n</{block.label}>"
    )


def _directories(agent: Agent, directories: Sequence[Directory]) -> str:
    opened = sum(seen.is_open for directory in directories for seen in directory.views)
    lines = [
        "<directories>",
        "<file_limits>",
        f"- current_files_open={opened}",
        f"- max_files_open={agent.max_files_open}",
        "</file_limits>",
    ]
    for directory in directories:
        lines += _directory(agent, directory)
    return "\n".join([*lines, "</directories>"])


def _directory(agent: Agent, directory: Directory) -> list[str]:
    folder = directory.folder
    lines = [f'<directory name="{folder.name}">']
    if folder.description:
        lines += ["<description>", _defused(folder.description), "</description>"]
    if folder.instructions:
        lines += ["<instructions>", _defused(folder.instructions), "</instructions>"]
    for seen in directory.views:
        lines += _file(agent, seen)
    if directory.left_out:
        lines.append(f"[{directory.left_out} more files: find them with grep_files or semantic_search_files]")
    return [*lines, "</directory>"]


def _file(agent: Agent, seen: FileView) -> list[str]:
    path = f"{seen.file.folder_name}/{seen.file.name}"
    if not seen.is_open:
        return [f'<file status="closed" name="{path}"/>']
    shown = _defused(seen.shown or "")
    return [
        f'<file status="open" name="{path}">',
        "<metadata>",
        "- read_only=true",
        f"- chars_current={len(shown)}",
        f"- chars_limit={agent.per_file_view_window_limit_chars}",
        "</metadata>",
        "<value>",
        shown,
        "</value>",
        "</file>",
    ]


def _defused(text: str) -> str:
    return _OUR_ENDS.sub("<\\\\/", text)


def _skills(skills: Sequence[JsonObject]) -> str:
    lines = [
        f"- {skill.get('name', '')}: {skill.get('description', '')} ({skill.get('location', '')})"
        for skill in skills
        if isinstance(skill, Mapping)  # pyright: ignore[reportUnnecessaryIsInstance]  client data
    ]
    return "<available_skills>\n" + "\n".join(lines) + "\n</available_skills>"


def _metadata(agent: Agent, metadata: PromptMetadata) -> str:
    lines = [
        f"- AGENT_ID: {agent.id}",
        f"- CONVERSATION_ID: {metadata.conversation_label}",
        metadata.compiled_at.astimezone(zone_named(agent.timezone)).strftime(TODAY),
        f"- System prompt last recompiled: {time_text(metadata.compiled_at, agent.timezone)}",
        f"- {metadata.recall_count} previous messages between you and the user are stored in recall memory",
    ]
    if metadata.archival_count:
        lines.append(
            f"- {metadata.archival_count} total memories you created are stored in archival memory "
            "(use tools to access them)"
        )
    if metadata.tags:
        lines.append(f"- Available archival memory tags: {', '.join(metadata.tags)}")
    return "<memory_metadata>\n" + "\n".join(lines) + "\n</memory_metadata>"


def time_text(moment: datetime, timezone: str) -> str:
    """A time as agents are told it, in their own zone; an unknown zone means UTC."""
    return moment.astimezone(zone_named(timezone)).strftime("%Y-%m-%d %I:%M:%S %p %Z%z")
