"""Sandbox configurations: what all tools of an organisation are given, for each kind of sandbox."""

from typing import Annotated, Any, Literal, cast

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import UUID, NewestFirst, OldestFirst
from loci.api.requests_agents import Body, LongText, Secret
from loci.api.shapes import SandboxShape, SandboxVariableShape
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import BadRequest
from loci.ids import new_id
from loci.store import sandboxes
from loci.store.base import Transaction
from loci.tools.source import environment_of
from loci.types import actor as actors
from loci.types.json import JsonObject
from loci.types.sandboxes import SandboxConfig, SandboxKind, SandboxVariable

router = new_router("sandbox-config")

ConfigId = Annotated[str, Path(pattern=f"^sandbox-{UUID}$", description="Id of the configuration.")]
VariableId = Annotated[str, Path(pattern=f"^sandbox-env-{UUID}$", description="Id of the variable.")]


def _wire(config: SandboxConfig) -> WireObject:
    return {
        "id": config.id,
        "type": config.kind,
        "config": config.config,
        "created_at": wire_moment(config.created_at),
        "updated_at": wire_moment(config.updated_at),
        "created_by_id": config.created_by,
        "last_updated_by_id": config.updated_by,
    }


def _wire_variable(core: Core, actor: actors.Actor, item: SandboxVariable) -> WireObject:
    return {
        "id": item.id,
        "key": item.name,
        "value": core.vault.open(actor, item.id, item.sealed),
        "description": item.description,
        "value_enc": None,
        "sandbox_config_id": item.config_id,
        "created_at": wire_moment(item.created_at),
        "updated_at": wire_moment(item.updated_at),
        "created_by_id": item.created_by,
        "last_updated_by_id": item.updated_by,
    }


class ConfigIn(Body):
    """Settings of a sandbox. Its kind is seen from what is set: `template` means e2b, `language` modal."""

    config: dict[str, Any]

    def kind(self) -> SandboxKind:
        """Which kind of sandbox is meant."""
        if "template" in self.config:
            return "e2b"
        return "modal" if "language" in self.config or "npm_requirements" in self.config else "local"


class LocalConfigIn(Body):
    """Settings of the sandbox on the server's own machine. `network` lets its tools reach the public internet."""

    sandbox_dir: LongText | None = None
    use_venv: bool = False
    venv_name: LongText = "venv"
    pip_requirements: Annotated[list[dict[str, Any]], Field(max_length=100)] = Field(
        default_factory=list[dict[str, Any]]
    )
    network: bool | None = None


class VariableIn(Body):
    """A variable."""

    key: Secret
    value: LongText
    description: LongText | None = None


class VariableChangeIn(Body):
    """What a variable shall become."""

    key: Secret | None = None
    value: LongText | None = None
    description: LongText | None = None


async def _put(services: Core, actor: actors.Actor, kind: SandboxKind, config: dict[str, Any]) -> Response:
    given = SandboxConfig(id=new_id("sandbox"), kind=kind, config=cast("JsonObject", config))
    environment_of(None, given)
    stored = await services.store.write(sandboxes.put, actor, given, services.clock.now())
    return json_answer(_wire(stored))


@router.post("/sandbox-config", response_model=SandboxShape)
async def create_sandbox_config(body: ConfigIn, services: Services, actor: Actor) -> Response:
    """Set a kind of sandbox up. There is one of each kind: an older one takes the new settings."""
    return await _put(services, actor, body.kind(), body.config)


@router.post("/sandbox-config/e2b/default", response_model=SandboxShape)
async def create_default_e2b_config(services: Services, actor: Actor) -> Response:
    """Set E2B up with its defaults."""
    return await _put(services, actor, "e2b", {"timeout": 300, "template": None, "pip_requirements": []})


@router.post("/sandbox-config/local/default", response_model=SandboxShape)
async def create_default_local_config(services: Services, actor: Actor) -> Response:
    """Set the sandbox on this machine up with its defaults."""
    return await _put(services, actor, "local", LocalConfigIn().model_dump(exclude_none=True))


@router.post("/sandbox-config/local", response_model=SandboxShape)
async def create_local_config(body: LocalConfigIn, services: Services, actor: Actor) -> Response:
    """Set the sandbox on this machine up."""
    return await _put(services, actor, "local", body.model_dump(exclude_none=True))


