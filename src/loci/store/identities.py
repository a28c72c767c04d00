"""Identities as rows, and what they are attached to: agents and blocks. Each attachment is journaled.

An identity stands in no prompt, so attaching one leaves the version of an agent's memory as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, cast

from loci.errors import Conflict, NotFound
from loci.store import journal
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import like_pattern, page_clause
from loci.store.rows import dump, integer, load_objects, load_texts, maybe_moment, maybe_text, maybe_time_text, text
from loci.types.actor import Actor
from loci.types.identities import Identity, IdentityType
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

HolderKind: TypeAlias = Literal["agent", "block"]
HOLDER_KINDS: tuple[HolderKind, ...] = ("agent", "block")

_NAMES = (
    "id, project_id, identifier_key, name, identity_type, properties, created_at, updated_at, created_by, updated_by"
)
_HELD = """(select json_group_array(g.id) from (
    select h.id from {kind}_identities x join {kind}s h on h.id = x.{kind}_id
    where x.identity_id = i.id and h.deleted_at is null order by h.created_at, h.id) g) as {kind}_ids"""
COLUMNS = ", ".join(
    [*(f"i.{name}" for name in _NAMES.split(", ")), *(_HELD.format(kind=kind) for kind in HOLDER_KINDS)]
)
_OURS = f"select {COLUMNS} from identities i where i.organization_id = :organization_id"
BY_ID = _OURS + " and i.id = :id"
BY_KEY = _OURS + " and i.identifier_key = :identifier_key"
BY_IDS = _OURS + " and i.id in (select value from json_each(:ids))"
COUNT = "select count(*) as n from identities where organization_id = :organization_id"
TAKEN = """
select id from identities
where organization_id = :organization_id and identifier_key = :identifier_key and id <> :id"""
INSERT = f"""
insert into identities (organization_id, {_NAMES})
values (:organization_id, {", ".join(f":{name}" for name in _NAMES.split(", "))})"""
UPDATE = """
update identities set identifier_key = :identifier_key, name = :name, identity_type = :identity_type,
    properties = :properties, updated_at = :updated_at, updated_by = :updated_by
where id = :id and organization_id = :organization_id"""
DELETE = "delete from identities where id = :id and organization_id = :organization_id"

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


def from_row(row: Row) -> Identity:
    """A stored identity."""
    return Identity(
        id=text(row, "id"),
        identifier_key=text(row, "identifier_key"),
        name=text(row, "name"),
        identity_type=cast("IdentityType", text(row, "identity_type")),
        project_id=maybe_text(row, "project_id"),
        properties=load_objects(row["properties"]),
        agent_ids=load_texts(row["agent_ids"]),
        block_ids=load_texts(row["block_ids"]),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def _params(actor: Actor, identity: Identity) -> Params:
    return {
        "id": identity.id,
        "organization_id": actor.organization_id,
        "project_id": identity.project_id or actor.project_id,
        "identifier_key": identity.identifier_key,
        "name": identity.name,
        "identity_type": identity.identity_type,
        "properties": dump(list(identity.properties)),
        "created_at": maybe_time_text(identity.created_at),
        "updated_at": maybe_time_text(identity.updated_at),
        "created_by": identity.created_by,
        "updated_by": identity.updated_by,
    }


def get(tx: Transaction, actor: Actor, identity_id: str) -> Identity:
    """One identity, with what it is attached to. Raises NotFound."""
    row = tx.one(BY_ID, {"id": identity_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Identity {identity_id} not found.")
    return from_row(row)


def by_key(tx: Transaction, actor: Actor, identifier_key: str) -> Identity | None:
    """The identity that has this key outside."""
    row = tx.one(BY_KEY, {"identifier_key": identifier_key, "organization_id": actor.organization_id})
    return None if row is None else from_row(row)


def by_ids(tx: Transaction, actor: Actor, identity_ids: Sequence[str]) -> dict[str, Identity]:
    """Several identities at once, by id; what is not there is left out."""
    params: Params = {"ids": dump(list(identity_ids)), "organization_id": actor.organization_id}
    return {identity.id: identity for identity in map(from_row, tx.all(BY_IDS, params))}


def ids_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    """The identities of several agents, by agent, in the order of attachment."""
    params: Params = {"ids": dump(list(agent_ids)), "organization_id": actor.organization_id}
    found: dict[str, list[str]] = {agent_id: [] for agent_id in agent_ids}
    for row in tx.all(OF_AGENTS, params):
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
    where, params = _OURS, {"organization_id": actor.organization_id}
    for column in ("project_id", "identifier_key", "identity_type"):
        value: str | None = getattr(chosen, column)
        if value is not None:
            where += f" and i.{column} = :{column}"
            params[column] = value
    if chosen.name_search:
        where += " and lower(i.name) like lower(:name_search) escape '!'"
        params["name_search"] = like_pattern(chosen.name_search)
    clause = page_clause(tx, actor, page, "identities", alias="i")
    return [from_row(row) for row in clause.read(tx, where, params)]


def count(tx: Transaction, actor: Actor) -> int:
    """How many identities there are."""
    row = tx.one(COUNT, {"organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedTo:
    """What an agent or block must be attached to, to be in a list: this identity, and any with one of these keys."""

    identity_id: str | None = None
    identifier_keys: tuple[str, ...] = ()


ANYBODY = AttachedTo()


def conditions(kind: HolderKind, column: str, wanted: AttachedTo, params: dict[str, SqlValue]) -> list[str]:
    """SQL for `wanted` where `column` is the id of the holder; what it needs is put into `params`, which have the
    organization_id.
    """
    held = (
        f"{column} in (select x.{kind}_id from {kind}_identities x join identities i on i.id = x.identity_id"
        " where i.organization_id = :organization_id and "
    )
    parts: list[str] = []
    if wanted.identity_id is not None:
        params["identity_id"] = wanted.identity_id
        parts.append(held + "i.id = :identity_id)")
    if wanted.identifier_keys:
        names = {f"identifier_key_{n}": key for n, key in enumerate(wanted.identifier_keys)}
        params |= names
        parts.append(held + f"i.identifier_key in ({', '.join(f':{name}' for name in names)}))")
    return parts


def insert(tx: Transaction, actor: Actor, identity: Identity, now: datetime) -> Identity:
    """Store a new identity; it is attached to nothing. Raises Conflict for a key that is taken."""
    _hold_key(tx, actor, identity)
    stored = replace(identity, created_at=now, updated_at=now, created_by=actor.user_id, updated_by=actor.user_id)
    tx.run(INSERT, _params(actor, stored))
    return get(tx, actor, stored.id)


def update(tx: Transaction, actor: Actor, identity: Identity, now: datetime) -> None:
    """Store what an identity has become. Raises NotFound, and Conflict for a key that is taken."""
    _hold_key(tx, actor, identity)
    if not tx.run(UPDATE, _params(actor, replace(identity, updated_at=now, updated_by=actor.user_id))):
        raise NotFound(f"Identity {identity.id} not found.")


def _hold_key(tx: Transaction, actor: Actor, identity: Identity) -> None:
    params: Params = {
        "id": identity.id,
        "identifier_key": identity.identifier_key,
        "organization_id": actor.organization_id,
    }
    taken = tx.one(TAKEN, params)
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
    tx.run(DELETE, {"id": identity_id, "organization_id": actor.organization_id})


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
    if tx.run(_ATTACH.format(kind=link.kind), {**params, "project_id": actor.project_id}):
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
    params: Params = {
        "id": link.identity_id,
        "holder_id": link.holder_id,
        "organization_id": actor.organization_id,
    }
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
