"""The id cursor ends where Toloka says so, and trusts nothing that it cannot check."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.pagination import BrokenAnswerError, IdCursor
from tests.runner import bare_response

if TYPE_CHECKING:
    import requests


def answer(body: object) -> requests.Response:
    """Make a bare response with a body, as JSON unless it is bytes."""
    return bare_response(body=body if isinstance(body, bytes) else json.dumps(body).encode())


def page(*ids: str, has_more: object) -> requests.Response:
    """Make a response that is a page of rows with these ids."""
    return answer({"items": [{"id": id_, "status": "OPEN"} for id_ in ids], "has_more": has_more})


def test_a_list_is_read_from_its_beginning_unless_told_otherwise() -> None:
    assert IdCursor().current_value is None
    assert IdCursor("5").current_value == "5"


def test_the_next_page_begins_after_the_last_id() -> None:
    cursor = IdCursor()
    cursor.advance(page("7", "12", has_more=True))
    assert cursor.current_value == "12"
    assert not cursor.finished


def test_the_list_ends_when_toloka_says_so_and_not_before() -> None:
    cursor = IdCursor()
    cursor.advance(page("7", has_more=True))
    assert not cursor.finished
    cursor.advance(page("8", "9", has_more=False))
    assert cursor.finished


@pytest.mark.parametrize("start", [None, "5"])
def test_an_empty_list_is_a_list(start: str | None) -> None:
    cursor = IdCursor(start)
    cursor.advance(page(has_more=False))
    assert cursor.finished


def test_the_cursor_begins_where_the_filter_does() -> None:
    cursor = IdCursor("999999")
    assert cursor.current_value == "999999"
    cursor.advance(page("1000000", has_more=True))
    assert cursor.current_value == "1000000"


def test_ids_that_are_text_compare_as_text() -> None:
    cursor = IdCursor(order=str)
    cursor.advance(page("0a--9", "0a--b", has_more=True))
    assert cursor.current_value == "0a--b"


if TYPE_CHECKING:
    import requests

ODD: list[object] = [None, 0, 1, "true", "false", [], {}]


@pytest.mark.parametrize(
    "response",
    [
        answer({"items": [{"id": "7"}]}),
        *[page("7", has_more=odd) for odd in ODD],
        page(has_more=True),
        page("7", "7", has_more=True),
        page("8", "7", has_more=False),
        page("5", has_more=True),
        page("5", has_more=False),
        page("4", has_more=True),
        page("x", has_more=True),
        answer({"items": [{"id": 7}], "has_more": False}),
        answer({"items": [{}], "has_more": False}),
        answer({"items": None, "has_more": False}),
        answer({"has_more": False}),
        answer({}),
        answer([]),
        answer(b""),
        answer(b"<html></html>"),
        answer(b'{"items": [{"id": "7"}], "has_more": tr'),
        answer(b'{"items": [{"id": "\xff"}], "has_more": false}'),
    ],
    ids=lambda response: response.content.decode(errors="replace"),
)
def test_a_broken_answer_is_an_error_and_the_cursor_stays(response: requests.Response) -> None:
    cursor = IdCursor("5")
    with pytest.raises(BrokenAnswerError, match="Toloka's answer"):
        cursor.advance(response)
    assert cursor.current_value == "5"
    assert not cursor.finished
    cursor.advance(page("6", has_more=False))
    assert cursor.finished


def test_a_part_of_a_list_ends_at_its_end() -> None:
    cursor = IdCursor("5", "1000")
    cursor.advance(page("6", "1000", has_more=True))
    with pytest.raises(BrokenAnswerError, match="too far: id '1001' comes after '1000'"):
        cursor.advance(page("1001", has_more=False))
    cursor.advance(page(has_more=False))
    assert cursor.finished


@given(st.sets(st.integers(1, 10**12), max_size=60), st.integers(1, 7))
def test_any_list_is_read_whole_whatever_its_ids(ids: set[int], size: int) -> None:
    listed = sorted(ids)
    cursor, read = IdCursor(), []
    while not cursor.finished:
        after = int(cursor.current_value or 0)
        rest = [id_ for id_ in listed if id_ > after]
        read += rest[:size]
        cursor.advance(page(*map(str, rest[:size]), has_more=len(rest) > size))
    assert read == listed
