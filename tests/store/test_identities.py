"""Identities of another organisation do not exist, and its keys are its own."""

from typing import Any

from loci.ids import new_id
from loci.store import agents, identities
from loci.store.identities import AttachedTo, IdentityFilter, Link
from loci.testing.stores import OTHER_ACTOR
from loci.types.identities import Identity
from loci.types.memory import Subject
from loci.types.paging import Page
from tests.store.rooms import AUTHOR, ME, START, an_agent, room


async def test_another_organisation_neither_sees_nor_changes_them(tmp_path):
    async with room(tmp_path) as here:
        kim = Identity(id=new_id("identity"), identifier_key="k", name="Kim", identity_type="user")
        twin = Identity(id=new_id("identity"), identifier_key="k", name="Kim", identity_type="user")
        await here.store.write(identities.insert, ME, kim, START)
        await here.store.write(identities.insert, OTHER_ACTOR, twin, START)
        ours = await here.agent(an_agent())
        theirs = an_agent()
        await here.store.write(agents.insert, OTHER_ACTOR, theirs, START)
        link = Link(identity_id=kim.id, kind="agent", holder_id=ours.id)
        await here.store.write(identities.attach, ME, AUTHOR, link, START)

        across: list[Any] = [
            (identities.attach, (AUTHOR, Link(identity_id=kim.id, kind="agent", holder_id=theirs.id), START)),
            (identities.attach, (AUTHOR, Link(identity_id=twin.id, kind="agent", holder_id=ours.id), START)),
        ]
        await here.refuses(OTHER_ACTOR, across)
        await here.refuses(ME, across)
        await here.refuses(
            OTHER_ACTOR,
            [
                (identities.get, (kim.id,)),
                (identities.update, (Identity(id=kim.id, identifier_key="x", name="X", identity_type="org"), START)),
                (identities.delete, (AUTHOR, kim.id, START)),
                (identities.detach, (AUTHOR, link, START)),
            ],
        )
        listed = await here.store.read(identities.listing, OTHER_ACTOR, IdentityFilter(), Page())
        assert [item.id for item in listed] == [twin.id]
        assert await here.store.read(identities.count, OTHER_ACTOR) == 1
        assert await here.store.read(identities.by_ids, OTHER_ACTOR, [kim.id]) == {}
        assert await here.store.read(identities.ids_of_agents, OTHER_ACTOR, [ours.id]) == {ours.id: []}
        found = agents.AgentFilter(attached_to=AttachedTo(identity_id=kim.id))
        assert await here.store.read(agents.count, OTHER_ACTOR, found) == 0
        assert (await here.store.read(identities.get, ME, kim.id)).agent_ids == (ours.id,)
        assert len(await here.journal(Subject.ATTACHMENT, kim.id)) == 1
