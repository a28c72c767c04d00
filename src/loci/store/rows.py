"""Values to columns and back: the only place in the store where rows are taken apart.

What the columns of a kind of thing are is said by the fields of its dataclass, and nowhere else:

    _ROWS = Record(Archive, "archives", "ar", missing="Archive {} not found.")
    archive = _ROWS.get(tx, actor, archive_id)

A column has the name of its field and holds what the field's type asks for: texts and numbers as they are, times as
texts, yes and no as 1 and 0, objects and lists as JSON.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin

import orjson

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import Where, page_clause
from loci.types.actor import DEFAULT_USER, Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.paging import Page

T = TypeVar("T")


def within(actor: Actor, **values: SqlValue) -> dict[str, SqlValue]:
    """The values of a statement, which is about rows of the actor's organisation and makes new ones in its project."""
    return {"organization_id": actor.organization_id, "project_id": actor.project_id, **values}


def time_text(moment: datetime) -> str:
    """UTC with microseconds and fixed width, so that text order is time order."""
    # Not strftime, which writes the year 1 with one digit on some systems.
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def maybe_time_text(moment: datetime | None) -> str | None:
    """The same for a time that may be missing."""
    return None if moment is None else time_text(moment)


def moment(row: Row, column: str) -> datetime:
    """A time column that must be set."""
    return datetime.fromisoformat(str(row[column]))


def maybe_moment(row: Row, column: str) -> datetime | None:
    """A time column that may be null."""
    value = row[column]
    return None if value is None else datetime.fromisoformat(str(value))


def actor_of(row: Row) -> Actor:
    """Whoever a row with `created_by` belongs to; older ones do not say which user made them."""
    user_id = maybe_text(row, "created_by") or DEFAULT_USER
    return Actor(
        user_id=user_id, organization_id=text(row, "organization_id"), project_id=maybe_text(row, "project_id")
    )


