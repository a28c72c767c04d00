"""All settings in one value: defaults, then `config.toml` in the data folder, then the environment.

Nothing else in the package reads the environment. `config.example` in the docs lists every key; `loci doctor` shows
where each value came from.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from loci.errors import BadRequest
from loci.model.base import ModelOverride, ProviderConfig
from loci.model.hosts import HOSTED, LOCAL, hosted, v1
from loci.types.json import JsonObject, JsonValue

DEFAULT_PORT = 8283
NO_WALLS = "none-i-understand"
SANDBOXES = ("auto", "namespaces", "bubblewrap", "landlock", "seatbelt", "e2b", "daytona", "off", NO_WALLS)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class McpSettings:
    """What the operator allows MCP servers, and how long they may take."""

    stdio: bool | None = None
    """Whether clients may register commands that are started on this machine. None: if it serves this machine alone."""
    hosts: tuple[str, ...] = ()
    """Private hosts that MCP servers may be on, as `name` or `name:port`."""
    connect_timeout_s: float = 20.0
    call_timeout_s: float = 60.0
    idle_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose machines tools run on, at a service that lends them. `template` is what they are made from."""

    key: str | None = field(default=None, repr=False)
    url: str
    machine_url: str | None = None
    """Where machines are reached, if not under an address of their own."""
    domain: str = ""
    template: str | None = None
    region: str | None = None


