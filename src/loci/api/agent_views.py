"""Reading agents for the wire: one statement for each relation of a whole page, none for each agent."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loci.api.core import Core
from loci.api.wire_agents import RELATIONS, AgentView, wire_agent
from loci.api.wire_files import wire_folder
from loci.api.wire_messages import View, WireObject, wire_list
from loci.errors import LociError
from loci.model.base import EmbeddingInfo, ModelInfo
from loci.store import agents, approvals, blocks, conversations, folders, groups, identities, messages, runs, tools
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.identities import Identity


async def wire_agents(core: Core, actor: Actor, found: Sequence[Agent], shown: frozenset[str]) -> list[WireObject]:
    """Agents with what is to be shown of them."""
    return await _told(core, actor, await core.store.read(_views, actor, found, shown))


async def wire_one(core: Core, actor: Actor, agent_id: str, shown: frozenset[str] = RELATIONS) -> WireObject:
    """One agent. Raises NotFound."""
    return (await _told(core, actor, await core.store.read(_view, actor, agent_id, shown)))[0]


async def _told(core: Core, actor: Actor, views: Sequence[AgentView]) -> list[WireObject]:
    models = {handle: await model_info(core, actor, handle) for handle in {view.agent.model for view in views}}
    folders = [folder for view in views for folder in view.folders]
    embeddings = await embedding_infos(
        core, actor, [*(view.agent.embedding for view in views), *(folder.embedding for folder in folders)]
    )
    return [
        wire_agent(
            replace(
                view,
                secrets=_secrets(core, actor, view),
                sources=[wire_folder(folder, embeddings[folder.embedding]) for folder in view.folders],
                model=models[view.agent.model],
                embedding=embeddings[view.agent.embedding],
            )
        )
        for view in views
    ]


def _view(tx: Transaction, actor: Actor, agent_id: str, shown: frozenset[str]) -> list[AgentView]:
    return _views(tx, actor, [agents.get(tx, actor, agent_id)], shown)


def _views(tx: Transaction, actor: Actor, found: Sequence[Agent], shown: frozenset[str]) -> list[AgentView]:
    ids = [agent.id for agent in found]
    held = blocks.blocks_of_agents(tx, actor, ids) if "agent.blocks" in shown else {}
    own = tools.tools_of_agents(tx, actor, ids) if "agent.tools" in shown else {}
    people = identities.ids_of_agents(tx, actor, ids)
    known = _people(tx, actor, people.values()) if "agent.identities" in shown else {}
    attached = folders.of_agents(tx, actor, ids) if "agent.sources" in shown else {}
    last = runs.last_of_agents(tx, actor, ids)
    windows = conversations.main_windows(tx, actor, ids)
    managed = groups.led_by(tx, actor, ids) if "agent.managed_group" in shown else {}
    threads = [conversations.default_id(agent_id) for agent_id in ids]
    asks = "agent.pending_approval" in shown and not actor.limited
    waiting = approvals.awaited(tx, actor, threads) if asks else set[str]()
    return [
        AgentView(
            agent=agent,
            blocks=held.get(agent.id, ()),
            tools=own.get(agent.id, ()),
            folders=attached.get(agent.id, ()),
            message_ids=windows.get(agent.id, ()),
            identity_ids=people[agent.id],
            identities=[known[identity_id] for identity_id in people[agent.id] if identity_id in known],
            last_run=last.get(agent.id),
            group=managed.get(agent.id),
            pending=_pending(tx, actor, thread) if thread in waiting else None,
            shown=shown,
        )
        for agent, thread in zip(found, threads, strict=True)
    ]


def _people(tx: Transaction, actor: Actor, of_agents: Iterable[Sequence[str]]) -> dict[str, Identity]:
    wanted = sorted({identity_id for of_agent in of_agents for identity_id in of_agent})
    return identities.by_ids(tx, actor, wanted) if wanted else {}


def _pending(tx: Transaction, actor: Actor, thread: str) -> WireObject | None:
    """The question that a thread waits for, as the message that asked it."""
    waiting = approvals.of_conversation(tx, actor, thread, pending_only=True)
    message = messages.get(tx, actor, waiting[-1].message_id)
    asked = wire_list([message], View(), {(item.run_id, item.call_id) for item in waiting})
    return next((item for item in asked if item["message_type"] == "approval_request_message"), None)


def _secrets(core: Core, actor: Actor, view: AgentView) -> dict[str, str]:
    if "agent.secrets" not in view.shown or actor.limited:
        return {}
    sealed = view.agent.tool_exec_environment
    return {key: core.vault.open(actor, key, str(value)) for key, value in sealed.items()}


async def model_info(core: Core, actor: Actor, handle: str) -> ModelInfo | None:
    """What is known of a model; None for one that cannot be had at the moment."""
    try:
        return (await core.models.model(actor, handle)).info
    except LociError:
        return None


async def embedding_info(core: Core, actor: Actor, handle: str | None) -> EmbeddingInfo | None:
    """What is known of an embedding model; None for none, and for one that cannot be had at the moment."""
    if handle is None:
        return None
    try:
        return (await core.models.embedder(actor, handle)).info
    except LociError:
        return None


async def embedding_infos(
    core: Core, actor: Actor, handles: Iterable[str | None]
) -> dict[str | None, EmbeddingInfo | None]:
    """The same of each of these: one that several things share is asked for once."""
    return {handle: await embedding_info(core, actor, handle) for handle in set(handles)}
