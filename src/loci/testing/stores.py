"""Stores for tests: real databases in a temporary folder, with just enough rows to begin.

Tests ask for a store here and not for a driver, so that the same tests can run on another database.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from loci.store.base import Store
from loci.store.sqlite import SQLiteStore
from loci.types.actor import Actor

OTHER_ACTOR = Actor(
    user_id="user-11111111-1111-4111-8111-111111111111",
    organization_id="org-11111111-1111-4111-8111-111111111111",
)
"""Somebody else: nothing of an ordinary actor's may be visible to them."""


@asynccontextmanager
async def open_store(folder: Path) -> AsyncGenerator[Store]:
    """An open, empty database that is gone with the folder."""
    store = SQLiteStore(folder / "loci.db", durability="normal")
    await store.open()
    try:
        yield store
    finally:
        await store.close()
