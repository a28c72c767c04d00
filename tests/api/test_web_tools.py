"""Agents read pages of the web and search it, through a door to nothing private that nobody opened."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from loci.config import WebSettings, load
from loci.testing.live import live_settings
from tests.api.talk import Talk, call, talking

PAGE = b"""<!doctype html><html><head><title>Bread &amp; salt</title><style>p{}</style></head><body><nav>Home</nav>
<main><h1>Bread</h1><script>alert(1)</script><p>Take <b>flour</b>, see <a href="/salt">salt</a>.</p>
<ul><li>water</li></ul></main></body></html>"""


@dataclass
class Web:
    """A small web server of one machine. `asked` is what it was sent: first line, headers, body."""

    port: int = 0
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, path: str, body: bytes, media: str = "text/html; charset=utf-8", status: int = 200) -> str:
        self.answers[path] = (status, media, body)
        return self.url + path

    def finds(self, *rows: dict[str, Any]) -> None:
        self.says("/search", orjson.dumps({"results": rows}), "application/json")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((head[0], headers, orjson.loads(body) if body else None))
        path = head[0].split(" ")[1].partition("?")[0]
        status, media, answer = self.answers.get(path, (404, "text/plain", b"no"))
        where = f"location: {media}\r\n" if status == 302 else f"content-type: {media}\r\n"
        writer.write(
            f"HTTP/1.1 {status} X\r\n{where}content-length: {len(answer)}\r\nconnection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def talking_of_web(
    folder: Path, settings_of: Callable[[str], WebSettings] = lambda _: WebSettings()
) -> AsyncIterator[tuple[Talk, Web]]:
    """An agent with both tools, and a web server; by default no setting opens the way to it."""
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    settings = replace(live_settings(folder), web=settings_of(web.url))
    async with server, talking(folder, settings=settings) as talk:
        for name in ("fetch_webpage", "web_search"):
            found = (await talk.sdk.tools.list(name=name)).items[0]
            assert found.tool_type == "letta_builtin"
            await talk.sdk.agents.tools.attach(found.id, agent_id=talk.agent_id)
        yield talk, web


def opened(url: str) -> WebSettings:
    return WebSettings(hosts=(url.removeprefix("http://"),))


async def run(talk: Talk, name: str, **args: Any) -> tuple[str, Any]:
    """Status and text of a call."""
    ran = await talk.sdk.agents.tools.run(name, agent_id=talk.agent_id, args=args)
    return ran.status, ran.func_return


async def test_the_model_reads_a_page_as_markdown(tmp_path):
    async with talking_of_web(tmp_path, opened) as (talk, web):
        url = web.says("/bread", PAGE)
        said = await talk.say("Look.", [call("fetch_webpage", orjson.dumps({"url": url}).decode())], "Flour.")
        returned = next(item for item in said.messages if item.message_type == "tool_return_message")
        assert returned.status == "success"
        assert returned.tool_return == (
            f"URL: {url}\n\nTitle: Bread & salt\n\n# Bread\n\nTake **flour**, see [salt]({web.url}/salt).\n\n* water"
        )


async def test_pages_that_are_no_html_are_read_as_they_are_or_not_at_all(tmp_path):
    async with talking_of_web(tmp_path, opened) as (talk, web):
        plain = web.says("/data", b'{"a": "\xc3\xa4"}', "application/json")
        assert await run(talk, "fetch_webpage", url=plain) == ("success", f'URL: {plain}\n\n{{"a": "ä"}}')
        latin = web.says("/latin", b"<p>\xe4</p>", "text/html; charset=iso-8859-1")
        assert (await run(talk, "fetch_webpage", url=latin))[1].endswith("ä")
        deep = web.says("/deep", b"<div>" * 3_000 + b"bottom" + b"</div>" * 3_000)
        assert (await run(talk, "fetch_webpage", url=deep))[1].endswith("bottom")
        for path, body, media, status, words in [
            ("/pdf", b"%PDF", "application/pdf", 200, "application/pdf"),
            ("/gone", b"", "text/html", 410, "410"),
            ("/huge", b"x" * 2_000_001, "text/plain", 200, "2000000 can be read"),
        ]:
            status_of, text = await run(talk, "fetch_webpage", url=web.says(path, body, media, status))
            assert (status_of, words in text) == ("error", True), text


async def test_nothing_private_is_read_whatever_it_is_called(tmp_path):
    async with talking_of_web(tmp_path) as (talk, web):
        web.says("/bread", PAGE)
        for url in (
            f"{web.url}/bread",
            f"http://localhost:{web.port}/bread",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::ffff:127.0.0.1]/",
            "http://0x7f000001/",
            "ftp://127.0.0.1/",
            "",
        ):
            status, text = await run(talk, "fetch_webpage", url=url)
            assert status == "error", text
        assert web.asked == []


async def test_an_opened_host_does_not_lead_on_to_a_private_one(tmp_path):
    async with talking_of_web(tmp_path, opened) as (talk, web):
        away = web.says("/away", b"", "http://169.254.169.254/latest", status=302)
        status, text = await run(talk, "fetch_webpage", url=away)
        assert status == "error"
        assert "not on the public internet" in text or "not open" in text


async def test_an_exa_key_of_the_agent_searches(tmp_path):
    async with talking_of_web(tmp_path, lambda url: WebSettings(exa_url=url, searxng_url=url)) as (talk, web):
        await talk.sdk.agents.update(talk.agent_id, secrets={"EXA_API_KEY": "exa-secret"})
        web.finds(
            {"title": "Bread", "url": "https://b.example", "publishedDate": "2026-01-02", "highlights": ["a", "b"]}
        )
        status, text = await run(
            talk, "web_search", query="bread", num_results=3, category="news", include_domains=["b.example"],
            start_published_date="2026-01-01", user_location="DE",
        )  # fmt: skip
        assert status == "success", text
        row = {"title": "Bread", "url": "https://b.example", "published_date": "2026-01-02", "excerpt": "a … b"}
        assert orjson.loads(text) == {"query": "bread", "results": [row]}
        ((line, headers, body),) = web.asked
        assert (line, headers["x-api-key"]) == ("POST /search HTTP/1.1", "exa-secret")
        assert body == {
            "query": "bread", "numResults": 3, "type": "auto", "contents": {"highlights": True}, "category": "news",
            "includeDomains": ["b.example"], "startPublishedDate": "2026-01-01", "userLocation": "DE",
        }  # fmt: skip


async def test_a_tavily_key_of_the_server_searches(tmp_path):
    async with talking_of_web(tmp_path, lambda url: WebSettings(tavily_key="tvly-1", tavily_url=url)) as (talk, web):
        web.finds({"title": "Bread", "url": "https://b.example", "content": "Flour.", "raw_content": "Flour, water."})
        _, text = await run(talk, "web_search", query="bread", include_text=True, num_results=25, user_location="DE")
        row = {"title": "Bread", "url": "https://b.example", "excerpt": "Flour.", "text": "Flour, water."}
        assert orjson.loads(text) == {"query": "bread", "results": [row], "ignored_arguments": ["user_location"]}
        _, headers, body = web.asked[0]
        assert headers["authorization"] == "bearer tvly-1"
        assert body == {"query": "bread", "max_results": 20, "include_raw_content": True}
        web.says("/search", b"{}", "application/json", status=401)
        status, text = await run(talk, "web_search", query="bread")
        assert (status, "TAVILY_API_KEY" in text, "tvly-1" in text) == ("error", True, False)


async def test_a_searxng_of_the_operator_searches_and_results_are_held_to_the_question(tmp_path):
    async with talking_of_web(tmp_path, lambda url: WebSettings(searxng_url=url + "/")) as (talk, web):
        web.finds(
            {"title": "New", "url": "https://www.b.example/1", "content": "x", "publishedDate": "2026-02-01T00:00:00"},
            {"title": "Old", "url": "https://b.example/2", "publishedDate": "2020-02-01T00:00:00"},
            {"title": "Elsewhere", "url": "https://notb.example/3"},
            {"title": "Broken", "url": "https://[/"},
        )
        _, text = await run(
            talk, "web_search", query="bread", include_domains=["b.example"], start_published_date="2026-01-01"
        )
        assert [row["title"] for row in orjson.loads(text)["results"]] == ["New"]
        assert web.asked[0][0] == "GET /search?q=bread+site%3Ab.example&format=json HTTP/1.1"
        web.says("/search", b"<html>", status=200)
        status, text = await run(talk, "web_search", query="bread")
        assert (status, "search.formats" in text) == ("error", True)


async def test_a_searxng_of_an_agent_must_be_public(tmp_path):
    async with talking_of_web(tmp_path) as (talk, web):
        await talk.sdk.agents.update(talk.agent_id, secrets={"SEARXNG_URL": web.url})
        web.finds()
        assert (await run(talk, "web_search", query="bread"))[0] == "error"
        assert web.asked == []


async def test_without_a_service_the_model_reads_how_to_set_one_up(tmp_path):
    async with talking_of_web(tmp_path) as (talk, _):
        status, text = await run(talk, "web_search", query="bread")
        assert status == "error"
        assert all(name in text for name in ("EXA_API_KEY", "TAVILY_API_KEY", "SEARXNG_URL"))


def test_settings_of_the_web_come_from_the_environment(tmp_path):
    found = load(
        {"EXA_API_KEY": "e", "SEARXNG_URL": "http://sx:8080", "LOCI_WEB_HOSTS": "Wiki.lan, 10.0.0.1:80"}, home=tmp_path
    )
    assert found.web == WebSettings(exa_key="e", searxng_url="http://sx:8080", hosts=("wiki.lan", "10.0.0.1:80"))
