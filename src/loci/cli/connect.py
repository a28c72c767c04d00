"""The way to the agents: a server if one is named or runs here, else the data itself, opened in this process.

Commands see the public client either way. Whatever it raises leaves here as one of our errors.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import letta_client
from letta_client import Letta

import loci
from loci.cli import screen
from loci.cli.logs import configure_log
from loci.config import Settings, load
from loci.errors import LociError
from loci.store.owner import database_file, owner_of
from loci.types.json import JsonObject

_PROBE_TIMEOUT_S = 3.0
_URL = re.compile(r"https?://[^/\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A client, and where it leads: `base_url` is None when the data is open in this process."""

    client: Letta
    base_url: str | None
    settings: Settings
    version: str | None

    @property
    def place(self) -> str:
        """Where the agents are, as people write it."""
        if self.base_url:
            return self.base_url
        file = database_file(self.settings.database_url)
        return screen.short_path(file) if file else "memory"


@contextmanager
def connected(server: str | None, api_key: str | None) -> Generator[Connection]:
    """Reach the agents for the time of the block. Raises LociError: also in place of the client's own errors."""
    settings = load()
    connection = found_server(settings, server, api_key) or _in_process(settings)
    try:
        with connection.client:
            yield connection
    except letta_client.APIError as error:
        raise explained(error, connection.place) from error


def found_server(settings: Settings, server: str | None, api_key: str | None) -> Connection | None:
    """The server that is named, or that runs on this machine; None if none is named and none runs.

    Raises LociError if the named one does not answer.
    """
    if server:
        base_url = server.rstrip("/").removesuffix("/v1")
        if not _URL.match(base_url):
            raise LociError(f"'{server}' is no URL.", hint=f"Write it out: --server http://localhost:{settings.port}")
        found = _probe(settings, base_url, api_key)  # never the key of our own settings: this may be anybody
        if found is None:
            raise LociError(
                f"No server answers at {base_url}.", hint="Start it with `loci server`, or leave out --server."
            )
        return found
    key = api_key or settings.api_key
    file = database_file(settings.database_url)
    owner = owner_of(file) if file else None
    if owner and owner.address:
        return _probe(settings, owner.address, key)
    host = settings.host if settings.is_loopback else "127.0.0.1"
    return _probe(settings, f"http://{f'[{host}]' if ':' in host else host}:{settings.port}", key)


def _probe(settings: Settings, base_url: str, key: str | None) -> Connection | None:
    client = Letta(base_url=base_url, api_key=key or "none", timeout=_PROBE_TIMEOUT_S, max_retries=0)
    try:
        health = client.health()
    except letta_client.APIError:
        return None
    finally:
        client.close()
    # No limit of time: a run may take an hour, and the stream shows signs of life.
    lasting = Letta(base_url=base_url, api_key=key or "none", timeout=None)
    return Connection(client=lasting, base_url=base_url, settings=settings, version=health.version)


def _in_process(settings: Settings) -> Connection:
    # The terminal belongs to the command, so what a server would say on it goes to a file.
    configure_log(settings, settings.home / "loci.log")
    return Connection(client=loci.Loci(settings=settings), base_url=None, settings=settings, version=loci.__version__)


def explained(error: letta_client.APIError, place: str) -> LociError:
    """An error of the client in words for people."""
    match error:
        case letta_client.AuthenticationError():
            return LociError(
                f"{place} wants an API key.", hint="Give it with --api-key, or set LOCI_API_KEY or LETTA_API_KEY."
            )
        case letta_client.APIStatusError():
            return LociError(_detail(error.body) or f"{place} answered {error.status_code}.")
        case letta_client.APIConnectionError():
            return LociError(f"The connection to {place} broke off.", hint="`loci status` tells whether it runs.")
        case _:
            return LociError(f"{place} answered something unexpected: {error.message}")


def _detail(body: object) -> str | None:
    """The sentence in the body of an error, in either of its shapes, or in an event of a stream."""
    if not isinstance(body, dict):
        return None
    document = cast("JsonObject", body)
    inner = document.get("error")
    if isinstance(inner, dict):
        document = cast("JsonObject", inner)
    said = [document.get("message"), document.get("detail")]
    return " ".join(dict.fromkeys(text for text in said if isinstance(text, str) and text)) or None
