"""Vectors as one byte a number, beside one scale each: rows clustered by scope, model and seq.

Vectors are filled in by seq, so `vectors_through_seq` of the scope says where to go on; rows of another model than the
one that the scope has now are never compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import orjson
from numpy.typing import NDArray

from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.rows import dump, integer
from loci.store.scopes import Scope
from loci.types.actor import Actor

MODEL = "select number from search_models where name = :name"
NEW_MODEL = "insert into search_models (name) values (:name) on conflict (name) do nothing"
SWITCH = """
update search_scopes set model = :model, vectors_through_seq = 0, generation = generation + 1 where number = :scope"""
INSERT = """
insert into search_vectors (scope, model, seq, scale, vector) values (:scope, :model, :seq, :scale, :vector)
on conflict (scope, model, seq) do update set scale = excluded.scale, vector = excluded.vector"""
ADVANCE = """
update search_scopes set vectors_through_seq = :seq where number = :scope and model = :model
    and vectors_through_seq < :seq"""
PENDING = """
select seq from search_rows where scope = :scope and seq > :seq order by seq limit :limit"""
STILL_THERE = """
select seq from search_rows where scope = :scope and seq in (select value from json_each(:seqs))"""
ALL = "select seq, scale, vector from search_vectors where scope = :scope and model = :model order by seq"
SINCE = """
select seq, vector from search_vectors where scope = :scope and model = :model and seq > :seq
order by seq limit :limit"""
SOME = """
select seq, scale, vector from search_vectors
where scope = :scope and model = :model and seq in (select value from json_each(:seqs)) order by seq"""
OTHERS = """
delete from search_vectors where scope = :scope and (model, seq) in (
    select model, seq from search_vectors where scope = :scope and model <> :model limit :limit)"""
SIZE = """
select coalesce(sum(length(v.vector)), 0) as size_bytes
from search_vectors v join search_scopes s on s.number = v.scope where s.organization_id = :organization_id"""

PIECE_ROWS = 5_000
_LARGEST = 127
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows `matrix` of whole numbers with what each is to be multiplied with, in order of `seqs`."""

    seqs: NDArray[np.int64]
    scales: NDArray[np.float32]
    matrix: NDArray[np.int8]

    def compare(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine of each row with a query of unit length."""
        # Not `@`, which starts threads for it and waits for them: on a busy machine 68 ms instead of 0.1.
        return np.vecdot(self.matrix.astype(np.float32), query) * self.scales


def model_number(tx: Transaction, name: str) -> int | None:
    """The number of an embedding model, if vectors of it were ever stored."""
    row = tx.one(MODEL, {"name": name})
    return None if row is None else integer(row, "number")


def use_model(tx: Transaction, scope: Scope, name: str) -> int:
    """From now on the vectors of this scope are of that model; those of another one are filled in anew."""
    tx.run(NEW_MODEL, {"name": name})
    model = model_number(tx, name)
    assert model is not None
    if scope.model != model:
        tx.run(SWITCH, {"scope": scope.number, "model": model})
    return model


def pending(tx: Transaction, scope: Scope, model: int | None, limit: int) -> list[int]:
    """The next texts that lack a vector of this model."""
    through = scope.vectors_through_seq if scope.model is not None and scope.model == model else 0
    rows = tx.all(PENDING, {"scope": scope.number, "seq": through, "limit": limit})
    return [integer(row, "seq") for row in rows]


def fill(tx: Transaction, scope: Scope, model: int, found: Sequence[tuple[int, Sequence[float]]]) -> None:
    """Store the vectors of the next texts, by seq, in order; those of texts that are gone by now are dropped."""
    if not found:
        return
    params = {"scope": scope.number, "seqs": dump([seq for seq, _ in found])}
    there = {integer(row, "seq") for row in tx.all(STILL_THERE, params)}
    rows: list[Params] = []
    for seq, vector in found:
        if seq in there:
            scale, packed = quantise(vector)
            rows.append({"scope": scope.number, "model": model, "seq": seq, "scale": scale, "vector": packed})
    if rows:
        tx.many(INSERT, rows)
    tx.run(ADVANCE, {"scope": scope.number, "model": model, "seq": found[-1][0]})


def quantise(vector: Sequence[float]) -> tuple[float, bytes]:
    """One byte a number, and the scale that brings them back."""
    exact = np.asarray(vector, dtype=np.float32)
    largest = float(np.abs(exact).max(initial=0.0))
    # What is nearly nothing would divide by a scale that a 32-bit number cannot hold.
    scale = largest / _LARGEST if largest > _SMALLEST else 1.0
    return scale, np.rint(exact / scale).astype(np.int8).tobytes()


def fetch(tx: Transaction, scope: Scope, dimensions: int, seqs: NDArray[np.int64] | None = None) -> Vectors:
    """The vectors of these texts, or of all; rows of another length than `dimensions` are passed over."""
    params: dict[str, SqlValue] = {"scope": scope.number, "model": scope.model}
    if seqs is not None:
        params["seqs"] = orjson.dumps(seqs, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return _assembled(tx.all(ALL if seqs is None else SOME, params), dimensions)


def _assembled(rows: Sequence[Row], dimensions: int) -> Vectors:
    """Rows as arrays. Search spends much of its time here, so the columns are read without the usual checks."""
    whole = [row for row in rows if len(cast("bytes", row["vector"])) == dimensions]
    joined = b"".join([cast("bytes", row["vector"]) for row in whole])
    return Vectors(
        seqs=np.array([row["seq"] for row in whole], dtype=np.int64),
        scales=np.array([row.get("scale", 1.0) for row in whole], dtype=np.float32),
        matrix=np.frombuffer(joined, dtype=np.int8).reshape(-1, dimensions),
    )


def fetch_codes(
    tx: Transaction, scope: Scope, dimensions: int, after_seq: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The signs of all vectors after a seq: (seqs, words of 64 signs by row). Read in pieces, for they may be many."""
    seqs = [np.empty(0, np.int64)]
    codes = [np.empty((0, -(-dimensions // 64)), np.uint64)]
    while True:
        params = {"scope": scope.number, "model": scope.model, "seq": after_seq, "limit": PIECE_ROWS}
        rows = tx.all(SINCE, params)
        found = _assembled(rows, dimensions)
        seqs.append(found.seqs)
        codes.append(sign_codes(found.matrix))
        if len(rows) < PIECE_ROWS:
            return np.concatenate(seqs), np.concatenate(codes)
        after_seq = integer(rows[-1], "seq")


def sign_codes(matrix: NDArray[np.int8] | NDArray[np.float32]) -> NDArray[np.uint64]:
    """Which numbers are above zero, as words of 64 bits."""
    bits = np.packbits(matrix > 0, axis=1)
    padding = -bits.shape[1] % 8
    return np.ascontiguousarray(np.pad(bits, ((0, 0), (0, padding)))).view(np.uint64)


def drop_others(tx: Transaction, scope: Scope, model: int, limit: int) -> int:
    """Delete vectors of other models, some at a time. Returns how many went."""
    return tx.run(OTHERS, {"scope": scope.number, "model": model, "limit": limit})


def size_bytes(tx: Transaction, actor: Actor) -> int:
    """How much room the vectors of an organisation take."""
    row = tx.one(SIZE, {"organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "size_bytes")
