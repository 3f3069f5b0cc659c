"""A bookmark says from where on the next run reads, and never more than what was read."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tap_toloka import dates
from tap_toloka.state import LAG_SECONDS, Bookmark, Start

OLD = Bookmark("created", "2024-03-10T00:00:00.000Z")
BEGAN = "2024-06-01T12:00:00.000Z"

moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001  # as UTC
    lambda moment: dates.from_datetime(moment.replace(tzinfo=timezone.utc))
)
filters = st.sampled_from([{}, {"status": "OPEN"}, {"status": "CLOSED"}])
skipped_lists = st.dictionaries(st.sampled_from("123"), moments | st.just(""))
bookmarks = st.builds(
    Bookmark,
    st.just("created"),
    value=st.none() | moments,
    filters=filters,
    account=st.sampled_from([{}, {"environment": "SANDBOX", "account_id": "17"}]),
    skipped=skipped_lists,
)


@pytest.mark.parametrize(
    ("bookmark", "start_date", "lookback_days", "start"),
    [
        (Bookmark("created"), None, 0, None),
        (Bookmark("created"), None, 5, None),
        (Bookmark("created"), "2024-01-01", 5, Start("gte", "2024-01-01")),
        (OLD, None, 0, Start("gt", "2024-03-10T00:00:00.000Z")),
        (OLD, None, 2, Start("gt", "2024-03-08T00:00:00.000Z")),
        (OLD, "2024-03-09", 2, Start("gt", "2024-03-09")),
        (OLD, "2024-01-01", 2, Start("gt", "2024-03-08T00:00:00.000Z")),
        (OLD, "2025-01-01", 0, Start("gt", "2024-03-10T00:00:00.000Z")),
    ],
    ids=str,
)
def test_a_run_starts_at_the_bookmark_or_else_at_the_start_date(
    bookmark: Bookmark, start_date: str | None, lookback_days: int, start: Start | None
) -> None:
    assert bookmark.start(start_date, lookback_days) == start


@given(bookmarks, moments | st.just(""), moments, skipped_lists)
def test_a_bookmark_never_passes_what_was_read_nor_goes_back(
    old: Bookmark, greatest: str, began: str, skipped: dict[str, str]
) -> None:
    new = old.moved(greatest, began, skipped)
    before = old.value or ""
    if not (greatest or before):
        assert new is old
        return
    assert (new.filters, new.account) == (old.filters, old.account)
    assert new.skipped == skipped
    assert new.value is not None
    assert before <= new.value <= max(greatest, before)
    assert new.value <= max(before, dates.shifted(began, seconds=-LAG_SECONDS))
    latest = max(before, dates.shifted(began, seconds=-LAG_SECONDS))
    assert new.value == min(max(greatest, before), latest)


@given(bookmarks)
def test_what_is_written_into_state_is_read_again(bookmark: Bookmark) -> None:
    state: dict[str, Any] = {name: {"left": "over"} for name in ("filters", "account", "skipped")}
    bookmark.write(state)
    assert Bookmark.of(state, "created") == bookmark
    for name in ("filters", "account", "skipped"):
        assert (name in state) == bool(getattr(bookmark, name))


def test_a_stream_without_an_entry_has_no_bookmark() -> None:
    assert Bookmark.of({}, "created") == Bookmark("created")


def test_young_rows_are_left_to_the_next_run() -> None:
    assert OLD.moved("2024-06-01T11:59:59.000Z", BEGAN, {}).value == "2024-06-01T11:59:00.000Z"
    assert OLD.moved("2024-06-01T11:58:59.999Z", BEGAN, {}).value == "2024-06-01T11:58:59.999Z"