@router.post("/sandbox-config/local/recreate-venv", response_model=SandboxShape)
async def recreate_packages(services: Services, actor: Actor) -> Response:
    """Install the packages of the sandbox on this machine anew."""
    config = await services.store.read(sandboxes.by_kind, actor, "local")
    if config is None:
        raise BadRequest("The sandbox on this machine is not set up.", hint="POST /v1/sandbox-config/local first.")
    await services.source_tools.sandbox.rebuild(environment_of(None, config))
    return json_answer(_wire(config))


@router.get("/sandbox-config", response_model=list[SandboxShape])
async def list_sandbox_configs(
    services: Services, actor: Actor, page: NewestFirst, sandbox_type: Literal["local", "e2b", "modal"] | None = None
) -> Response:
    """What is set up."""
    found = await services.store.read(sandboxes.listing, actor, page, sandbox_type)
    return json_answer([_wire(config) for config in found])


@router.patch("/sandbox-config/environment-variable/{env_var_id}", response_model=SandboxVariableShape)
async def modify_sandbox_variable(
    env_var_id: VariableId, body: VariableChangeIn, services: Services, actor: Actor
) -> Response:
    """Change a variable; what is not named stays."""

    def change(tx: Transaction) -> SandboxVariable:
        old = sandboxes.variable(tx, actor, env_var_id)
        new = SandboxVariable(
            id=old.id,
            config_id=old.config_id,
            name=body.key or old.name,
            sealed=old.sealed if body.value is None else services.vault.seal(actor, old.id, body.value),
            description=body.description if "description" in body.model_fields_set else old.description,
        )
        return sandboxes.put_variable(tx, actor, new, services.clock.now())

    return json_answer(_wire_variable(services, actor, await services.store.write(change)))


@router.delete("/sandbox-config/environment-variable/{env_var_id}", status_code=204)
async def delete_sandbox_variable(env_var_id: VariableId, services: Services, actor: Actor) -> Response:
    """Forget a variable."""
    await services.store.write(sandboxes.delete_variable, actor, env_var_id)
    return Response(status_code=204)


@router.patch("/sandbox-config/{sandbox_config_id}", response_model=SandboxShape)
async def modify_sandbox_config(
    sandbox_config_id: ConfigId, body: ConfigIn, services: Services, actor: Actor
) -> Response:
    """Change settings; what is not named stays."""

    def change(tx: Transaction) -> SandboxConfig:
        old = sandboxes.get(tx, actor, sandbox_config_id)
        new = SandboxConfig(id=old.id, kind=old.kind, config={**old.config, **cast("JsonObject", body.config)})
        environment_of(None, new)
        return sandboxes.put(tx, actor, new, services.clock.now())

    return json_answer(_wire(await services.store.write(change)))


@router.delete("/sandbox-config/{sandbox_config_id}", status_code=204)
async def delete_sandbox_config(sandbox_config_id: ConfigId, services: Services, actor: Actor) -> Response:
    """Forget settings, and the variables with them."""
    await services.store.write(sandboxes.delete, actor, sandbox_config_id)
    return Response(status_code=204)


@router.post("/sandbox-config/{sandbox_config_id}/environment-variable", response_model=SandboxVariableShape)
async def create_sandbox_variable(
    sandbox_config_id: ConfigId, body: VariableIn, services: Services, actor: Actor
) -> Response:
    """Give every tool under these settings a variable. Its value is kept sealed."""
    new = new_id("sandbox-env")
    given = SandboxVariable(
        id=new,
        config_id=sandbox_config_id,
        name=body.key,
        sealed=services.vault.seal(actor, new, body.value),
        description=body.description,
    )
    stored = await services.store.write(sandboxes.put_variable, actor, given, services.clock.now())
    return json_answer(_wire_variable(services, actor, stored))


@router.get("/sandbox-config/{sandbox_config_id}/environment-variable", response_model=list[SandboxVariableShape])
async def list_sandbox_variables(
    sandbox_config_id: ConfigId, services: Services, actor: Actor, page: OldestFirst
) -> Response:
    """The variables under these settings."""
    found = await services.store.read(sandboxes.variables, actor, sandbox_config_id, page)
    return json_answer([_wire_variable(services, actor, item) for item in found])
