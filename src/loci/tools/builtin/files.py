"""The three tools for files: bring a file before the agent, find lines by a pattern, find stretches by meaning.

Patterns are matched by RE2, whose time grows with the text and not with what the pattern can be made to do
(https://swtch.com/~rsc/regexp/regexp1.html), so that no pattern can keep the server busy.
"""

import asyncio
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Protocol, cast

import orjson
import re2  # pyright: ignore[reportMissingTypeStubs]

from loci.clock import Clock
from loci.errors import ToolRefused
from loci.files import holding
from loci.files.finding import FolderSearch
from loci.files.viewing import Stretch
from loci.store import file_views, files, folders
from loci.store.base import Store, Transaction
from loci.tools.base import BuiltinTool, OutsideTool, ToolContext, ToolOutcome
from loci.tools.builtin.schemas import number, schema, text
from loci.tools.builtin.searches import number_in
from loci.types.actor import Actor
from loci.types.files import File, FileView
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import Effect, ToolSchema, ToolType

REQUESTS_MAX = 20
GREP_CHARS_MAX = 50_000_000
GREP_TIME_S = 10.0
PATTERN_MAX_CHARS = 1_000
MATCHES_A_PAGE = 20
CONTEXT_LINES_MAX = 10
LINE_MAX_CHARS = 500
RESULTS_MAX = 20

_HAVE = "<directories> shows what you have."
_PATH = "Name of the file as <directories> shows it: FOLDER/FILE."
OPEN = schema(
    "open_files",
    "Open files, or another part of one that is open: their lines are then in <directories> of your prompt, from the "
    "next step on, until you close them. Files that you used longest ago make room. Open what you need to read; to "
    "find where something stands, search first.",
    {
        "file_requests": {
            "type": "array",
            "description": "The files to open.",
            "items": {
                "type": "object",
                "properties": {
                    "file_name": text(_PATH),
                    "offset": number("The line to begin with, counted from 1. Left out: the first."),
                    "length": number("How many lines. Left out: as many as fit."),
                },
                "required": ["file_name"],
            },
        },
        "close_all_others": {
            "type": "boolean",
            "description": "Whether to close every other file.",
            "default": False,
        },
    },
    "file_requests",
)
GREP = schema(
    "grep_files",
    "Find the lines of your files that match a pattern (a regular expression in RE2 syntax, upper and lower case "
    "alike). Use it for names, numbers and exact words. It shows 20 matches at a time.",
    {
        "pattern": text("The regular expression."),
        "include": text("Only files whose name matches this, such as *.py or notes/*."),
        "context_lines": number("How many lines to show around each match.", default=1),
        "offset": number("How many matches to pass over, to see the next ones."),
    },
    "pattern",
)
SEARCH = schema(
    "semantic_search_files",
    "Find the stretches of your files that say something about a question, in whatever words. Use it when you do not "
    "know how it is put there.",
    {
        "query": text("What you want to know, as a question or in key words."),
        "limit": number("How many stretches to return, at most 20.", default=5),
    },
    "query",
)


def file_builtins(store: Store, clock: Clock, search: FolderSearch) -> dict[str, BuiltinTool]:
    """The tools for files, by name."""
    tools = FileTools(store, clock, search)
    offered: tuple[tuple[ToolSchema, Effect, OutsideTool], ...] = (
        (OPEN, "idempotent", tools.open_files),
        (GREP, "pure", tools.grep_files),
        (SEARCH, "pure", tools.semantic_search_files),
    )
    return {
        what.name: BuiltinTool(schema=what, tool_type=ToolType.FILES, effect=effect, outside=run)
        for what, effect, run in offered
    }


