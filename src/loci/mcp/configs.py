"""Configurations of MCP servers: sealed for the database, masked for people, filled in for a call."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import orjson

from loci.errors import BadRequest
from loci.net import site_of
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.mcp import HttpConfig, McpConfig, StdioConfig, Transport
from loci.vault import Vault

MASK = "********"
"""Stands for a secret in answers. Sent back, it means: as it is."""
_SEAL = "mcp_server"
_TEMPLATE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|([^{}]*))?\}\}")
"""`{{ VAR }}` or `{{ VAR | default }}`."""

Variables = Mapping[str, str]


def transport_of(config: McpConfig) -> Transport:
    """By which way the server is reached."""
    return "stdio" if isinstance(config, StdioConfig) else config.transport


def as_json(config: McpConfig) -> JsonObject:
    """The configuration in the words of the API."""
    match config:
        case StdioConfig():
            return {"command": config.command, "args": list(config.args), "env": dict(config.env) or None}
        case HttpConfig():
            return {
                "server_url": config.url,
                "auth_header": config.auth_header,
                "auth_token": config.auth_token,
                "custom_headers": dict(config.headers) or None,
            }


def from_json(transport: Transport, fields: JsonObject) -> McpConfig:
    """The configuration that `as_json` wrote."""
    if transport == "stdio":
        return StdioConfig(
            command=str(fields["command"]),
            args=tuple(cast("list[str]", fields["args"])),
            env=cast("Mapping[str, str]", fields.get("env") or {}),
        )
    return HttpConfig(
        transport=transport,
        url=str(fields["server_url"]),
        auth_header=cast("str | None", fields.get("auth_header")),
        auth_token=cast("str | None", fields.get("auth_token")),
        headers=cast("Mapping[str, str]", fields.get("custom_headers") or {}),
    )


def seal(vault: Vault, actor: Actor, config: McpConfig) -> str:
    """The configuration as it is stored."""
    return vault.seal(actor, _SEAL, orjson.dumps(as_json(config)).decode())


def unseal(vault: Vault, actor: Actor, transport: Transport, sealed: str) -> McpConfig:
    """The stored configuration. Raises StoreFailure if the key is another."""
    return from_json(transport, cast("JsonObject", orjson.loads(vault.open(actor, _SEAL, sealed))))


def masked(config: McpConfig) -> McpConfig:
    """The configuration without its secrets; a template is none."""
    return _each(config, lambda value: value if _TEMPLATE.search(value) or not value else MASK)


def unmasked(config: McpConfig, known: McpConfig) -> McpConfig:
    """A configuration that a client sent back, with the secrets that it was not shown."""
    match config, known:
        case StdioConfig(), StdioConfig():
            return replace(config, env=_unmasked_all(config.env, known.env))
        case HttpConfig(), HttpConfig():
            # A secret goes to the host that it was given for, and to no other.
            kept = known if site_of(config.url) == site_of(known.url) else replace(known, auth_token=None, headers={})
            token = kept.auth_token if config.auth_token == MASK else config.auth_token
            return replace(config, auth_token=token, headers=_unmasked_all(config.headers, kept.headers))
        case _:
            return config


def _unmasked_all(values: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {
        name: known[name] if value == MASK else value
        for name, value in values.items()
        if value != MASK or name in known
    }


def filled(config: McpConfig, variables: Variables) -> McpConfig:
    """The configuration with its templates filled in. Raises BadRequest for a variable that is not there."""
    return _each(config, lambda text: _TEMPLATE.sub(lambda match: _value(match, variables), text))


def _each(config: McpConfig, become: Callable[[str], str]) -> McpConfig:
    """The configuration with another value for each that may be a secret."""
    match config:
        case StdioConfig():
            return replace(config, env={name: become(value) for name, value in config.env.items()})
        case HttpConfig():
            headers = {name: become(value) for name, value in config.headers.items()}
            token = None if config.auth_token is None else become(config.auth_token)
            return replace(config, auth_token=token, headers=headers)


def _value(match: re.Match[str], variables: Variables) -> str:
    name, default = match.group(1), match.group(2)
    if name in variables:
        return variables[name]
    if default is None:
        raise BadRequest(
            f"The configuration of the MCP server needs the variable '{name}'.",
            hint=f"Set it among the agent's environment variables, or give a default: {{{{ {name} | default }}}}.",
        )
    return default.strip()


def request_headers(config: HttpConfig) -> dict[str, str]:
    """The headers of each request to the server."""
    headers = dict(config.headers)
    if config.auth_token:
        name = config.auth_header or "Authorization"
        bare = name.lower() == "authorization" and " " not in config.auth_token.strip()
        headers[name] = f"Bearer {config.auth_token}" if bare else config.auth_token
    return headers


def digest(config: McpConfig) -> str:
    """Tells configurations apart without holding their secrets."""
    parts = [transport_of(config).encode(), orjson.dumps(as_json(config), option=orjson.OPT_SORT_KEYS)]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def place_of(config: HttpConfig) -> str:
    """Names the address of a server without holding it, for what OAuth granted there."""
    return hashlib.sha256(config.url.encode()).hexdigest()
