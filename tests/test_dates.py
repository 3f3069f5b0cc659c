"""Dates have one form, in which the order of texts is the order of time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka import dates

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2016-03-24T12:38:07.654", "2016-03-24T12:38:07.654Z"),
        ("2016-03-24T12:38:07.65", "2016-03-24T12:38:07.650Z"),
        ("2016-03-24T12:38:07.6", "2016-03-24T12:38:07.600Z"),
        ("2016-03-24T12:38:07", "2016-03-24T12:38:07.000Z"),
        ("2020-09-01T13:00", "2020-09-01T13:00:00.000Z"),
        ("2016-03-24T12:38:07.654321", "2016-03-24T12:38:07.654Z"),
        ("2016-03-24T12:38:07.9999999", "2016-03-24T12:38:07.999Z"),
        ("2016-03-24T12:38:07.9999999Z", "2016-03-24T12:38:07.999Z"),
        ("2016-03-24T12:38:07.999999999999-08:00", "2016-03-24T20:38:07.999Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z"),
        ("2016-03-24T12:38:07.654Z", "2016-03-24T12:38:07.654Z"),
        ("2016-03-24T12:38:07.65Z", "2016-03-24T12:38:07.650Z"),
        ("2016-03-24T12:38:07+03:00", "2016-03-24T09:38:07.000Z"),
        ("2016-03-24T23:38:07.6-08:00", "2016-03-25T07:38:07.600Z"),
        ("2016-03-24 12:38:07.654", "2016-03-24T12:38:07.654Z"),
        ("2016-03-24", "2016-03-24T00:00:00.000Z"),
    ],
)
def test_every_form_of_a_date_becomes_the_one_form(text: str, date: str) -> None:
    assert dates.canonical(text) == date


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "now", "2016", "2016-13-01", "2016-02-30T00:00:00", "2016-W12-4T12:38:07.654"),
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+03:00"),
    ],
)
def test_what_is_no_date_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date") as error:
        dates.canonical(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["20160324-1234", "2016-03-24-05", "2016-03-24+05:00", "2016/03/24 -0500", "20160324Z"],
)
def test_a_zone_without_a_time_might_be_one_and_is_refused(text: str) -> None:
    for read in (dates.canonical, dates.from_other_forms):
        with pytest.raises(ValueError, match="is not a date"):
            read(text)


@given(moments, st.integers(0, 6), st.integers(-14, 14))
def test_a_date_keeps_its_millisecond_however_it_is_written(
    moment: datetime, digits: int, zone: int
) -> None:
    moment = moment.replace(
        microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits)
    )
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    local = moment + timedelta(hours=zone)
    text = local.isoformat(timespec="seconds") + fraction
    text += f"{'-' if zone < 0 else '+'}{abs(zone):02d}:00" if zone else ""
    assert dates.canonical(text) == moment.isoformat(timespec="milliseconds") + "Z"


@given(moments, moments)
def test_the_order_of_texts_is_the_order_of_time(one: datetime, other: datetime) -> None:
    one, other = (m.replace(microsecond=m.microsecond // 1000 * 1000) for m in (one, other))
    assert (dates.from_datetime(one) < dates.from_datetime(other)) == (one < other)


@given(moments)
def test_the_one_form_stays_as_it_is(moment: datetime) -> None:
    date = dates.from_datetime(moment.replace(tzinfo=timezone.utc))
    assert dates.canonical(date) == date


def test_queries_take_dates_without_a_zone() -> None:
    assert dates.for_query("2016-03-24T12:38:07.654Z") == "2016-03-24T12:38:07.654"


@pytest.mark.parametrize(
    ("date", "days", "before"),
    [
        ("2024-03-01T12:00:00.123Z", 1, "2024-02-29T12:00:00.123Z"),
        ("2024-03-01T12:00:00.123Z", 0, "2024-03-01T12:00:00.123Z"),
        ("2024-03-01T12:00:00.123Z", 10**6, "0001-01-01T00:00:00.000Z"),
        ("2024-03-01T12:00:00.123Z", 10**12, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_days_are_counted_back(date: str, days: int, before: str) -> None:
    assert dates.shifted(date, days=-days) == before


def test_time_is_counted_ahead() -> None:
    date = "2024-02-28T12:00:00.123Z"
    assert dates.shifted(date, days=1, seconds=1) == "2024-02-29T12:00:01.123Z"
    assert dates.shifted(date, seconds=2**40) == "9999-12-31T23:59:59.999Z"
