"""Values as columns. Times are texts of one width, so that the order of the texts is the order of the times."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loci.store
from loci.store.base import Transaction
from loci.store.rows import Record, moment, time_text
from loci.testing.stores import open_store

RECORDS = {
    f"{module.name}: {name}": record
    for module in iter_modules(loci.store.__path__, "loci.store.")
    for name, record in vars(import_module(module.name)).items()
    if isinstance(record, Record)
}
MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_the_times_do(one, other):
    assert (time_text(one) < time_text(other)) == (one < other)


@given(MOMENTS)
def test_a_time_comes_back_as_it_went_in(time):
    assert moment({"at": time_text(time)}, "at") == time


def test_a_zone_is_turned_into_utc_and_nothing_is_left_out():
    zone = timezone(timedelta(hours=-5))
    assert time_text(datetime(1, 1, 1, tzinfo=zone)) == "0001-01-01T05:00:00.000000Z"


async def test_every_field_has_its_column(tmp_path: Path) -> None:
    def understood(tx: Transaction) -> list[int]:
        texts = [text for record in RECORDS.values() for text in (record.select, record.insertion)]
        return [len(tx.all(f"explain {text}", dict.fromkeys(re.findall(r":(\w+)", text)))) for text in texts]

    async with open_store(tmp_path) as store:
        assert all(await store.read(understood))
    assert len(RECORDS) > 15


def test_a_field_that_no_column_can_hold_is_seen_when_it_is_declared():
    @dataclass
    class Odd:
        id: str
        place: complex

    with pytest.raises(TypeError, match="complex"):
        Record(Odd, "odd", "o", missing="")
