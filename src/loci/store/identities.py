"""Identities as rows, and what they are attached to: agents and blocks. Each attachment is journaled.

An identity stands in no prompt, so attaching one leaves the version of an agent's memory as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from loci.errors import Conflict, NotFound
from loci.store import journal
from loci.store.base import Params, Transaction
from loci.store.page import Where
from loci.store.rows import Record, dump, text, within
from loci.types.actor import Actor
from loci.types.identities import Identity, IdentityType
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

HolderKind: TypeAlias = Literal["agent", "block"]
HOLDER_KINDS: tuple[HolderKind, ...] = ("agent", "block")

_HELD = """(select json_group_array(g.id) from (
    select h.id from {kind}_identities x join {kind}s h on h.id = x.{kind}_id
    where x.identity_id = i.id and h.deleted_at is null order by h.created_at, h.id) g)"""
_ROWS = Record(
    Identity,
    "identities",
    "i",
    missing="Identity {} not found.",
    found={f"{kind}_ids": _HELD.format(kind=kind) for kind in HOLDER_KINDS},
)
BY_KEY = _ROWS.select + " and i.identifier_key = :identifier_key"
BY_IDS = _ROWS.select + " and i.id in (select value from json_each(:ids))"
TAKEN = """
select id from identities
where organization_id = :organization_id and identifier_key = :identifier_key and id <> :id"""
_THERE = "select id from {kind}s where id = :holder_id and organization_id = :organization_id and deleted_at is null"
_ATTACH = """
insert into {kind}_identities ({kind}_id, identity_id, organization_id, project_id, position)
values (:holder_id, :id, :organization_id, :project_id,
    (select coalesce(max(position) + 1, 0) from {kind}_identities where {kind}_id = :holder_id))
on conflict ({kind}_id, identity_id) do nothing"""
_DETACH = """
delete from {kind}_identities
where {kind}_id = :holder_id and identity_id = :id and organization_id = :organization_id"""
OF_AGENTS = """
select agent_id, identity_id from agent_identities
where agent_id in (select value from json_each(:ids)) and organization_id = :organization_id
order by position, identity_id"""


get = _ROWS.get


def by_key(tx: Transaction, actor: Actor, identifier_key: str) -> Identity | None:
    """The identity that has this key outside."""
    return _ROWS.one(tx, BY_KEY, within(actor, identifier_key=identifier_key))


def by_ids(tx: Transaction, actor: Actor, identity_ids: Sequence[str]) -> dict[str, Identity]:
    """Several identities at once, by id; what is not there is left out."""
    found = _ROWS.all(tx, BY_IDS, within(actor, ids=dump(list(identity_ids))))
    return {identity.id: identity for identity in found}


def ids_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    """The identities of several agents, by agent, in the order of attachment."""
    found: dict[str, list[str]] = {agent_id: [] for agent_id in agent_ids}
    for row in tx.all(OF_AGENTS, within(actor, ids=dump(list(agent_ids)))):
        found[text(row, "agent_id")].append(text(row, "identity_id"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFilter:
    """Which identities to list. None means any; `name_search` looks for a part of the name in any case of letters."""

    name_search: str | None = None
    project_id: str | None = None
    identifier_key: str | None = None
    identity_type: IdentityType | None = None


def listing(tx: Transaction, actor: Actor, chosen: IdentityFilter, page: Page) -> list[Identity]:
    """One page of identities. Raises NotFound for a cursor that is not an identity."""
    where = _ROWS.where(actor).in_project("i.project_id", chosen.project_id)
    where.equal("i.", identifier_key=chosen.identifier_key, identity_type=chosen.identity_type)
    where.having("i.name", "name_search", chosen.name_search)
    return _ROWS.page(tx, actor, where, page)


def count(tx: Transaction, actor: Actor) -> int:
    """How many identities there are."""
    return _ROWS.count(tx, _ROWS.where(actor))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedTo:
    """What an agent or block must be attached to, to be in a list: this identity, and any with one of these keys."""

    identity_id: str | None = None
    identifier_keys: tuple[str, ...] = ()


ANYBODY = AttachedTo()


def narrow(where: Where, kind: HolderKind, column: str, wanted: AttachedTo) -> None:
    """Only what is attached as `wanted` says, where `column` is the id of the holder."""
    held = (
        f"{column} in (select x.{kind}_id from {kind}_identities x join identities i on i.id = x.identity_id"
        " where i.organization_id = :organization_id and "
    )
    where.also(held + "i.id = :identity_id)", identity_id=wanted.identity_id)
    if wanted.identifier_keys:
        names = {f"identifier_key_{n}": key for n, key in enumerate(wanted.identifier_keys)}
        where.also(held + f"i.identifier_key in ({', '.join(f':{name}' for name in names)}))", **names)


def insert(tx: Transaction, actor: Actor, identity: Identity, now: datetime) -> Identity:
    """Store a new identity; it is attached to nothing. Raises Conflict for a key that is taken."""
    _hold_key(tx, actor, identity)
    _ROWS.insert(tx, actor, identity, now)
    return get(tx, actor, identity.id)


def update(tx: Transaction, actor: Actor, identity: Identity, now: datetime) -> None:
    """Store what an identity has become. Raises NotFound, and Conflict for a key that is taken."""
    _hold_key(tx, actor, identity)
    _ROWS.update(tx, actor, identity, now)


def _hold_key(tx: Transaction, actor: Actor, identity: Identity) -> None:
    taken = tx.one(TAKEN, within(actor, id=identity.id, identifier_key=identity.identifier_key))
    if taken is not None:
        raise Conflict(
            f"Identity {taken['id']} has the identifier_key '{identity.identifier_key}' already.",
            hint="Change that one, or send a PUT, which changes the identity with this key.",
        )


def delete(tx: Transaction, actor: Actor, author: Author, identity_id: str, now: datetime) -> None:
    """Forget an identity and take it off everything; what it was attached to stays. Raises NotFound."""
    identity = get(tx, actor, identity_id)
    links = [Link(identity_id=identity_id, kind="agent", holder_id=agent_id) for agent_id in identity.agent_ids]
    links += [Link(identity_id=identity_id, kind="block", holder_id=block_id) for block_id in identity.block_ids]
    for link in links:
        detach(tx, actor, author, link, now)
    _ROWS.delete(tx, actor, identity_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An identity on an agent or a block, to be put there or taken away."""

    identity_id: str
    kind: HolderKind
    holder_id: str
    change_set_id: str | None = None


