"""What the doctor looks at. Each finding is one sentence about what is, and one about what to do."""

import platform
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import apsw

from loci import __version__
from loci.app import build_hired, build_models, build_reader, build_sandbox
from loci.cli import screen
from loci.cli.connect import found_server
from loci.cli.datafile import DataFile, LongBlock, newest_version, read_data_file
from loci.cli.sources import provider_fact
from loci.clock import SystemClock
from loci.config import Settings
from loci.errors import LociError, ProviderUnusable, StoreFailure
from loci.memfs.git import MISSING, MISSING_HINT, git_program
from loci.model.base import ModelInfo
from loci.model.brought import stored_config
from loci.model.demo import SETUP
from loci.model.known import ASSUMED_WINDOW_TOKENS
from loci.model.registry import SCRIPTED, ProviderRegistry, ProviderStatus
from loci.net import Door
from loci.sandbox.base import Sandbox
from loci.store.owner import database_file, owner_of
from loci.types.actor import Actor
from loci.vault import Vault

Level: TypeAlias = Literal["ok", "warn", "problem"]

_MEGABYTE = 1_000_000
_DISK_LOW_BYTES, _DISK_EMPTY_BYTES = 1_000 * _MEGABYTE, 100 * _MEGABYTE
_KEY_CHARS_MIN = 16
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look showed."""

    check: str
    level: Level
    message: str
    hint: str | None = None


def machine() -> Iterator[Finding]:
    """The versions of what Loci stands on."""
    yield Finding("loci", "ok", f"Loci {__version__} on Python {platform.python_version()}, {platform.system()}.")
    words = "ENABLE_FTS5" in apsw.compile_options
    if words:
        yield Finding("sqlite", "ok", f"SQLite {apsw.sqlite_lib_version()}, with full text search.")
    else:
        yield Finding("sqlite", "problem", "This SQLite has no full text search.", "Install apsw from PyPI again.")


def safety(settings: Settings) -> Iterator[Finding]:
    """Who can reach the server."""
    key, host = settings.api_key, settings.host
    if settings.is_loopback:
        asks = "and must send the API key" if key else "without a key"
        yield Finding("access", "ok", f"Only this machine can connect (to {host}), {asks}.")
    elif key is None:
        yield Finding(
            "access",
            "problem",
            f"The server would listen on {host} without an API key, so it refuses to start.",
            "Set LOCI_API_KEY to a long random text (openssl rand -hex 24), or LOCI_HOST to 127.0.0.1.",
        )
    elif len(key) < _KEY_CHARS_MIN:
        yield Finding(
            "access",
            "warn",
            f"The API key has only {len(key)} characters, and other machines can try to guess it.",
            "Choose a longer one: openssl rand -hex 24",
        )
    else:
        yield Finding("access", "ok", f"Other machines can connect to {host} with the API key.")


def port(settings: Settings) -> Iterator[Finding]:
    """Whether a server runs, or could."""
    file = database_file(settings.database_url)
    owner = owner_of(file) if file else None
    found = found_server(settings, None, None)
    if found is not None:
        yield Finding("server", "ok", f"A server runs at {found.base_url} (Loci {found.version}).")
    elif owner is not None:
        yield Finding("server", "ok", f"No server runs, but process {owner.pid} has the data open.")
    elif _is_free(settings):
        yield Finding("server", "ok", f"No server runs; port {settings.port} is free.", "Start it: loci server")
    else:
        yield Finding(
            "server",
            "problem",
            f"Port {settings.port} is taken by another program.",
            f"Stop that program, or set LOCI_PORT (or --port), for example to {settings.port + 1}.",
        )


def _is_free(settings: Settings) -> bool:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((settings.host, settings.port))
        except OSError:
            return False
    return True


def data(settings: Settings) -> Iterator[Finding]:
    """The data file: whole, of this version, with room to grow, and nobody else's business."""
    file = database_file(settings.database_url)
    if file is None:
        yield Finding("data", "warn", "Everything is kept in memory and gone when the server ends.", None)
        return
    place = screen.short_path(file)
    if not file.exists():
        yield Finding("data", "ok", f"{place} is not there yet; the first start makes it.")
        return
    try:
        found = read_data_file(file)
    except StoreFailure as error:
        yield Finding("data", "problem", error.message, error.advice)
        return
    yield _contents(place, found)
    yield from _health(file, found)
    if found.unfinished_runs:
        runs = screen.amount(found.unfinished_runs, "run")
        working = owner_of(file) is not None
        yield Finding("runs", "ok", f"{runs} under way." if working else f"{runs} will go on at the next start.")
    for block in found.long_blocks:
        yield _long_block(block)
    vault = Vault(settings.home)
    for organization_id, provider in found.providers:
        try:
            stored_config(vault, Actor(organization_id=organization_id), provider)
        except ProviderUnusable as error:
            yield Finding("providers", "problem", f"Of {organization_id}: {error.message}", error.advice)