class FileTools:
    """What agents do with files."""

    def __init__(self, store: Store, clock: Clock, search: FolderSearch) -> None:
        self._store = store
        self._clock = clock
        self._search = search

    async def open_files(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Files before the agent."""
        views = await self._store.read(_looked, context, _wishes(args.get("file_requests")))
        opened, closed = await self._store.write(self._open, context, views, args.get("close_all_others") is True)
        words = [f"Opened: {', '.join(opened)}. Their lines are in your prompt now."]
        if closed:
            words.append(f"Closed to make room: {', '.join(closed)}.")
        return ToolOutcome(text=" ".join(words))

    def _open(
        self,
        tx: Transaction,
        context: ToolContext,
        views: list[FileView],
        alone: bool,  # noqa: FBT001  the argument of the tool
    ) -> tuple[list[str], list[str]]:
        actor, agent, now = context.actor, context.agent, self._clock.now()
        ids = [view.file.id for view in views]
        closed = holding.close_all(tx, actor, agent.id, but=ids) if alone else []
        for view in views:
            closed += holding.open_file(tx, actor, agent, view, now)
        gone = dict.fromkeys(file.path for file in closed if file.id not in ids)
        return list(dict.fromkeys(view.file.path for view in views)), list(gone)

    async def grep_files(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Lines by a pattern."""
        pattern = _compiled(args.get("pattern"))
        include = args.get("include")
        around = min(max(0, number_in(args, "context_lines", 1)), CONTEXT_LINES_MAX)
        offset = max(0, number_in(args, "offset", 0))
        grep = _Grep(self._clock, pattern, around=around, offset=offset)
        await self._look(context, grep, include if isinstance(include, str) else "*")
        if not grep.files:
            raise ToolRefused("You have no such file.", hint=_HAVE)
        return ToolOutcome(text=grep.answer())

    async def _look(self, context: ToolContext, grep: "_Grep", include: str) -> None:
        """Search folder by folder, by name, until there is no more file or the search is at its end."""
        for folder in await self._store.read(folders.of_agent, context.actor, context.agent.id):
            after = ""
            while page := await self._store.read(files.readable, context.actor, folder.id, after):
                after = page[-1].name
                for file in page:
                    if not _fits(file, include):
                        continue
                    if not grep.admits(file):
                        return
                    words = await self._store.read(files.text_of, context.actor, file.id) or ""
                    if not await asyncio.to_thread(grep.look, file.path, words):
                        return

    async def semantic_search_files(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Stretches by meaning and words."""
        query = args.get("query")
        if not isinstance(query, str) or not query.strip():
            raise ToolRefused("'query' must be a text.")
        held = await self._store.read(folders.of_agent, context.actor, context.agent.id)
        limit = min(max(1, number_in(args, "limit", 5)), RESULTS_MAX)
        hits = await self._search.search(context.actor, held, query[:10_000], limit)
        if not hits:
            return ToolOutcome(text="No results found.")
        rows: list[JsonValue] = [
            {
                "file_name": hit.chunk.path,
                "line": hit.chunk.line,
                "relevance": round(hit.score, 3),
                "content": hit.chunk.text,
            }
            for hit in hits
        ]
        answer = {"message": f"Showing {len(rows)} results; open_files shows more of a file.", "results": rows}
        return ToolOutcome(text=orjson.dumps(answer).decode())


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """The first match."""
        ...


_COMPILE = cast("Callable[[str, re2.Options], Pattern]", re2.compile)  # pyright: ignore[reportUnknownMemberType]
_PATTERN_ERROR = cast("type[Exception]", re2.error)  # pyright: ignore[reportUnknownMemberType]


class _Grep:
    """A search through one file after the other, bounded in text, time and matches."""

    def __init__(self, clock: Clock, pattern: Pattern, *, around: int, offset: int) -> None:
        self._clock = clock
        self._pattern = pattern
        self._around = around
        self._offset = offset
        self._chars_left = GREP_CHARS_MAX
        self._until_s = clock.monotonic_s() + GREP_TIME_S
        self._matches = 0
        self._blocks: list[str] = []
        self._stopped = ""
        self.files = 0
        """How many were there to be searched, so far."""

    def admits(self, file: File) -> bool:
        """Whether there is room and time for one more file."""
        self.files += 1
        self._chars_left -= file.chars
        if self._chars_left < 0:
            self._end(file.path, f"one search looks through {GREP_CHARS_MAX:,} characters")
        return self._chars_left >= 0 and self._has_time(file.path)

    def _has_time(self, place: str) -> bool:
        if self._clock.monotonic_s() > self._until_s:
            self._end(place, f"one search takes {GREP_TIME_S:.0f} seconds")
        return not self._stopped

    def _end(self, place: str, reason: str) -> None:
        self._stopped = (
            f"Not looked at: {place} and the files after it, by folder and name; {reason}. Narrow it with 'include'."
        )

    def look(self, path: str, words: str) -> bool:
        """Search a file; whether to go on with the next one."""
        lines = words.split("\n")
        for number_of, line in enumerate(lines, 1):
            if self._pattern.search(line):
                self._matches += 1
                if self._matches > self._offset + MATCHES_A_PAGE:
                    self._stopped = f"There are more: use offset={self._offset + MATCHES_A_PAGE}."
                    return False
                if self._matches > self._offset:
                    self._blocks.append(self._block(path, lines, number_of))
            if not number_of % 1_000 and not self._has_time(f"{path} from line {number_of + 1} on"):
                return False
        return True

    def _block(self, path: str, lines: list[str], at: int) -> str:
        first, last = max(1, at - self._around), min(len(lines), at + self._around)
        shown = [f"{'>' if n == at else ' '} {n}: {lines[n - 1][:LINE_MAX_CHARS]}" for n in range(first, last + 1)]
        return "\n".join([f"{path}, line {at}:", *shown])

    def answer(self) -> str:
        """What was found."""
        if not self._blocks:
            none = "No more matches." if self._offset else "No line matches."
            return f"{none} {self._stopped}".strip()
        head = f"Matches {self._offset + 1} to {self._offset + len(self._blocks)}."
        return "\n\n".join([f"{head} {self._stopped}".strip(), *self._blocks])


def _compiled(pattern: JsonValue) -> Pattern:
    if not isinstance(pattern, str) or not pattern:
        raise ToolRefused("'pattern' must be a text.")
    if len(pattern) > PATTERN_MAX_CHARS:
        raise ToolRefused(f"'pattern' is longer than {PATTERN_MAX_CHARS} characters.")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return _COMPILE(pattern, options)
    except _PATTERN_ERROR as error:
        raise ToolRefused(
            f"'pattern' is no regular expression: {_reason(error)}.",
            hint="RE2 syntax: no look-around and no back references; put \\ before . ( [ and the like.",
        ) from None


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _fits(file: File, include: str) -> bool:
    return any(fnmatch(name.lower(), include.lower()) for name in (file.path, file.name))


def _looked(tx: Transaction, context: ToolContext, wishes: list[tuple[str, Stretch]]) -> list[FileView]:
    """What the agent would see of the files that it wants."""
    actor, agent = context.actor, context.agent
    chosen = [_named(tx, actor, agent.id, path) for path, _ in wishes]
    if len({file.id for file in chosen}) > agent.max_files_open:
        raise ToolRefused(f"You may have {agent.max_files_open} files open.", hint="Ask for fewer.")
    return [holding.seen(tx, actor, agent, file, wish) for file, (_, wish) in zip(chosen, wishes, strict=True)]


def _named(tx: Transaction, actor: Actor, agent_id: str, path: str) -> File:
    """The file that is meant; a name without its folder will do where it is the only one."""
    found = file_views.named(tx, actor, agent_id, path.strip().strip("/"))
    if not found:
        raise ToolRefused(f"You have no file '{path}'.", hint=_HAVE)
    if len(found) > 1:
        raise ToolRefused(f"'{path}' is in more than one folder.", hint="Name it as FOLDER/FILE.")
    return found[0]


def _wishes(given: JsonValue) -> list[tuple[str, Stretch]]:
    items = given if isinstance(given, list) else [given]
    if not items or len(items) > REQUESTS_MAX:
        raise ToolRefused(f"'file_requests' must name 1 to {REQUESTS_MAX} files.")
    wishes: list[tuple[str, Stretch]] = []
    for item in items:
        wish: JsonObject = item if isinstance(item, Mapping) else {"file_name": item}
        name = wish.get("file_name")
        if not isinstance(name, str) or not name.strip():
            raise ToolRefused("Each of 'file_requests' must have a 'file_name'.")
        stretch = Stretch(
            first=max(1, number_in(wish, "offset", 1)),
            count=None if wish.get("length") is None else max(1, number_in(wish, "length", 1)),
        )
        wishes.append((name, stretch))
    return wishes