def attach(tx: Transaction, actor: Actor, author: Author, link: Link, now: datetime) -> None:
    """Put an identity on an agent or block, after its others. Attaching it twice changes nothing. Raises NotFound."""
    params = _link_params(tx, actor, link)
    if tx.run(_ATTACH.format(kind=link.kind), params):
        _note(tx, actor, author, link, now, attached=True)


def detach(tx: Transaction, actor: Actor, author: Author, link: Link, now: datetime) -> None:
    """Take an identity off; it stays itself. Raises NotFound, also where it is not attached."""
    params = _link_params(tx, actor, link)
    if not tx.run(_DETACH.format(kind=link.kind), params):
        raise NotFound(f"Identity {link.identity_id} is not attached to {link.kind} {link.holder_id}.")
    _note(tx, actor, author, link, now, attached=False)


def set_of_agent(
    tx: Transaction, actor: Actor, author: Author, agent_id: str, identity_ids: Sequence[str], *, now: datetime
) -> None:
    """Give an agent these identities and no others. Raises NotFound."""
    held = ids_of_agents(tx, actor, [agent_id])[agent_id]
    for identity_id in held:
        if identity_id not in identity_ids:
            detach(tx, actor, author, Link(identity_id=identity_id, kind="agent", holder_id=agent_id), now)
    for identity_id in dict.fromkeys(identity_ids):
        if identity_id not in held:
            attach(tx, actor, author, Link(identity_id=identity_id, kind="agent", holder_id=agent_id), now)


def _link_params(tx: Transaction, actor: Actor, link: Link) -> Params:
    params = within(actor, id=link.identity_id, holder_id=link.holder_id)
    if tx.one(_THERE.format(kind=link.kind), params) is None:
        raise NotFound(f"{link.kind.capitalize()} {link.holder_id} not found.")
    get(tx, actor, link.identity_id)
    return params


def link_of(entry: JournalEntry, change_set_id: str) -> Link:
    """What an entry of the journal put somewhere or took away, as part of another change."""
    fact = entry.after if entry.before is None else entry.before
    kind: HolderKind = "block" if entry.agent_id is None else "agent"
    block_id = str(fact.get("block_id")) if isinstance(fact, Mapping) else ""
    return Link(
        identity_id=entry.subject_id, kind=kind, holder_id=entry.agent_id or block_id, change_set_id=change_set_id
    )


def _note(tx: Transaction, actor: Actor, author: Author, link: Link, now: datetime, *, attached: bool) -> None:
    fact = {"identity_id": link.identity_id, f"{link.kind}_id": link.holder_id}
    entry = JournalEntry(
        subject=Subject.ATTACHMENT,
        subject_id=link.identity_id,
        agent_id=link.holder_id if link.kind == "agent" else None,
        action="attach_identity" if attached else "detach_identity",
        before=None if attached else fact,
        after=fact if attached else None,
        author=author,
        change_set_id=link.change_set_id,
    )
    journal.record(tx, actor, [entry], now)