def _contents(place: str, found: DataFile) -> Finding:
    held = [
        screen.amount(found.agents, "agent"),
        screen.amount(found.messages, "message"),
        screen.amount(found.passages, "passage"),
    ]
    size = f"{found.size_bytes / _MEGABYTE:,.1f} MB"
    return Finding("data", "ok", f"{place} ({size}) holds {', '.join(held)}.")


def _health(file: Path, found: DataFile) -> Iterator[Finding]:
    if found.faults:
        yield Finding(
            "integrity",
            "problem",
            f"The data file is damaged: {screen.preview('; '.join(found.faults))}",
            "Copy it away, and restore a backup, or rescue what is left: sqlite3 loci.db .recover",
        )
    else:
        yield Finding("integrity", "ok", "SQLite finds no fault in it.")
    newest = newest_version()
    if found.schema_version > newest:
        yield Finding(
            "schema",
            "problem",
            f"A newer Loci wrote it: schema {found.schema_version}, and this one knows {newest}.",
            "Install the newer Loci again, or restore a backup.",
        )
    elif found.schema_version < newest:
        yield Finding("schema", "ok", f"Schema {found.schema_version}; the next start brings it to {newest}.")
    free = f"{found.free_bytes / _MEGABYTE / 1_000:,.1f} GB free on its disk."
    if found.free_bytes < _DISK_EMPTY_BYTES:
        yield Finding("disk", "problem", f"Only {free}", "Make room: when the disk is full, nothing can be saved.")
    elif found.free_bytes < _DISK_LOW_BYTES:
        yield Finding("disk", "warn", f"Only {free}", "Make room before it is full.")
    else:
        yield Finding("disk", "ok", free)
    if not found.is_private:
        hint = f"chmod 700 {screen.short_path(file.parent)}"
        yield Finding("privacy", "warn", "Other users of this machine can read the data.", hint)


def _long_block(block: LongBlock) -> Finding:
    who = f" of {block.agents}" if block.agents else ""
    return Finding(
        "blocks",
        "warn",
        f"Block '{block.label}'{who} is over its limit: {block.used_chars:,} of {block.limit_chars:,} characters.",
        f"Shorten it, or raise its limit ({block.id}); until then the agent cannot add to it.",
    )


def git() -> Finding:
    """Whether the memory of agents can be read and written as git repositories."""
    program = git_program()
    if program is None:
        return Finding("git", "warn", MISSING, MISSING_HINT)
    return Finding("git", "ok", f"{program}: agents' memory can be cloned.")


async def sandbox(settings: Settings) -> Sequence[Finding]:
    """Whether tools from source can be run, and what keeps them apart from this machine: tried now."""
    clock = SystemClock()
    found = [await _sandbox(build_sandbox(settings, clock))]
    hired = build_hired(settings, clock)
    if hired is not None:
        seen = await _sandbox(hired)
        words = "Where an organisation has set E2B up (POST /v1/sandbox-config/e2b/default): "
        found.append(replace(seen, message=words + seen.message))
    return [*found, await _reading(settings)]


