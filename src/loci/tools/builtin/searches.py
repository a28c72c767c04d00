"""The two searches of an agent in its own past, paged and bounded so that a result never overflows its window."""

from datetime import UTC, datetime, time, timedelta, tzinfo

import orjson

from loci.errors import ToolRefused
from loci.memory.archive import ArchiveQuery, ArchiveSearch
from loci.memory.recall import Recall, RecallHit, RecallQuery
from loci.store.turns import zone_named
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import Role

RESULTS_MAX = 50
RESULT_CHARS_MAX = 2_000
PAGE_CHARS_MAX = 20_000

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}


class Searches:
    """The search tools."""

    def __init__(self, recall: Recall, archive: ArchiveSearch) -> None:
        self._recall = recall
        self._archive = archive

    async def conversation_search(self, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """What was said."""
        zone = zone_named(context.agent.timezone)
        roles = args.get("roles")
        names = [str(role) for role in roles] if isinstance(roles, list) else []
        unknown = [name for name in names if name not in _ROLES]
        if unknown:
            raise ToolRefused(f"There is no role '{unknown[0]}'.", hint=f"Use {', '.join(_ROLES)}.")
        limit, offset = _number(args, "limit", 5), _number(args, "offset", 0)
        query = RecallQuery(
            text=_words(args),
            roles=tuple(_ROLES[name] for name in names if name != "tool"),
            since=_moment(args, "start_date", zone, ends=False),
            until=_moment(args, "end_date", zone, ends=True),
            limit=min(max(1, limit), RESULTS_MAX),
            offset=max(0, offset),
        )
        page = await self._recall.search(context.actor, context.agent.id, query)
        now = datetime.now(UTC)
        rows = [_said(hit, zone, now) for hit in page.hits]
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
            limit=min(max(1, _number(args, "top_k", 10)), RESULTS_MAX),
            offset=max(0, _number(args, "offset", 0)),
        )
        page = await self._archive.search(context.actor, context.agent.id, query)
        rows: list[dict[str, JsonValue]] = [
            {
                "id": hit.passage.id,
                "timestamp": _local(hit.passage.created_at or datetime.now(UTC), zone),
                "content": hit.passage.text[:RESULT_CHARS_MAX],
                "tags": list(hit.passage.tags),
                "relevance": round(hit.score, 3),
            }
            for hit in page.hits
        ]
        return _page(rows, page.total, query.offset)


def _page(rows: list[dict[str, JsonValue]], total: int, offset: int) -> ToolOutcome:
    """Rows as JSON, as many as may be shown at once, with how to see the next ones."""
    if not rows:
        return ToolOutcome(text="No results found.")
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


def _said(hit: RecallHit, zone: tzinfo, now: datetime) -> dict[str, JsonValue]:
    return {
        "timestamp": _local(hit.message.created_at, zone),
        "time_ago": ago(now - hit.message.created_at),
        "role": hit.message.role.value,
        "relevance": round(hit.score, 3),
        "content": hit.text[:RESULT_CHARS_MAX],
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


def _number(args: JsonObject, name: str, default: int) -> int:
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
