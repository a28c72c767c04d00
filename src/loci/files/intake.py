"""Files that come in: stored piece by piece, then read, cut into chunks and embedded in the background.

Each stage is stored with what it made, so a crash in the middle costs one stage, never a file.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from loci.clock import Clock
from loci.errors import Conflict, ModelFailure, NotFound
from loci.files import holding
from loci.files.chunking import chunks_of
from loci.files.finding import FolderSearch
from loci.files.kinds import FileKind, clean_name, kind_of, media_type_of, with_number
from loci.files.reading import Reader
from loci.ids import new_id
from loci.jobs.worker import Jobs
from loci.store import chunks, files, folders
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.files import File
from loci.types.jobs import Job, NewJob

log = logging.getLogger(__name__)

FILE_JOB = "file.process"
PIECE_BYTES = 1_000_000
CHUNKS_AT_ONCE = 400
"""So many go into one transaction, so that a long file does not keep others from writing."""
ATTEMPTS_MAX = 4

Duplicates = Literal["skip", "error", "suffix", "replace"]
"""What becomes of a file whose name is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it is being sent: `read` gives the next bytes, at most so many, and none at the end."""

    name: str
    original_name: str
    read: Callable[[int], Awaitable[bytes]]
    duplicates: Duplicates = "suffix"


class Intake:
    """Takes files in."""

    def __init__(self, store: Store, jobs: Jobs, clock: Clock, search: FolderSearch, reader: Reader) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._search = search
        self._reader = reader
        jobs.register(FILE_JOB, self.process, attempts_max=ATTEMPTS_MAX, given_up=self._given_up)

    async def open(self) -> None:
        """Drop what a former process was being sent when it ended."""
        await self._store.write(files.sweep)

    async def close(self) -> None:
        """End what reads files and what makes them searchable."""
        await self._search.close()
        await self._reader.close()

    async def take(self, actor: Actor, folder_id: str, upload: Upload) -> File:
        """Store a file; it is read in the background.

        Raises NotFound for the folder, Unprocessable for a name that is none, UnsupportedMedia, and Conflict for a
        name that is taken where that is an error.
        """
        name = clean_name(upload.name)
        await self._store.read(folders.get, actor, folder_id)
        piece = await upload.read(PIECE_BYTES)
        kind = kind_of(name, piece)
        file_id, number, size_bytes = new_id("file"), 0, 0
        try:
            while piece:
                await self._store.write(files.insert_piece, actor, file_id, number, piece)
                number, size_bytes = number + 1, size_bytes + len(piece)
                piece = await upload.read(PIECE_BYTES)
            new = File(
                id=file_id,
                folder_id=folder_id,
                folder_name="",
                name=name,
                original_name=upload.original_name,
                media_type=media_type_of(name, kind),
                size_bytes=size_bytes,
            )
            file = await self._store.write(self._keep, actor, new, upload.duplicates)
        except BaseException:
            await asyncio.shield(self._store.write(files.forget_pieces, actor, file_id))
            raise
        if file.id != file_id:
            await self._store.write(files.forget_pieces, actor, file_id)
        return file

    def _keep(self, tx: Transaction, actor: Actor, new: File, duplicates: Duplicates) -> File:
        """The file with its job, or the one that is there already."""
        folders.get(tx, actor, new.folder_id)
        now = self._clock.now()
        there = files.named(tx, actor, new.folder_id, new.name)
        name = new.name
        if there is not None:
            match duplicates:
                case "skip":
                    return there
                case "error":
                    raise Conflict(
                        f"There is a file '{there.path}' already.", hint="duplicate_handling says what to do then."
                    )
                case "replace":
                    files.delete(tx, actor, there)
                case "suffix":
                    taken = files.names(tx, actor, new.folder_id)
                    number = 1
                    while (name := with_number(new.name, number)) in taken:
                        number += 1
        file = files.insert(tx, actor, replace(new, name=name), now)
        self._jobs.enqueue(tx, actor, NewJob(kind=FILE_JOB, subject_id=file.id), now)
        return file

    async def process(self, actor: Actor, job: Job) -> datetime | None:
        """Bring a file on, from wherever it stands. Raises Unprocessable for one that cannot be read."""
        file_id = job.subject_id or ""
        try:
            file = await self._store.read(files.get, actor, file_id)
            if file.status in ("pending", "parsing"):
                await self._read(actor, file)
                file = await self._store.read(files.get, actor, file_id)
            elif file.status == "embedding" and file.chunks_total is None:  # it came with its text
                await self._cut(actor, file, await self._store.read(files.text_of, actor, file_id) or "")
            if file.status == "embedding":
                await self._embed(actor, file, job.attempts)
        except NotFound:  # deleted meanwhile, by itself or with its folder
            log.info("file %s is gone", file_id)
        return None

    async def _read(self, actor: Actor, file: File) -> None:
        now = self._clock.now()
        await self._store.write(files.set_status, actor, file.id, "parsing", now)
        words = await self._reader.text_of(await self._kind(actor, file), self._pieces(actor, file.id))
        await self._cut(actor, file, words)
        await self._store.write(_tell, actor, file.id, words, now)

    async def _cut(self, actor: Actor, file: File, words: str) -> None:
        """Store a text in chunks, and at the end how many they are: without that number they are made anew."""
        now = self._clock.now()
        cut = await asyncio.to_thread(chunks_of, words)
        await self._store.write(chunks.forget, actor, file)
        for at in range(0, len(cut), CHUNKS_AT_ONCE):
            await self._store.write(_store_chunks, actor, file, cut[at : at + CHUNKS_AT_ONCE], now)
        await self._store.write(_store_text, actor, file, words, len(cut), now)

    async def _kind(self, actor: Actor, file: File) -> FileKind:
        return kind_of(file.name, await self._store.read(files.piece, actor, file.id, 0) or b"")

    async def _pieces(self, actor: Actor, file_id: str) -> AsyncIterator[bytes]:
        number = 0
        while piece := await self._store.read(files.piece, actor, file_id, number):
            yield piece
            number += 1

    async def _embed(self, actor: Actor, file: File, attempts: int) -> None:
        """Fill in vectors. A file is found by its words without them, so a model that keeps failing spoils nothing."""
        folder = await self._store.read(folders.get, actor, file.folder_id)
        note: str | None = None
        try:
            await self._search.embed(actor, folder)
        except ModelFailure as failure:
            if attempts < ATTEMPTS_MAX:
                raise
            note = f"It is found by its words only, for the embedding model failed: {failure.message}"
        now = self._clock.now()
        await self._store.write(files.set_status, actor, file.id, "completed", now, error=note)

    async def _given_up(self, actor: Actor, job: Job, error: str | None) -> None:
        await self._store.write(_stop, actor, job.subject_id or "", error, self._clock.now())


def _stop(tx: Transaction, actor: Actor, file_id: str, error: str | None, now: datetime) -> None:
    """Note that nobody goes on with a file, if it is still there and unfinished. One without its text is not found."""
    try:
        file = files.get(tx, actor, file_id)
    except NotFound:
        return
    if file.status in ("pending", "parsing"):
        files.forget_text(tx, actor, file, now)
        files.set_status(tx, actor, file_id, "error", now, error=error or "Reading it was cancelled.")
    elif file.status == "embedding":
        files.set_status(tx, actor, file_id, "completed", now, error=error or "Embedding it was cancelled.")


def _store_text(tx: Transaction, actor: Actor, file: File, words: str, count: int, now: datetime) -> None:
    files.get(tx, actor, file.id)
    files.set_text(tx, actor, file, words, count, now)


def _store_chunks(tx: Transaction, actor: Actor, file: File, cut: list[tuple[int, str]], now: datetime) -> None:
    files.get(tx, actor, file.id)
    chunks.insert(tx, actor, file, cut, now)


def _tell(tx: Transaction, actor: Actor, file_id: str, words: str, now: datetime) -> None:
    files.set_status(tx, actor, file_id, "embedding", now)
    holding.arrived(tx, actor, files.get(tx, actor, file_id), words, now)