def dump(value: JsonValue | Sequence[JsonObject] | Mapping[str, JsonValue]) -> str:
    """JSON text for a column."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def maybe_dump(value: JsonValue) -> str | None:
    """JSON text, or null for None."""
    return None if value is None else dump(value)


def load(value: SqlValue) -> JsonValue:
    """What a JSON column holds; null is None."""
    if value is None or isinstance(value, int | float):
        return value
    return cast("JsonValue", orjson.loads(value))


def load_object(value: SqlValue) -> dict[str, JsonValue]:
    """A JSON object column; null and anything else is an empty object."""
    loaded = load(value)
    return dict(loaded) if isinstance(loaded, Mapping) else {}


def load_maybe_object(value: SqlValue) -> dict[str, JsonValue] | None:
    """A JSON object column that may be null."""
    loaded = load(value)
    return dict(loaded) if isinstance(loaded, Mapping) else None


def load_texts(value: SqlValue) -> tuple[str, ...]:
    """A JSON array of texts."""
    loaded = load(value)
    return tuple(str(item) for item in loaded) if isinstance(loaded, list) else ()


def load_objects(value: SqlValue) -> tuple[dict[str, JsonValue], ...]:
    """A JSON array of objects."""
    loaded = load(value)
    if not isinstance(loaded, list):
        return ()
    return tuple(dict(item) for item in loaded if isinstance(item, Mapping))


def text(row: Row, column: str) -> str:
    """A text column that must be set."""
    return str(row[column])


def maybe_text(row: Row, column: str) -> str | None:
    """A text column that may be null."""
    value = row[column]
    return None if value is None else str(value)


def integer(row: Row, column: str) -> int:
    """A whole number; null is 0."""
    value = row[column]
    return int(value) if isinstance(value, int | float | str) else 0


def maybe_integer(row: Row, column: str) -> int | None:
    """A whole number that may be null."""
    return None if row[column] is None else integer(row, column)


def number(row: Row, column: str) -> float:
    """A number; null is 0."""
    value = row[column]
    return float(value) if isinstance(value, int | float | str) else 0.0


def flag(row: Row, column: str) -> bool:
    """Yes or no; null is no."""
    return bool(row[column])


def bit(value: bool | None) -> int | None:  # noqa: FBT001  a conversion
    """Yes or no as 1 or 0."""
    return None if value is None else int(value)


_STAYS = frozenset({"id", "created_at", "created_by"})


@dataclass(frozen=True, slots=True)
class Codec:
    """How a column holds a field, and how it is brought back; None: as it is."""

    load: Callable[[Any], object] | None = None
    dump: Callable[[Any], SqlValue] | None = None


class Record(Generic[T]):
    """The rows of one kind of thing.

    Args:
        kind: Its dataclass.
        table: Where the rows are. It has the columns organization_id and project_id, and id where one is asked for.
        alias: The name of the table in queries.
        missing: What is said when there is none; `{}` stands for the id.
        is_put_away: Rows that are deleted stay, with the time in `deleted_at`, and are not seen any more.
        special: How fields are held whose type does not say it.
        found: Fields that are in no column of the table, or that the database sets, with the SQL that finds them.
    """

    def __init__(  # noqa: PLR0913  one declaration
        self,
        kind: type[T],
        table: str,
        alias: str,
        *,
        missing: str,
        is_put_away: bool = False,
        special: Mapping[str, Codec] | None = None,
        found: Mapping[str, str] | None = None,
    ) -> None:
        found, special = found or {}, special or {}
        codecs = {field.name: special.get(field.name) or _codec(field.type) for field in fields(cast("Any", kind))}
        self._kind, self._table, self._alias, self._missing = kind, table, alias, missing
        self._loads = [(name, codec.load) for name, codec in codecs.items()]
        self._dumps = [(name, codec.dump) for name, codec in codecs.items() if name not in found]
        self._live = f"{alias}.organization_id = :organization_id"
        if is_put_away:
            self._live += f" and {alias}.deleted_at is null"
        self.columns = ", ".join(f"{found[name]} as {name}" if name in found else f"{alias}.{name}" for name in codecs)
        """What a query of others has to select for `value`."""
        self.select = f"select {self.columns} from {table} {alias} where {self._live}"
        """All rows of the organisation. It ends within its `where`."""
        self.by_id = f"{self.select} and {alias}.id = :id"
        stored = dict.fromkeys(["organization_id", "project_id", *(name for name, _ in self._dumps)])
        self.insertion = (
            f"insert into {table} ({', '.join(stored)}) values ({', '.join(f':{name}' for name in stored)})"
        )
        self._update = self.changing()

    def changing(self, *, besides: Collection[str] = (), also: str = "") -> str:
        """The statement that stores what became of one: all but its id and its beginning, and but those `besides`."""
        names = [name for name, _ in self._dumps if name not in _STAYS and name not in besides]
        chosen = ", ".join(f"{name} = :{name}" for name in names) + also
        return f"update {self._table} set {chosen} where id = :id and organization_id = :organization_id"

    def value(self, row: Row) -> T:
        """The value of a row."""
        return self._kind(**{name: load(row[name]) if load else row[name] for name, load in self._loads})

    def params(self, actor: Actor, value: T) -> dict[str, SqlValue]:
        """The columns of a value, for the actor's organisation; what does not say its project is in the actor's."""
        given = {name: dump(getattr(value, name)) if dump else getattr(value, name) for name, dump in self._dumps}
        return within(actor) | given

    def begun(self, actor: Actor, value: T, now: datetime) -> T:
        """A new value with who made it, when, and in which project, where it does not say that itself."""
        who, project_id = actor.user_id, actor.project_id
        stamps = {"created_at": now, "updated_at": now, "created_by": who, "updated_by": who, "project_id": project_id}
        return self._with(value, {name: it for name, it in stamps.items() if getattr(value, name, now) is None})

    def changed(self, actor: Actor, value: T, now: datetime) -> T:
        """A value with who changed it, and when."""
        stamps = {"updated_at": now, "updated_by": actor.user_id}
        return self._with(value, {name: it for name, it in stamps.items() if hasattr(value, name)})

    def _with(self, value: T, stamps: Mapping[str, object]) -> T:
        return cast("T", replace(cast("Any", value), **stamps))

    def all(self, tx: Transaction, sql: str, params: Params) -> list[T]:
        """What a query finds that selects `columns`."""
        return [self.value(row) for row in tx.all(sql, params)]

    def one(self, tx: Transaction, sql: str, params: Params) -> T | None:
        """The first that such a query finds."""
        row = tx.one(sql, params)
        return None if row is None else self.value(row)

    def get(self, tx: Transaction, actor: Actor, id: str) -> T:  # noqa: A002  the column is called so
        """One by its id. Raises NotFound."""
        row = tx.one(self.by_id, {"id": id, "organization_id": actor.organization_id})
        if row is None:
            raise NotFound(self._missing.format(id))
        return self.value(row)

    def where(self, actor: Actor) -> Where:
        """The conditions of a list, to begin with: all of the organisation."""
        return Where(self._live, {"organization_id": actor.organization_id})

    def page(
        self, tx: Transaction, actor: Actor, where: Where, page: Page, *, order_by: str = "created_at", table: str = ""
    ) -> list[T]:
        """One page of a list; `table` has the alias, too. Raises NotFound for a cursor that is not in it."""
        source = table or f"{self._table} {self._alias}"
        clause = page_clause(tx, actor, page, table or self._table, table_time_column=order_by, alias=self._alias)
        rows = clause.read(tx, f"select {self.columns} from {source} where {where.sql}", where.params)
        return [self.value(row) for row in rows]

    def count(self, tx: Transaction, where: Where) -> int:
        """How many there are."""
        row = tx.one(f"select count(*) as n from {self._table} {self._alias} where {where.sql}", where.params)
        return 0 if row is None else integer(row, "n")

    def by_holder(self, tx: Transaction, actor: Actor, sql: str, holder_ids: Sequence[str]) -> dict[str, list[T]]:
        """What several hold, by holder: the query has `:ids` as JSON, and selects `holder_id` too."""
        found: dict[str, list[T]] = {holder_id: [] for holder_id in holder_ids}
        known: dict[str, T] = {}  # what all agents hold is read once
        for row in tx.all(sql, within(actor, ids=dump(list(holder_ids)))):
            value = known.get(text(row, "id")) or known.setdefault(text(row, "id"), self.value(row))
            found[text(row, "holder_id")].append(value)
        return found

    def insert(self, tx: Transaction, actor: Actor, value: T, now: datetime) -> T:
        """Store a new one."""
        return self.insert_all(tx, actor, [value], now)[0]

    def insert_all(self, tx: Transaction, actor: Actor, values: Sequence[T], now: datetime) -> list[T]:
        """Store new ones, in order."""
        stored = [self.begun(actor, value, now) for value in values]
        if stored:
            tx.many(self.insertion, [self.params(actor, value) for value in stored])
        return stored

    def update(self, tx: Transaction, actor: Actor, value: T, now: datetime) -> T:
        """Store what became of one. Raises NotFound."""
        stored = self.changed(actor, value, now)
        params = self.params(actor, stored)
        if not tx.run(self._update, params):
            raise NotFound(self._missing.format(params["id"]))
        return stored

    def delete(self, tx: Transaction, actor: Actor, id: str) -> None:  # noqa: A002  see get
        """Forget one. Raises NotFound."""
        sql = f"delete from {self._table} where id = :id and organization_id = :organization_id"
        if not tx.run(sql, {"id": id, "organization_id": actor.organization_id}):
            raise NotFound(self._missing.format(id))


def _codec(hint: Any) -> Codec:  # noqa: ANN401  any annotation
    chosen = [option for option in get_args(hint) if option is not NoneType] if _is_union(hint) else [hint]
    if len(chosen) != 1:
        raise TypeError(f"nobody said how a column holds {hint}")
    kind, is_maybe = chosen[0], chosen[0] is not hint
    origin = get_origin(kind)
    if kind in (str, int, float, bytes) or origin is Literal:
        return Codec()
    if kind is bool:
        return Codec(_maybe(bool) if is_maybe else bool, bit)
    if kind is datetime:
        return Codec(_maybe(datetime.fromisoformat), maybe_time_text)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Codec(_maybe(kind), _maybe(str))
    if origin is tuple:
        return Codec(load_texts if get_args(kind)[0] is str else load_objects, dump)
    if origin is not None and issubclass(origin, Mapping):
        return Codec(load_maybe_object, maybe_dump) if is_maybe else Codec(load_object, dump)
    raise TypeError(f"nobody said how a column holds {hint}")


def _is_union(hint: Any) -> bool:  # noqa: ANN401  any annotation
    return get_origin(hint) in (Union, UnionType)


def _maybe(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
