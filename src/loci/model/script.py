r"""The directive language of the scripted model: lines in the newest user message that say what the model does.

    @say TEXT                 speak; the lines up to the next directive belong to it
    @think TEXT               think aloud
    @call TOOL {JSON}         call a tool; several in one step are parallel calls; the JSON is passed on as written
    @then                     the next step: what follows happens after the tool results have come back
    @repeat N TEXT            speak TEXT N times (a long stream of tokens)
    @wait SECONDS             pause
    @fail KIND                fail: rate_limit, context, auth, credits, timeout, overloaded, bad_request, refused,
                              empty (an answer with nothing in it) or cut (the connection breaks)
    @finish REASON            end with stop, length or content_filter
    @usage PROMPT COMPLETION  report these token counts

Lines before the first directive are ignored; a text without directives is no script. PURE.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import orjson

from loci.errors import ModelFault
from loci.types.json import JsonValue

Finish: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter"]

FAULTS: dict[str, ModelFault] = {
    "rate_limit": ModelFault.RATE_LIMIT,
    "context": ModelFault.CONTEXT_TOO_LONG,
    "auth": ModelFault.AUTHENTICATION,
    "credits": ModelFault.CREDITS,
    "timeout": ModelFault.TIMEOUT,
    "overloaded": ModelFault.OVERLOADED,
    "bad_request": ModelFault.BAD_REQUEST,
    "refused": ModelFault.REFUSED,
    "empty": ModelFault.BAD_REPLY,
    "cut": ModelFault.CONNECTION,
}
REPEATS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Say:
    """Words of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Think:
    """Reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is JSON text, unless the script wants it broken."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Fail:
    """The provider fails here."""

    fault: ModelFault


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause, on the clock seam."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class End:
    """Why the answer ends."""

    reason: Finish


@dataclass(frozen=True, slots=True)
class Bill:
    """The token counts to report."""

    prompt_tokens: int
    completion_tokens: int


Action: TypeAlias = Say | Think | Call | Fail | Wait | End | Bill
Step: TypeAlias = tuple[Action, ...]

_WORDS = ("say", "think", "call", "then", "repeat", "wait", "fail", "finish", "usage")
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
_DIRECTIVE = re.compile(rf"^[ \t]*@({'|'.join(_WORDS)})\b[ \t]?", re.MULTILINE)


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a script; none when the text has no directive. What cannot be read is said instead of done."""
    found = list(_DIRECTIVE.finditer(text))
    if not found:
        return ()
    steps: list[list[Action]] = [[]]
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=True):
        word, rest = match[1], text[match.end() : end].strip()
        if word == "then":
            steps.append([])
        else:
            steps[-1].append(_action(word, rest))
    return tuple(tuple(step) for step in steps)


def unwrapped(text: str) -> str:
    """What the user said: out of the JSON that MemGPT agents wrap it in, and without a client's reminders."""
    text = _REMINDER.sub("", text)
    if text.lstrip().startswith("{"):
        try:
            document: JsonValue = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        if isinstance(document, dict) and isinstance(document.get("message"), str):
            return str(document["message"])
    return text


def _action(word: str, rest: str) -> Action:
    head, _, tail = rest.partition(" ")
    action: Action | None = None
    match word:
        case "say":
            action = Say(rest)
        case "think":
            action = Think(rest)
        case "call" if rest:
            name, *arguments = rest.split(None, 1)
            action = Call(name, arguments[0] if arguments else "{}")
        case "repeat" if head.isdecimal() and tail:
            action = Say(" ".join([tail] * min(int(head), REPEATS_MAX)))
        case "fail" if rest in FAULTS:
            action = Fail(FAULTS[rest])
        case "wait" if re.fullmatch(r"\d+(\.\d+)?", rest):
            action = Wait(float(rest))
        case "finish" if rest in get_args(Finish):
            action = End(rest)  # pyright: ignore[reportArgumentType]  one of the literals, as just checked
        case "usage" if head.isdecimal() and tail.isdecimal():
            action = Bill(int(head), int(tail))
        case _:
            pass
    return action or Say(f"This line of the script makes no sense: @{word} {rest}".strip())
