"""Times as columns: texts of one width, so that the order of the texts is the order of the times."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from loci.store.rows import moment, time_text

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
