"""Making and changing groups of agents: each change one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from loci.agent.creating import author_of
from loci.agent.updating import reset
from loci.errors import Conflict, Unprocessable
from loci.store import agents, attachments, blocks, conversations, groups, messages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.groups import Group, GroupType


def create(tx: Transaction, actor: Actor, group: Group, now: datetime) -> Group:
    """Store a new group. Raises NotFound, Unprocessable, Conflict."""
    made = _begun(tx, actor, _checked(tx, actor, group), now)
    groups.insert(tx, actor, made, now)
    for block_id in made.shared_block_ids:
        _share(tx, actor, made, block_id, now)
    return made


def change(tx: Transaction, actor: Actor, group_id: str, become: Callable[[Group], Group], now: datetime) -> Group:
    """Store what a group shall become. Raises NotFound, Unprocessable, Conflict."""
    before = groups.get(tx, actor, group_id)
    group = _checked(tx, actor, become(before))
    if (group.manager_type, group.manager_agent_id) != (before.manager_type, before.manager_agent_id):
        _set_sleep(tx, actor, before, on=False, now=now)
        group = _begun(tx, actor, group, now)
    groups.update(tx, actor, group)
    for block_id in group.shared_block_ids:
        _share(tx, actor, group, block_id, now)
    return group


def delete(tx: Transaction, actor: Actor, group_id: str, now: datetime) -> None:
    """Forget a group; its agents and what they said stay. Raises NotFound."""
    _set_sleep(tx, actor, groups.get(tx, actor, group_id), on=False, now=now)
    groups.delete(tx, actor, group_id)


def attach_block(tx: Transaction, actor: Actor, group_id: str, block_id: str, now: datetime) -> None:
    """Give a block to a group and each of its members. Raises NotFound, Conflict."""
    group = groups.get(tx, actor, group_id)
    _share(tx, actor, group, block_id, now)
    held = tuple(dict.fromkeys((*group.shared_block_ids, block_id)))
    groups.update(tx, actor, replace(group, shared_block_ids=held))


def detach_block(tx: Transaction, actor: Actor, group_id: str, block_id: str, now: datetime) -> None:
    """Take a block off a group and each of its members; the block stays. Raises NotFound."""
    group = groups.get(tx, actor, group_id)
    holders = blocks.agents_of_block(tx, actor, blocks.get(tx, actor, block_id).id)
    for agent_id in set(holders).intersection(group.agent_ids):
        attachments.detach(tx, actor, author_of(actor), Attachment(agent_id=agent_id, block_id=block_id), now)
    held = tuple(known for known in group.shared_block_ids if known != block_id)
    groups.update(tx, actor, replace(group, shared_block_ids=held))


def reset_messages(tx: Transaction, actor: Actor, group_id: str, now: datetime) -> None:
    """Empty the windows in which the agents of a group talk; what was said stays in recall. Raises NotFound, Busy."""
    for agent_id, conversation_id in threads(tx, actor, groups.get(tx, actor, group_id)).items():
        reset(tx, actor, agent_id, conversation_id, with_first=False, now=now)


def threads(tx: Transaction, actor: Actor, group: Group) -> Mapping[str, str]:
    """The conversations in which the agents of a group talk, by agent. Sleep-time agents do it in their main thread."""
    if group.manager_type.sleeps:
        return {agent_id: conversations.default_id(agent_id) for agent_id in group.agent_ids}
    return groups.threads(tx, actor, group.id)


def _share(tx: Transaction, actor: Actor, group: Group, block_id: str, now: datetime) -> None:
    blocks.get(tx, actor, block_id)  # also where nobody is there to hold it
    for agent_id in group.agent_ids:
        attachments.attach(tx, actor, author_of(actor), Attachment(agent_id=agent_id, block_id=block_id), now)


def _checked(tx: Transaction, actor: Actor, group: Group) -> Group:
    for agent_id in group.agent_ids:
        agents.get(tx, actor, agent_id)
    if group.manager_type is GroupType.ROUND_ROBIN:
        return replace(group, manager_agent_id=None)
    if group.manager_agent_id is None:
        raise Unprocessable(f"A group of the type {group.manager_type.value} needs a manager_agent_id.")
    manager = agents.get(tx, actor, group.manager_agent_id)
    if not group.manager_type.sleeps:
        return group
    if manager.id in group.agent_ids or manager.agent_type.sleeps:
        raise Unprocessable("A sleep-time agent cannot manage a group of sleep-time agents.")
    other = groups.led_by(tx, actor, [manager.id]).get(manager.id)
    if other is not None and other.manager_type.sleeps and other.id != group.id:
        raise Conflict(f"Agent {manager.id} has sleep-time agents in group {other.id}.", hint="Change that group.")
    return group


def _begun(tx: Transaction, actor: Actor, group: Group, now: datetime) -> Group:
    """The group as it begins: sleep-time agents read what is said from now on."""
    if group.manager_agent_id is None or not group.manager_type.sleeps:
        return replace(group, turns_counter=None, last_processed_message_id=None)
    _set_sleep(tx, actor, group, on=True, now=now)
    newest = messages.newest_id(tx, actor, group.manager_agent_id)
    return replace(group, turns_counter=0, last_processed_message_id=newest)


def _set_sleep(tx: Transaction, actor: Actor, group: Group, *, on: bool, now: datetime) -> None:
    if group.manager_agent_id is not None and group.manager_type.sleeps:
        agent = agents.get(tx, actor, group.manager_agent_id)
        if bool(agent.enable_sleeptime) is not on:
            agents.update(tx, actor, author_of(actor), replace(agent, enable_sleeptime=on), now)
