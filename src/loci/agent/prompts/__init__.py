"""What agents are told: system prompts, summary prompts, and the notes of the system, in files beside this one.

These words decide whether agents remember. Notes of the system stand in user role as JSON with a `type`, so that a
model can tell them from the words of a person.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources

import orjson

from loci.agent.compile import time_text
from loci.types.agents import CompactionMode
from loci.types.messages import Kind, Part, Reasoning, Role, Text, ToolCall, ToolResult

BLOCK_DESCRIPTIONS: Mapping[str, str] = {
    "human": (
        "What you know about the person you are talking with: name, people close to them, work, places, plans with "
        "dates, likes and dislikes, and how they want to be spoken to. Update it whenever you learn something that "
        "will still matter later, and correct it when something changes."
    ),
    "persona": (
        "Who you are: your name, manner, values and what you are here for. Speak and act from it. Change it only when "
        "the person asks you to be different."
    ),
}
"""What blocks with well-known labels are for."""
SLEEPTIME_PERSONA = (
    "I keep in order what an agent knows. I am careful and brief: I write down what will still matter, with dates, I "
    "correct what has changed, and I leave alone what is good as it is."
)
PRESSURE_WARNING = (
    "Your context window is filling up; older messages will soon be hidden from view. If something in them will still "
    "matter and is not in your memory yet, save it now with your memory tools. The user does not see this note; do not "
    "mention it."
)
"""What an agent is told once when its window fills (MemGPT, arXiv 2310.08560, section 2.2)."""
_BOOT_THOUGHT = "I am awake for the first time. I will say hello, so that I see how my voice works."
_BOOT_WORDS = "Hello. I am here, and I will remember what we talk about."
_BOOT_CALL_ID = "call_first_words"


@cache
def _read(name: str) -> str:
    return (resources.files("loci.agent.prompts") / f"{name}.txt").read_text(encoding="utf-8").strip()


def system_prompt(name: str) -> str:
    """The default instructions of an agent kind (`AgentKind.prompt`)."""
    return _read(name)


def summary_prompt(mode: CompactionMode) -> str:
    """What a model is told when it summarises for compaction."""
    return _read("summary_self" if mode.startswith("self_compact") else f"summary_{mode}")


def alert_text(words: str, time: str) -> str:
    """A note of the system."""
    return _packed({"type": "system_alert", "message": words, "time": time})


def login_text(time: str) -> str:
    """The event that a person has come for the first time."""
    return _packed({"type": "login", "last_login": "Never (first login)", "time": time})


def heartbeat_text(reason: str, time: str) -> str:
    """The event that gives an agent control back."""
    return _packed({"type": "heartbeat", "reason": reason, "time": time})


def boot_messages(now: datetime, timezone: str) -> list[tuple[Role, Kind, tuple[Part, ...]]]:
    """The exchange that a new agent of the MemGPT family begins with: it shows the form in which it speaks."""
    time = time_text(now, timezone)
    arguments = _packed({"thinking": _BOOT_THOUGHT, "message": _BOOT_WORDS})
    call = ToolCall(_BOOT_CALL_ID, "send_message", arguments)
    result = ToolResult(_BOOT_CALL_ID, "send_message", "Sent message successfully.")
    return [
        (Role.ASSISTANT, Kind.PLAIN, (Reasoning(text=_BOOT_THOUGHT, native=False), call)),
        (Role.TOOL, Kind.PLAIN, (result,)),
        (Role.USER, Kind.LOGIN, (Text(login_text(time)),)),
    ]


def _packed(fields: dict[str, str]) -> str:
    return orjson.dumps(fields).decode()
