"""A page of the web as text that a model reads well."""

import re
import warnings
from urllib.parse import urljoin

from loci.net import Fetched

_UNREAD = ("script", "style", "noscript", "template", "svg", "iframe", "canvas", "form", "nav")
_GAPS = re.compile(r"\n\s*\n\s*\n+")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def charset(page: Fetched) -> str | None:
    """The encoding that the server named."""
    found = _CHARSET.search(page.headers.get("content-type", ""))
    return found.group(1) if found else None


def decoded(page: Fetched) -> str:
    """Plain text, as it came."""
    try:
        return page.body.decode(charset(page) or "utf-8", errors="replace")
    except LookupError:
        return page.body.decode("utf-8", errors="replace")


def markdown(body: bytes, url: str, encoding: str | None) -> str:
    """A page's title and its main part, with whole addresses behind its links. Slow: call it in a thread."""
    from bs4 import BeautifulSoup  # noqa: PLC0415  see sizes.toml
    from markdownify import MarkdownConverter  # noqa: PLC0415  see sizes.toml

    warnings.filterwarnings("ignore", module="bs4")  # it suspects pages of being file names, or XML
    soup = BeautifulSoup(body, "html.parser", from_encoding=encoding)
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(_UNREAD):
        tag.decompose()
    for link in soup.find_all("a", href=True):
        link["href"] = _whole(url, str(link["href"]))
    part = soup.find("main") or soup.body or soup
    try:
        words = MarkdownConverter(heading_style="ATX", strip=["img"]).convert_soup(part)
    except RecursionError:  # hundreds of elements in each other
        words = part.get_text("\n", strip=True)
    words = _GAPS.sub("\n\n", words).strip()
    return f"Title: {title}\n\n{words}" if title else words


def _whole(url: str, href: str) -> str:
    try:
        return urljoin(url, href)
    except ValueError:
        return href