E2B_DOMAIN, DAYTONA_URL = "e2b.app", "https://app.daytona.io/api"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Where tools from source run. `kind`: one of SANDBOXES; `auto` is the strongest that this machine has.

    `network`: whether a tool that asks for it may reach the public internet, and then the private `tool_hosts`, too.
    `hosts`: private hosts that machines for hire may be on; they are no way for tools.
    """

    kind: str = "auto"
    network: bool = True
    call_timeout_s: float = 180.0
    e2b: Account = Account(url=f"https://api.{E2B_DOMAIN}", domain=E2B_DOMAIN)
    daytona: Account = Account(url=DAYTONA_URL)
    hosts: tuple[str, ...] = ()
    tool_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What agents search the web with when they bring no key of their own, and private hosts they may read pages of."""

    exa_key: str | None = field(default=None, repr=False)
    exa_url: str = "https://api.exa.ai"
    tavily_key: str | None = field(default=None, repr=False)
    tavily_url: str = "https://api.tavily.com"
    searxng_url: str | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """Whether the requests to models and their answers are kept, for how long, and how much of them (compressed)."""

    kept: bool = True
    kept_days: float = 7.0
    kept_bytes: int = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the operator can choose. Built by `load`, or directly in tests."""

    home: Path
    database_url: str
    """`sqlite:///path` (the default) or `sqlite://:memory:`."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    api_key: str | None = None
    """The key that clients must send. None is only allowed on loopback."""
    default_model: str | None = None
    default_embedding: str | None = "loci/wordllama"
    """Embedding of new archives; None (LOCI_EMBEDDING=none) searches by words only."""
    providers: tuple[ProviderConfig, ...] = ()
    overrides: Mapping[str, ModelOverride] = field(default_factory=dict[str, ModelOverride])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"
    model_timeout_s: float = 600.0
    model_connect_timeout_s: float = 10.0
    ping_interval_s: float = 20.0
    body_limit_bytes: int = 50_000_000
    run_steps_max: int = 50
    run_duration_s_max: float = 3_600.0
    run_tokens_max: int | None = None
    run_cost_usd_max: float | None = None
    stream_retention_s: float = 10_800.0
    cors_origins: tuple[str, ...] = ()
    durability: Literal["full", "normal"] = "full"
    mcp: McpSettings = field(default_factory=McpSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    web: WebSettings = field(default_factory=WebSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)
    provider_hosts: tuple[str, ...] = ()
    """Private hosts that providers brought by users may be on, as `name` or `name:port`."""
    public_url: str | None = None
    """Where browsers of people reach this server, if not under the address that clients use."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK


def load(environment: Mapping[str, str] | None = None, *, home: Path | None = None) -> Settings:
    """Read the settings. Raises BadRequest with the name of the key that is wrong."""
    env = os.environ if environment is None else environment
    folder = home or Path(env.get("LOCI_HOME") or Path.home() / ".loci").expanduser()
    document = _read_file(folder / "config.toml")
    server = _table(document, "server")
    base = Settings(
        home=folder,
        database_url=env.get("LOCI_DATABASE_URL") or _text(server, "database_url") or f"sqlite:///{folder / 'loci.db'}",
        host=env.get("LOCI_HOST") or _text(server, "host") or "127.0.0.1",
        port=_port(env.get("LOCI_PORT") or server.get("port") or DEFAULT_PORT),
        api_key=env.get("LOCI_API_KEY") or env.get("LETTA_SERVER_PASSWORD") or _text(server, "api_key"),
        providers=_providers(env, _table(document, "providers")),
        overrides=_overrides(_table(document, "models")),
        aliases={key: str(value) for key, value in _table(document, "aliases").items()},
    )
    return _with_choices(base, env, document)


def _with_choices(base: Settings, env: Mapping[str, str], document: JsonObject) -> Settings:
    server, limits = _table(document, "server"), _table(document, "limits")
    embedding = env.get("LOCI_EMBEDDING") or _text(server, "embedding") or base.default_embedding
    log_format = env.get("LOCI_LOG_FORMAT") or _text(server, "log_format") or "text"
    durability = env.get("LOCI_DURABILITY") or _text(server, "durability") or "full"
    if log_format not in ("text", "json"):
        raise BadRequest(f"LOCI_LOG_FORMAT is '{log_format}', but must be 'text' or 'json'.")
    if durability not in ("full", "normal"):
        raise BadRequest(f"LOCI_DURABILITY is '{durability}', but must be 'full' or 'normal'.")
    origins = env.get("LOCI_CORS_ORIGINS") or _text(server, "cors_origins") or ""
    return replace(
        base,
        default_model=env.get("LOCI_MODEL") or _text(server, "model"),
        default_embedding=None if embedding == "none" else embedding,
        log_level=(env.get("LOCI_LOG_LEVEL") or _text(server, "log_level") or "info").lower(),
        log_format=log_format,
        durability=durability,
        cors_origins=tuple(origin.strip() for origin in origins.split(",") if origin.strip()),
        run_steps_max=int(_number(limits, "steps", base.run_steps_max)),
        run_duration_s_max=_number(limits, "seconds", base.run_duration_s_max),
        run_tokens_max=int(_number(limits, "tokens", 0)) or None,
        run_cost_usd_max=_number(limits, "usd", 0.0) or None,
        model_timeout_s=_number(limits, "model_seconds", base.model_timeout_s),
        mcp=_mcp(env, _table(document, "mcp")),
        sandbox=_sandbox(env, _table(document, "sandbox")),
        web=_web(env, _table(document, "web")),
        traces=_traces(env, _table(document, "traces")),
        provider_hosts=_hosts(env.get("LOCI_PROVIDER_HOSTS") or _text(server, "provider_hosts") or ""),
        public_url=env.get("LOCI_PUBLIC_URL") or _text(server, "public_url"),
    )


def _mcp(env: Mapping[str, str], table: JsonObject) -> McpSettings:
    stdio = env.get("LOCI_MCP_STDIO") or _text(table, "stdio")
    if stdio is not None and stdio.lower() not in ("true", "false", "1", "0"):
        raise BadRequest(f"LOCI_MCP_STDIO is '{stdio}', but must be 'true' or 'false'.")
    hosts = env.get("LOCI_MCP_HOSTS") or _text(table, "hosts") or ""
    usual = McpSettings()
    return McpSettings(
        stdio=None if stdio is None else stdio.lower() in ("true", "1"),
        hosts=_hosts(hosts),
        connect_timeout_s=_number(table, "connect_seconds", usual.connect_timeout_s),
        call_timeout_s=_number(table, "call_seconds", usual.call_timeout_s),
        idle_s=_number(table, "idle_seconds", usual.idle_s),
    )


def _sandbox(env: Mapping[str, str], table: JsonObject) -> SandboxSettings:
    choice = env.get("LOCI_SANDBOX") or _text(table, "kind") or "auto"
    if choice not in SANDBOXES:
        raise BadRequest(f"LOCI_SANDBOX is '{choice}', but must be one of {', '.join(SANDBOXES)}.")
    network = env.get("LOCI_SANDBOX_NETWORK") or _text(table, "network") or "on"
    if network not in ("on", "off"):
        raise BadRequest(f"LOCI_SANDBOX_NETWORK is '{network}', but must be 'on' or 'off'.")
    domain = env.get("E2B_DOMAIN") or E2B_DOMAIN
    return SandboxSettings(
        kind=choice,
        network=network == "on",
        call_timeout_s=_number(table, "call_seconds", SandboxSettings().call_timeout_s),
        e2b=Account(
            key=env.get("E2B_API_KEY"),
            url=(env.get("E2B_API_URL") or f"https://api.{domain}").rstrip("/"),
            machine_url=(env.get("E2B_SANDBOX_URL") or "").rstrip("/") or None,
            domain=domain,
            template=env.get("E2B_TEMPLATE") or _text(table, "e2b_template"),
        ),
        daytona=Account(
            key=env.get("DAYTONA_API_KEY"),
            url=(env.get("DAYTONA_API_URL") or DAYTONA_URL).rstrip("/"),
            template=env.get("DAYTONA_SNAPSHOT") or _text(table, "daytona_snapshot"),
            region=env.get("DAYTONA_TARGET"),
        ),
        hosts=_hosts(env.get("LOCI_SANDBOX_HOSTS") or _text(table, "hosts") or ""),
        tool_hosts=_hosts(env.get("LOCI_TOOL_HOSTS") or _text(table, "tool_hosts") or ""),
    )


def _web(env: Mapping[str, str], table: JsonObject) -> WebSettings:
    usual = WebSettings()
    searxng = env.get("SEARXNG_URL") or _text(table, "searxng_url")
    if searxng and not searxng.startswith(("http://", "https://")):
        raise BadRequest(f"SEARXNG_URL is '{searxng}', but must begin with http:// or https://.")
    return WebSettings(
        exa_key=env.get("EXA_API_KEY"),
        exa_url=(env.get("EXA_BASE_URL") or usual.exa_url).rstrip("/"),
        tavily_key=env.get("TAVILY_API_KEY"),
        tavily_url=(env.get("TAVILY_BASE_URL") or usual.tavily_url).rstrip("/"),
        searxng_url=searxng,
        hosts=_hosts(env.get("LOCI_WEB_HOSTS") or _text(table, "hosts") or ""),
    )


def _traces(env: Mapping[str, str], table: JsonObject) -> TraceSettings:
    usual = TraceSettings()
    kept = env.get("LOCI_TRACES") or _text(table, "kept") or "on"
    if kept not in ("on", "off"):
        raise BadRequest(f"LOCI_TRACES is '{kept}', but must be 'on' or 'off'.")
    return TraceSettings(
        kept=kept == "on",
        kept_days=_number(table, "days", usual.kept_days),
        kept_bytes=int(_number(table, "megabytes", usual.kept_bytes / 1e6) * 1e6),
    )


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(host.strip().lower() for host in text.split(",") if host.strip())


def _read_file(path: Path) -> JsonObject:
    if not path.is_file():
        return {}
    try:
        return cast("JsonObject", tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} is not valid TOML: {error}") from error


def _table(document: JsonObject, name: str) -> JsonObject:
    value = document.get(name, {})
    if not isinstance(value, Mapping):
        raise BadRequest(f"'{name}' in config.toml must be a table.")
    return value


def _text(table: JsonObject, key: str) -> str | None:
    value = table.get(key)
    return None if value is None else str(value)


def _number(table: JsonObject, key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"'{key}' in config.toml must be a number.")
    return float(value)


def _port(value: JsonValue) -> int:
    try:
        port = int(str(value))
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise BadRequest(f"The port is '{value}', but must be a number from 0 to 65535.")
    return port


def _providers(env: Mapping[str, str], tables: JsonObject) -> tuple[ProviderConfig, ...]:
    found: list[ProviderConfig] = []
    for host in HOSTED.values():
        key, url = env.get(host.key_variable), env.get(host.url_variable)
        if key or url:
            found.append(hosted(host, api_key=key, base_url=url))
    for name, variable, default in LOCAL.values():
        url = env.get(variable) or default
        if url:
            found.append(
                ProviderConfig(name=name, provider_type=name, base_url=v1(url), configured=variable in env),
            )
    for name, value in tables.items():
        table: JsonObject = value if isinstance(value, Mapping) else {}
        wire = _text(table, "wire") or "chat"
        if wire not in ("chat", "responses", "anthropic", "google"):
            raise BadRequest(f"providers.{name}.wire is '{wire}'; use chat, responses, anthropic or google.")
        key_variable = _text(table, "api_key_env")
        found.append(
            ProviderConfig(
                name=name,
                provider_type=_text(table, "type") or "openai",
                base_url=_text(table, "base_url"),
                api_key=env.get(key_variable) if key_variable else _text(table, "api_key"),
                wire=wire,
            ),
        )
    return tuple(found)


def _overrides(tables: JsonObject) -> dict[str, ModelOverride]:
    found: dict[str, ModelOverride] = {}
    for handle, value in tables.items():
        if not isinstance(value, Mapping):
            raise BadRequest(f"models.'{handle}' in config.toml must be a table.")
        window, output = _number(value, "context_window", 0), _number(value, "max_output_tokens", 0)
        found[handle] = ModelOverride(
            window_tokens=int(window) or None,
            output_tokens_max=int(output) or None,
            price_input_usd=_number(value, "price_input_usd", 0) or None,
            price_output_usd=_number(value, "price_output_usd", 0) or None,
        )
    return found