async def _sandbox(found: Sandbox) -> Finding:
    try:
        standing = await found.standing()
    finally:
        await found.close()
    level: Level = "ok" if standing.ok and standing.hint is None else "warn"
    return Finding("sandbox", level, standing.message, standing.hint)


async def _reading(settings: Settings) -> Finding:
    reader = build_reader(settings, Door())
    try:
        standing = await reader.standing()
    finally:
        await reader.close()
    return Finding("files", "ok" if standing.ok else "warn", standing.message, standing.hint)


async def models(settings: Settings, origins: Mapping[str, str]) -> Sequence[Finding]:
    """The places where models come from, the default model and the embedding, all asked now."""
    registry = build_models(settings, clock=SystemClock())
    try:
        statuses = await registry.status()
        listed = await registry.list_models()
        found = [*_providers(statuses, origins)]
        broken = [f"{status.name}: {status.error}" for status in statuses if status.configured and not status.ok]
        found.append(await _default_model(settings, registry, listed, origins, broken=broken))
        found.append(await _embedding(registry))
    finally:
        await registry.aclose()
    return found


def _providers(statuses: Sequence[ProviderStatus], origins: Mapping[str, str]) -> Iterator[Finding]:
    for status in statuses:
        name, where = status.name, status.base_url or "its usual address"
        origin = f" ({origins.get(provider_fact(name), 'default')})" if status.configured else ""
        if status.ok:
            yield Finding(name, "ok", f"{name}{origin}: {screen.amount(status.model_count, 'model')} at {where}.")
        elif status.configured:
            yield Finding(
                name,
                "problem",
                f"{name}{origin} does not answer as it should at {where}: {screen.preview(status.error or '', 160)}",
                "Check the key and the address, and whether the server runs.",
            )
        else:
            yield Finding(name, "ok", f"No {name} at {where}; it is found by itself once it runs.")
        if status.assumed_windows:
            named = ", ".join(status.assumed_windows[:_NAMED_MAX])
            more = len(status.assumed_windows) - _NAMED_MAX
            yield Finding(
                name,
                "warn",
                f"Nobody says how large the window is of {named}{f' and {more} more' if more > 0 else ''}: "
                f"{ASSUMED_WINDOW_TOKENS:,} tokens are assumed.",
                f'In config.toml: [models."{status.assumed_windows[0]}"] context_window = …',
            )


async def _default_model(
    settings: Settings,
    registry: ProviderRegistry,
    listed: Sequence[ModelInfo],
    origins: Mapping[str, str],
    *,
    broken: Sequence[str],
) -> Finding:
    handle = settings.default_model or registry.default_model or SCRIPTED
    if handle == SCRIPTED:
        what = f"No language model: agents get {SCRIPTED}, a script of few phrases."
        hint = f"Mend what is set up. {screen.preview('; '.join(broken), 160)}" if broken else SETUP
        return Finding("model", "warn", what, hint)
    try:
        model = await registry.model(handle)
    except LociError as error:
        return Finding("model", "problem", f"The default model is not there. {error.message}", error.advice)
    if settings.default_model:
        chosen = f"chosen by {origins.get('default_model', 'config.toml')}"
    else:
        chosen = f"the first choice of {screen.amount(len(listed) - 1, 'model')}; LOCI_MODEL takes another"
    return Finding("model", "ok", f"Agents get {handle} ({model.info.window_tokens:,} tokens), {chosen}.")


async def _embedding(registry: ProviderRegistry) -> Finding:
    handle = registry.default_embedder
    if handle is None:
        return Finding("embedding", "ok", "None: archives are searched by words only (LOCI_EMBEDDING=none).")
    try:
        embedder = await registry.embedder(handle)
        await embedder.embed(["a test"])
    except LociError as error:
        return Finding("embedding", "problem", f"{handle} does not work: {error.message}", error.advice)
    return Finding("embedding", "ok", f"Archives are searched by words and by meaning, with {handle}.")
