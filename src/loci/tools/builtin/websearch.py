"""Three search services behind one question. Pure: what to send, and what an answer means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from loci.config import WebSettings
from loci.types.json import JsonObject, JsonValue, list_of, objects_of, text_of

TEXT_CHARS_MAX = 10_000
_TAVILY_MAX = 20
_DATE_CHARS = len("2026-03-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is looked for. `given` names the arguments that were used; dates are ISO texts."""

    query: str
    limit: int
    category: str | None
    with_text: bool
    include_domains: Sequence[str]
    exclude_domains: Sequence[str]
    since: str | None
    until: str | None
    country: str | None
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One result."""

    title: str
    url: str
    published: str = ""
    author: str = ""
    excerpt: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent to a service."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A service. `variable` holds its key (or its address) in an agent's secrets."""

    name: str
    variable: str
    advice: str
    of_server: Callable[[WebSettings], str | None]
    base_url: Callable[[WebSettings], str | None]
    """Where the operator says it is. None: the key is the address."""
    request: Callable[[Ask, str, str | None], Request]
    results: Callable[[Mapping[str, JsonValue], Ask], Sequence[Found]]
    ignores: frozenset[str] = frozenset()


def _exa_request(ask: Ask, key: str, base: str | None) -> Request:
    wanted: dict[str, JsonValue] = (
        {"text": {"maxCharacters": TEXT_CHARS_MAX}} if ask.with_text else {"highlights": True}
    )
    body: dict[str, JsonValue] = {"query": ask.query, "numResults": ask.limit, "type": "auto", "contents": wanted}
    more: dict[str, JsonValue] = {
        "category": ask.category,
        "includeDomains": [*ask.include_domains],
        "excludeDomains": [*ask.exclude_domains],
        "startPublishedDate": ask.since,
        "endPublishedDate": ask.until,
        "userLocation": ask.country,
    }
    body |= {name: value for name, value in more.items() if value}
    return Request(url=f"{base}/search", headers={"x-api-key": key, "content-type": "application/json"}, body=body)


def _exa_results(document: Mapping[str, JsonValue], ask: Ask) -> Sequence[Found]:  # noqa: ARG001  one shape for all
    return [
        Found(
            title=text_of(row, "title") or "",
            url=text_of(row, "url") or "",
            published=text_of(row, "publishedDate") or "",
            author=text_of(row, "author") or "",
            excerpt=" … ".join(str(item) for item in list_of(row.get("highlights"))),
            text=text_of(row, "text") or "",
        )
        for row in _rows(document)
    ]


def _tavily_request(ask: Ask, key: str, base: str | None) -> Request:
    body: dict[str, JsonValue] = {"query": ask.query, "max_results": min(ask.limit, _TAVILY_MAX)}
    more: dict[str, JsonValue] = {
        "topic": {"news": "news", "financial report": "finance"}.get(ask.category or ""),
        "include_raw_content": ask.with_text,
        "include_domains": [*ask.include_domains],
        "exclude_domains": [*ask.exclude_domains],
        "start_date": (ask.since or "")[:_DATE_CHARS],
        "end_date": (ask.until or "")[:_DATE_CHARS],
    }
    body |= {name: value for name, value in more.items() if value}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return Request(url=f"{base}/search", headers=headers, body=body)


def _tavily_results(document: Mapping[str, JsonValue], ask: Ask) -> Sequence[Found]:  # noqa: ARG001  one shape for all
    return [
        Found(
            title=text_of(row, "title") or "",
            url=text_of(row, "url") or "",
            published=text_of(row, "published_date") or "",
            excerpt=text_of(row, "content") or "",
            text=text_of(row, "raw_content") or "",
        )
        for row in _rows(document)
    ]


def _searxng_request(ask: Ask, address: str, base: str | None) -> Request:  # noqa: ARG001  one shape for all
    words = ask.query
    if len(ask.include_domains) == 1:
        words = f"{words} site:{ask.include_domains[0]}"
    query = {"q": words, "format": "json"}
    if category := {"news": "news", "research paper": "science", "github": "it"}.get(ask.category or ""):
        query["categories"] = category
    return Request(
        url=f"{address.rstrip('/')}/search?{urlencode(query)}", method="GET", headers={"accept": "application/json"}
    )


def _searxng_results(document: Mapping[str, JsonValue], ask: Ask) -> Sequence[Found]:
    found = [
        Found(
            title=text_of(row, "title") or "",
            url=text_of(row, "url") or "",
            published=text_of(row, "publishedDate") or "",
            excerpt=text_of(row, "content") or "",
        )
        for row in _rows(document)
    ]
    return [item for item in found if _fits(item, ask)]


def _fits(item: Found, ask: Ask) -> bool:
    """What SearXNG itself does not ask of its engines. A result without a date is kept."""
    try:
        host = (urlsplit(item.url).hostname or "").lower()
    except ValueError:
        return False
    day = item.published[:_DATE_CHARS]
    if day and ((ask.since and day < ask.since[:_DATE_CHARS]) or (ask.until and day > ask.until[:_DATE_CHARS])):
        return False
    if ask.include_domains and not any(_within(host, domain) for domain in ask.include_domains):
        return False
    return not any(_within(host, domain) for domain in ask.exclude_domains)


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _rows(document: Mapping[str, JsonValue]) -> list[JsonObject]:
    return [row for row in objects_of(document.get("results")) if row.get("url")]


SEARCHES = (
    Search(
        name="Exa",
        variable="EXA_API_KEY",
        advice="EXA_API_KEY is not taken; whoever set it can mend it.",
        of_server=lambda settings: settings.exa_key,
        base_url=lambda settings: settings.exa_url,
        request=_exa_request,
        results=_exa_results,
    ),
    Search(
        name="Tavily",
        variable="TAVILY_API_KEY",
        advice="TAVILY_API_KEY is not taken; whoever set it can mend it.",
        of_server=lambda settings: settings.tavily_key,
        base_url=lambda settings: settings.tavily_url,
        request=_tavily_request,
        results=_tavily_results,
        ignores=frozenset({"user_location"}),
    ),
    Search(
        name="SearXNG",
        variable="SEARXNG_URL",
        advice="SEARXNG_URL must name a SearXNG server whose settings list 'json' under search.formats.",
        of_server=lambda settings: settings.searxng_url,
        base_url=lambda _: None,
        request=_searxng_request,
        results=_searxng_results,
        ignores=frozenset({"user_location", "include_text"}),
    ),
)
"""In the order in which they are tried."""
