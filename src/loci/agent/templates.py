"""Agents from templates: a template is an agent file without talk, whose blocks may have places for words, as in
`{{name}}`. What is made together is a deployment, which can be brought to another version of its template.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from loci.agent import agentfile, updating
from loci.agent.agentfile import AgentFile, FileAgent
from loci.agent.creating import author_of
from loci.agent.turn import Kit
from loci.agent.updating import AgentChange
from loci.errors import Unprocessable
from loci.ids import new_id
from loci.store import attachments, blocks, deployments
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.store.deployments import Origin
from loci.store.templates import Template, Version
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.memory import Block

PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What agents keep of their own when they are brought to another version."""

    memories: bool = True
    secrets: bool = True
    other_blocks: bool = True


@dataclass(frozen=True, slots=True)
class Move:
    """Bringing a deployment to a version, with other words for some of its variables."""

    deployment_id: str
    version: Version
    variables: Mapping[str, str]
    keeping: Keeping


def bare(file: AgentFile) -> AgentFile:
    """A file as a template: no talk, no notes, no folders, no groups, and all blocks at one place."""
    held = dict(file.blocks)
    made: list[FileAgent] = []
    for number, item in enumerate(file.agents):
        own = {f"own-{number}-{place}": block.block() for place, block in enumerate(item.new.blocks)}
        held |= own
        new = replace(item.new, blocks=(), block_ids=(*item.new.block_ids, *own))
        made.append(FileAgent(new=new, starts_fresh=True))
    return replace(file, agents=tuple(made), blocks=held, archives={}, folders={}, groups=())


def filled(file: AgentFile, variables: Mapping[str, str]) -> AgentFile:
    """The file with words in the places of its blocks; places without a word stay as they are. Raises Unprocessable
    for a variable that has no place.
    """
    places = _places(file)
    unknown = sorted(variables.keys() - places)
    if unknown:
        known = ", ".join(sorted(places)) or "none"
        raise Unprocessable(f"The template has no variable '{unknown[0]}'.", hint=f"Its variables: {known}.")
    words = {
        key: replace(block, value=PLACE.sub(lambda place: variables.get(place[1], place[0]), block.value))
        for key, block in file.blocks.items()
    }
    return replace(file, blocks=words)


def _places(file: AgentFile) -> set[str]:
    return {name for block in file.blocks.values() for name in PLACE.findall(block.value)}


async def deploy(
    kit: Kit, actor: Actor, source: tuple[Template, Version], file: AgentFile, variables: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """Make the agents of a template; the ids of the deployment and of the agents. Raises Unprocessable."""
    template, version = source
    deployment_id = new_id("deployment")
    made = tuple(
        replace(
            item,
            new=replace(
                item.new,
                project_id=template.project_id,
                template_id=version.id,
                base_template_id=template.id,
                deployment_id=deployment_id,
                entity_id=f"agent-{number}",
            ),
        )
        for number, item in enumerate(file.agents)
    )
    ready, now = filled(replace(file, agents=made), variables), kit.clock.now()

    def note(tx: Transaction) -> None:
        deployments.insert(tx, actor, deployment_id, template.id, variables, now)
        agent_ids = [entity.id for entity in deployments.entities(tx, actor, deployment_id)]
        held = [block.id for each in blocks.blocks_of_agents(tx, actor, agent_ids).values() for block in each]
        for number, block_id in enumerate(dict.fromkeys(held)):
            origin = Origin(
                template_id=version.id,
                base_template_id=template.id,
                deployment_id=deployment_id,
                entity_id=f"block-{number}",
            )
            deployments.add_block(tx, actor, block_id, origin)

    imported = await agentfile.import_file(kit, actor, ready, override_tools=False, also=note)
    return deployment_id, imported.agent_ids


async def migrate(kit: Kit, actor: Actor, file: AgentFile, move: Move) -> None:
    """Have the agents of a deployment be what a version says, except for what they keep. No block is deleted: one that
    goes is detached. Raises Unprocessable.
    """
    before = await kit.store.read(deployments.variables_of, actor, move.deployment_id)
    still = {name: word for name, word in before.items() if name in _places(file)}
    variables = still | dict(move.variables)
    ready, warnings, now = filled(file, variables), list[str](), kit.clock.now()
    plans = {f"agent-{n}": plan for n, plan in enumerate(await agentfile.planned(kit, actor, ready, warnings))}

    def put(tx: Transaction) -> None:
        tool_ids = agentfile.put_tools(tx, actor, ready, warnings, now=now, override=False)
        for entity in deployments.entities(tx, actor, move.deployment_id):
            if entity.type == "agent" and entity.entity_id in plans:
                item, planned = plans[entity.entity_id]
                here = agentfile.tools_here(tx, actor, item.new, tool_ids, warnings)
                become = partial(_moved, planned=planned, item=item, move=move)
                updating.update(tx, actor, AgentChange(agent_id=entity.id, become=become, tool_ids=here), now=now)
                held = [ready.blocks[key] for key in item.new.block_ids]
                _move_blocks(tx, actor, entity.id, held, move.keeping, now)
        deployments.set_variables(tx, actor, move.deployment_id, variables)

    await kit.store.write(put)


def _moved(agent: Agent, planned: Agent, item: FileAgent, move: Move) -> Agent:
    mine, given = agent.tool_exec_environment, planned.tool_exec_environment
    kept = {**given, **mine} if move.keeping.secrets else {key: mine.get(key, given[key]) for key in given}
    return replace(
        agent,
        agent_type=planned.agent_type,
        system=planned.system,
        description=planned.description,
        model=planned.model,
        model_settings=planned.model_settings,
        compaction_settings=planned.compaction_settings,
        response_format=planned.response_format,
        context_window_tokens=planned.context_window_tokens,
        tool_rules=item.new.tool_rules or (),
        tool_exec_environment=kept,
        template_id=move.version.id,
    )


def _move_blocks(
    tx: Transaction, actor: Actor, agent_id: str, wanted: Sequence[Block], keeping: Keeping, now: datetime
) -> None:
    author = author_of(actor)
    held = {block.label: block for block in blocks.blocks_of_agent(tx, actor, agent_id)}
    for block in wanted:
        mine = held.pop(block.label, None)
        if mine is None:
            made = blocks.insert(tx, actor, author, replace(block, id=new_id("block")), now)
            attachments.attach(tx, actor, author, Attachment(agent_id=agent_id, block_id=made.id), now)
        elif not keeping.memories and mine.value != block.value:
            blocks.update(tx, actor, author, replace(mine, value=block.value), now)
    for block in () if keeping.other_blocks else held.values():
        attachments.detach(tx, actor, author, Attachment(agent_id=agent_id, block_id=block.id), now)
