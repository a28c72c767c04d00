"""The two searches of an agent in its own past, paged and bounded so that a result never overflows its window."""

from datetime import datetime, time, timedelta, tzinfo

import orjson

from loci.clock import zone_named
from loci.errors import ToolRefused
from loci.memory.archive import ArchiveQuery, ArchiveSearch
from loci.memory.excerpt import excerpt
from loci.memory.recall import Recall, RecallHit, RecallQuery
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import Role, Trust

RESULTS_MAX = 50
RESULT_CHARS_MAX = 2_000
PAGE_CHARS_MAX = 20_000

_KNOWN = {Trust.USER, Trust.OPERATOR, Trust.AGENT, Trust.SYSTEM}
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}


class Searches:
    """The search tools."""

    def __init__(self, recall: Recall, archive: ArchiveSearch) -> None:
        self._recall = recall
        self._archive = archive
        self._clock = recall.clock

    async def conversation_search(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """What was said."""
        zone = zone_named(context.agent.timezone)
        roles = args.get("roles")
        names = [str(role) for role in roles] if isinstance(roles, list) else []
        unknown = [name for name in names if name not in _ROLES]
        if unknown:
            raise ToolRefused(f"There is no role '{unknown[0]}'.", hint=f"Use {', '.join(_ROLES)}.")
        limit, offset = number_in(args, "limit", 5), number_in(args, "offset", 0)
        query = RecallQuery(
            text=_words(args),
            roles=tuple(_ROLES[name] for name in names),
            since=_moment(args, "start_date", zone, ends=False),
            until=_moment(args, "end_date", zone, ends=True),
            before_run_id=context.run_id,
            limit=min(max(1, limit), RESULTS_MAX),
            offset=max(0, offset),
        )
        if names == ["tool"]:
            return ToolOutcome(text="No results found. What tools returned is not searched, only what was said.")
        page = await self._recall.search(context.actor, context.agent.id, query)
        now = self._clock.now()
        rows = [_said(hit, query.text, zone, now) for hit in page.hits]
        return _page(rows, page.total, query.offset)

    async def archival_memory_search(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """What was noted."""
        zone = zone_named(context.agent.timezone)
        tags = args.get("tags")
        mode = args.get("tag_match_mode")
        if mode not in (None, "any", "all"):
            raise ToolRefused("'tag_match_mode' must be 'any' or 'all'.")
        query = ArchiveQuery(
            text=_words(args),
            tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
            match_all_tags=mode == "all",
            since=_moment(args, "start_datetime", zone, ends=False),
            until=_moment(args, "end_datetime", zone, ends=True),
            limit=min(max(1, number_in(args, "top_k", 10)), RESULTS_MAX),
            offset=max(0, number_in(args, "offset", 0)),
        )
        page = await self._archive.search(context.actor, context.agent.id, query)
        rows: list[dict[str, JsonValue]] = [
            {
                "id": hit.passage.id,
                "timestamp": _local(hit.passage.created_at or self._clock.now(), zone),
                "content": excerpt(hit.passage.text, query.text, RESULT_CHARS_MAX),
                "tags": list(hit.passage.tags),
                "relevance": round(hit.score, 3),
                **_source(hit.passage.trust),
            }
            for hit in page.hits
        ]
        return _page(rows, page.total, query.offset)


def _page(rows: list[dict[str, JsonValue]], total: int, offset: int) -> ToolOutcome:
    """Rows as JSON, as many as may be shown at once, with how to see the next ones."""
    if not rows:
        return ToolOutcome(text="No results found." if offset == 0 else f"No more results: there are {total}.")
    kept: list[dict[str, JsonValue]] = []
    chars = 0
    for row in rows:
        chars += len(str(row.get("content")))
        if kept and chars > PAGE_CHARS_MAX:
            break
        kept.append(row)
    answer: dict[str, JsonValue] = {"message": f"Showing {len(kept)} of {total} results:", "results": kept}
    if offset + len(kept) < total:
        answer["next_offset"] = offset + len(kept)
    return ToolOutcome(text=orjson.dumps(answer).decode())


def _source(trust: Trust) -> dict[str, JsonValue]:
    """Where a text came from, if it is neither the agent's own nor its people's: then it is to be believed less."""
    return {} if trust in _KNOWN else {"source": trust.value}


def _said(hit: RecallHit, query: str, zone: tzinfo, now: datetime) -> dict[str, JsonValue]:
    return {
        "timestamp": _local(hit.message.created_at, zone),
        "time_ago": ago(now - hit.message.created_at),
        "role": hit.message.role.value,
        "relevance": round(hit.score, 3),
        "content": excerpt(hit.text, query, RESULT_CHARS_MAX),
        **_source(hit.message.trust),
    }


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")


def ago(span: timedelta) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"


def _words(args: JsonObject) -> str:
    query = args.get("query")
    return query if isinstance(query, str) else ""


def number_in(args: JsonObject, name: str, default: int) -> int:
    """A whole number among the arguments of a tool."""
    value = args.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolRefused(f"'{name}' must be a whole number.")
    return int(value)


def _moment(args: JsonObject, name: str, zone: tzinfo, *, ends: bool) -> datetime | None:
    """A time in the agent's zone; a date alone means its whole day."""
    value = args.get(name)
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ToolRefused(
            f"'{name}' is '{value}', which is no date.", hint="Use 2026-03-01 or 2026-03-01T18:00."
        ) from None
    if len(value.strip()) == len("2026-03-01") and ends:
        moment = datetime.combine(moment.date(), time.max)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
