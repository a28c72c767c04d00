"""Stored tools with source code: run in the sandbox, with what they ask for and nothing else.

A tool sees its arguments, the agent that calls it if it names `agent_state`, the secrets of that agent, and the
variables that the organisation set for its sandbox. What it changes in the blocks it was shown comes back as a
ChangeSet, to be applied in the transaction that stores its result.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loci.errors import BadRequest, Forbidden, LociError, NotAvailable
from loci.memory import edits
from loci.sandbox.base import Environment, Language, Program, Ran, Sandbox
from loci.store import isolated, organizations, sandboxes
from loci.store.base import Store, Transaction
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.json import EMPTY, JsonObject, JsonValue
from loci.types.keys import TRUST_HINT
from loci.types.memory import Block, BlockEdit, ChangeSet
from loci.types.sandboxes import SandboxConfig, SandboxKind, SandboxVariable
from loci.types.tools import Tool
from loci.vault import Vault

_LANGUAGES: Mapping[str, Language] = {
    "python": "python",
    "json": "python",
    "javascript": "javascript",
    "typescript": "typescript",
}
_STATE = "agent_state"
_CLIENT, _ADDRESS, _CLIENT_PACKAGE = "client", "LETTA_BASE_URL", "letta-client>=1,<2"
_NAMES_CLIENT = re.compile(r"letta[-_.]client(?![-_.\w])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the organisation has set for its sandbox, and which that is."""

    sandbox: Sandbox
    config: SandboxConfig | None
    variables: Sequence[SandboxVariable]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRunner:
    """A ToolRunner for tools that have source code. `kind` says whose variables and settings apply.

    `hired`: a sandbox at E2B, for organisations that have set that up where the operator leaves the choice to them.
    """

    store: Store
    vault: Vault
    sandbox: Sandbox
    kind: SandboxKind = "local"
    hired: Sandbox | None = None
    network_allowed: bool = True
    """Whether the operator lets tools have the network at all."""
    walled: bool = True
    """Whether anything keeps tools from the server. If not, they are for organisations that the operator trusts."""

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Run it. Raises NotAvailable without a sandbox, BadRequest for requirements that cannot be had."""
        given = self._secrets(context.actor, context.agent)
        shown = (
            await self.store.read(isolated.blocks_in_thread, context.actor, context.agent.id, context.conversation_id)
            if _STATE in (tool.source_code or "")
            else None
        )
        ran = await self.try_out(context.actor, tool, args, given, shown=shown, agent=context.agent)
        try:
            changes = _changes(shown or (), ran.blocks)
        except LociError as error:
            return ToolOutcome(text=f"Error: {error}", status="error", stdout=_lines(ran.stdout))
        return outcome_of(ran, changes)

    async def try_out(
        self,
        actor: Actor,
        tool: Tool,
        args: JsonObject,
        variables: Mapping[str, str],
        *,
        shown: Sequence[Block] | None = None,
        agent: Agent | None = None,
    ) -> Ran:
        """Run a tool with these variables added to those of its sandbox. Raises as `run`."""
        language = _LANGUAGES.get(tool.source_type)
        if tool.source_code is None or language is None:
            raise NotAvailable(f"The tool '{tool.name}' has nothing that can be run here.")
        settings = await self.store.read(self._settings, actor)
        common = settings.config.config if settings.config else EMPTY
        seconds = common.get("timeout")
        own = {item.name: self.vault.open(actor, item.id, item.sealed) for item in settings.variables} | {**variables}
        needs = environment_of(tool, settings.config)
        asks = language == "python" and _CLIENT in tool.source_code and own.get(_ADDRESS)
        if asks and not any(map(_NAMES_CLIENT.match, needs.pip)):
            needs = replace(needs, pip=(*needs.pip, _CLIENT_PACKAGE))
        properties = tool.schema().parameters.get("properties")
        program = Program(
            source=tool.source_code,
            language=language,
            name=tool.name,
            args=args,
            order=tuple(properties) if isinstance(properties, Mapping) else (),
            agent_state=None if agent is None or shown is None else _state(agent, shown),
            variables=own,
            environment=needs,
            network=self._network(tool, settings.config),
            wall_s=float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None,
        )
        return await settings.sandbox.run(actor.organization_id, program)

    async def place(self, actor: Actor) -> Sandbox:
        """Where code of this organisation runs."""
        return (await self.store.read(self._settings, actor)).sandbox

    async def close(self) -> None:
        """End what runs."""
        await self.sandbox.close()
        if self.hired is not None:
            await self.hired.close()

    def _settings(self, tx: Transaction, actor: Actor) -> Settings:
        if not self.walled and not organizations.trusts(tx, actor.organization_id):
            raise Forbidden("Tools run without a sandbox here, so this organisation may run none.", hint=TRUST_HINT)
        sandbox, kind = self.sandbox, self.kind
        config = sandboxes.by_kind(tx, actor, "e2b") if self.hired is not None else None
        if self.hired is not None and config is not None:
            sandbox, kind = self.hired, "e2b"
        return Settings(
            sandbox=sandbox,
            config=config or sandboxes.by_kind(tx, actor, kind),
            variables=sandboxes.variables_of_kind(tx, actor, kind),
        )

    def _secrets(self, actor: Actor, agent: Agent) -> dict[str, str]:
        sealed = agent.tool_exec_environment
        secrets = {name: self.vault.open(actor, name, str(value)) for name, value in sealed.items()}
        return {**secrets, "LETTA_AGENT_ID": agent.id}

    def _network(self, tool: Tool, config: SandboxConfig | None) -> bool:
        asked = tool.metadata.get("network") is True or (config is not None and config.config.get("network") is True)
        if asked and not self.network_allowed:
            raise NotAvailable(
                f"The tool '{tool.name}' asks for the network, which no tool has here.",
                hint="The operator allows it with LOCI_SANDBOX_NETWORK=on.",
            )
        return asked


def outcome_of(ran: Ran, changes: ChangeSet | None = None) -> ToolOutcome:
    """What the model reads of it."""
    stdout, stderr = _lines(ran.stdout), _lines(ran.stderr)
    if ran.error is not None:
        return ToolOutcome(text=ran.error, status="error", stdout=stdout, stderr=stderr)
    return ToolOutcome(text=ran.value or "", stdout=stdout, stderr=stderr, changes=changes)


def _lines(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def environment_of(tool: Tool | None, config: SandboxConfig | None) -> Environment:
    """The packages that a tool and its sandbox ask for. Raises BadRequest."""
    common = config.config if config is not None else EMPTY
    template = common.get("template")
    return Environment(
        template=template if isinstance(template, str) and template else None,
        pip=_requirements(common.get("pip_requirements"), tool.pip_requirements if tool else (), "=="),
        npm=_requirements(common.get("npm_requirements"), tool.npm_requirements if tool else (), "@"),
    )


def _requirements(common: JsonValue, own: Sequence[JsonObject], between: str) -> tuple[str, ...]:
    """Requirements as their installer writes them, each once."""
    found: list[str] = []
    for item in [*(common if isinstance(common, list) else []), *own]:
        if isinstance(item, Mapping):
            name, version = item.get("name"), item.get("version")
            if not isinstance(name, str) or not name:
                raise BadRequest(
                    "A requirement needs a 'name'.", hint='Send {"name": "requests", "version": "2.32.3"}.'
                )
            bound = str(version) if version else ""
            # A version may bring its own comparison, as in ">=2".
            compares = between == "==" and bound[:1] in tuple("<>=!~")
            found.append(name + ("" if compares or not bound else between) + bound)
        else:
            found.append(str(item))
    return tuple(sorted(set(found)))


def _state(agent: Agent, shown: Sequence[Block]) -> JsonObject:
    """The agent as a tool sees it."""
    return {
        "id": agent.id,
        "name": agent.name,
        "description": agent.description,
        "agent_type": agent.agent_type.value,
        "system": agent.system,
        "model": agent.model,
        "tags": list(agent.tags),
        "metadata": agent.metadata,
        "timezone": agent.timezone,
        "blocks": [
            {
                "id": block.id,
                "label": block.label,
                "value": block.value,
                "description": block.description,
                "limit": block.limit_chars,
                "read_only": block.read_only,
            }
            for block in shown
        ],
    }


def _changes(shown: Sequence[Block], values: JsonObject) -> ChangeSet | None:
    """What the tool made of the blocks. Raises BlockReadOnly, BlockTooLong."""
    made = [
        BlockEdit(block_id=block.id, version=block.version, value=edits.changed(block, str(values[block.id])).value)
        for block in shown
        if block.id in values and values[block.id] != block.value
    ]
    return ChangeSet(changes=tuple(made)) if made else None
