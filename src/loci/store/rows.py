"""Values to columns and back: the only place in the store where rows are taken apart."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import orjson

from loci.store.base import Row, SqlValue
from loci.types.json import JsonObject, JsonValue


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


def maybe_flag(row: Row, column: str) -> bool | None:
    """Yes, no or unknown."""
    return None if row[column] is None else bool(row[column])


def bit(value: bool | None) -> int | None:  # noqa: FBT001  a conversion
    """Yes or no as 1 or 0."""
    return None if value is None else int(value)
