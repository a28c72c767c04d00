"""What the scripted model says when nobody gave it a script: an honest demonstration of memory.

It understands a handful of English phrases, keeps facts with the memory tool that the agent has, and answers from the
memory block in its prompt. It always says that it is no language model, and what would give the agent a real one. PURE.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loci.model.script import Call, Say, Step
from loci.types.json import JsonObject
from loci.types.messages import Message, Role, ToolResult
from loci.types.tools import ToolSchema

SETUP = (
    "For a real model, set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY and start the server again, or just "
    "start Ollama or LM Studio on this machine: they are found by themselves. An agent that is there already keeps "
    "the stand-in until you choose another model in its settings."
)
WHO = "I am a scripted stand-in, not a language model: I only understand a few phrases."

_ABOUT_CHARS = 200
_SUMMARY_LINES = 12
_SUMMARY_LINE_CHARS = 160

_NAME = re.compile(r"\b(?:my name is|my name's|call me)\s+([^.,;!?\n]{1,60}?)(?=\s+and\b|[.,;!?\n]|$)", re.IGNORECASE)
_REMEMBER = re.compile(r"\bremember(?:\s+that|\s*:)?\s+([^\n]+)", re.IGNORECASE)
_TASTE = re.compile(r"\bi (?:really )?(like|love|prefer|enjoy|hate|dislike)\s+([^.!?\n]+)", re.IGNORECASE)
_PLACE = re.compile(r"\bi (live in|live at|work as|work at|work for|come from)\s+([^.!?\n]+)", re.IGNORECASE)
_QUESTION = re.compile(
    r"who am i\b|what(?:'s| is) my name|(?:what|anything) (?:do )?you (?:know|remember)|do you (?:know|remember)"
    r"|what do i (?:like|love|prefer|enjoy|hate|dislike)|tell me (?:what you know|about me)",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"<(?P<label>[\w.-]+)>\s*<description>.*?<value>\n?(?P<value>.*?)\n?</value>", re.DOTALL)
_TOLD = re.compile(r"^\[[\d :-]+\] ([a-z ]+): (.+)$", re.MULTILINE)
"""What one said, in a transcript."""
_SPEAKERS = {"user": "User", "assistant": "Agent"}
_SUMMARISE = re.compile(r"summar", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the demonstration looks at: prompt, tools by name, what was said last and what has happened since."""

    system: str
    messages: Sequence[Message]
    tools: Mapping[str, ToolSchema]
    said: str
    since: Sequence[Message]


def play(scene: Scene) -> Step:
    """One step of the demonstration."""
    if not scene.tools and _SUMMARISE.search(scene.system + scene.said):
        return (Say(summary(scene.messages)),)
    results = [result for message in scene.since for result in message.tool_results]
    if results:
        return (Say(_after(results[-1], fact_in(scene.said))),)
    if _QUESTION.search(scene.said):
        return (Say(_recall(scene.system)),)
    fact = fact_in(scene.said)
    if fact is None:
        return (Say(_small_talk(scene.said)),)
    if any(fact in value for value in blocks(scene.system).values()):
        return (Say(f"I know: “{fact}” is in my memory already. {WHO}"),)
    call = _keep(fact, scene)
    return (call,) if call else (Say(f"This agent has no tool to write its memory with, so I cannot keep that. {WHO}"),)


def fact_in(said: str) -> str | None:
    """The fact that the user wants kept, in few words; None if there is none."""
    if match := _NAME.search(said):
        return f"Name: {match[1].strip()}"
    if said.rstrip().endswith("?"):
        return None
    if match := _REMEMBER.search(said):
        return match[1].strip().rstrip(".!")
    if match := _TASTE.search(said) or _PLACE.search(said):
        verb, rest = match[1].lower(), match[2].strip()
        head, _, tail = verb.partition(" ")
        return f"{head.capitalize()}s {tail} {rest}".replace("  ", " ")
    return None


def blocks(system: str) -> dict[str, str]:
    """The memory blocks that the prompt shows, by label."""
    return {match["label"]: match["value"].strip() for match in _BLOCK.finditer(system)}


def summary(messages: Sequence[Message]) -> str:
    """The first sentence of each thing that was said, the newest ones if there are too many. A transcript may be given
    as one message.
    """
    said = [
        told
        for message in messages
        if message.role in (Role.USER, Role.ASSISTANT) and message.text.strip()
        for told in _TOLD.findall(message.text) or [(message.role, message.text)]
    ]
    lines = [f"{_SPEAKERS.get(speaker, speaker.capitalize())}: {_first_sentence(text)}" for speaker, text in said]
    kept = lines[-_SUMMARY_LINES:]
    return "\n".join(["Summary (extracted by the scripted model):", *kept])


def _first_sentence(text: str) -> str:
    first = re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0]
    return first if len(first) <= _SUMMARY_LINE_CHARS else first[: _SUMMARY_LINE_CHARS - 1] + "…"


def _keep(fact: str, scene: Scene) -> Call | None:
    labels = list(blocks(scene.system))
    label = "human" if "human" in labels or not labels else labels[0]
    choices: dict[str, JsonObject] = {
        "memory_insert": {"label": label, "new_string": fact, "insert_line": -1},
        "core_memory_append": {"label": label, "content": fact},
        "memory": {"command": "insert", "path": f"/memories/{label}", "insert_line": -1, "insert_text": fact},
        "archival_memory_insert": {"content": fact},
    }
    for name, arguments in choices.items():
        if name in scene.tools and (labels or name == "archival_memory_insert"):
            return Call(name, json.dumps(arguments, ensure_ascii=False))
    return None


def _after(result: ToolResult, fact: str | None) -> str:
    if result.status == "error":
        return f"I tried to keep that, but {result.name} answered: {result.text[:_ABOUT_CHARS]}"
    if fact is None:
        return f"{result.name} answered: {result.text[:_ABOUT_CHARS]}"
    return f"I have written “{fact}” into my memory with {result.name}, and will know it in every later talk. {WHO}"


def _recall(system: str) -> str:
    known = blocks(system).get("human", "")
    if not known:
        return f"My memory of you is empty so far. Tell me your name, or what you like, and I will keep it. {WHO}"
    return f"This is what my memory says about you:\n{known}"


def _small_talk(said: str) -> str:
    heard = f"You said: “{_first_sentence(said)}”. " if said.strip() else ""
    return (
        f"{heard}{WHO} But this agent's memory is real: tell me “my name is …”, “I like …” or “remember that …”, "
        f"and later ask “what do you know about me?”. {SETUP}"
    )
