"""The id cursor ends where Toloka says so, and trusts nothing that it cannot check."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.pages import IdCursor, PageReader
from tap_toloka.rows import RowFields
from tests.runner import bare_response

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests


texts = st.text("0123456789abcdefABCDEF-zZ", min_size=1, max_size=12)


def new_cursor(
    start: str | None = None,
    end: str | None = None,
    *,
    order: Callable[[str], Any] | None = int,
    id_field: str | None = "id",
    rows_in: str | None = "items",
) -> IdCursor:
    """Make a cursor for a list of which only the ids are read."""
    id_ = {id_field: {"type": "string"}} if id_field else {}
    fields = RowFields(printed=id_, required=[*id_], hidden={}, ignored=["id", "status", "type"])
    reader = PageReader(fields, lambda _: None, rows_in=rows_in, id_field=id_field)
    return IdCursor(reader.read, start, end, order=order)


def answer(body: object) -> requests.Response:
    """Make a bare response with a body, as JSON unless it is bytes."""
    return bare_response(body if isinstance(body, bytes) else json.dumps(body).encode())


def page(*ids: str, has_more: object) -> requests.Response:
    """Make a response that is a page of rows with these ids."""
    return answer({"items": [{"id": id_, "status": "OPEN"} for id_ in ids], "has_more": has_more})


def test_a_list_is_read_from_its_beginning_unless_told_otherwise() -> None:
    assert new_cursor().current_value is None
    assert new_cursor("5").current_value == "5"


def test_the_next_page_begins_after_the_last_id() -> None:
    cursor = new_cursor()
    cursor.advance(page("7", "12", has_more=True))
    assert cursor.current_value == "12"
    assert not cursor.finished


def test_the_list_ends_when_toloka_says_so_and_not_before() -> None:
    cursor = new_cursor()
    cursor.advance(page("7", has_more=True))
    assert not cursor.finished
    cursor.advance(page("8", "9", has_more=False))
    assert cursor.finished


@pytest.mark.parametrize("start", [None, "5"])
def test_an_empty_list_is_a_list(start: str | None) -> None:
    cursor = new_cursor(start)
    cursor.advance(page(has_more=False))
    assert cursor.finished


def test_the_cursor_begins_where_the_filter_does() -> None:
    cursor = new_cursor("999999")
    assert cursor.current_value == "999999"
    cursor.advance(page("1000000", has_more=True))
    assert cursor.current_value == "1000000"


def test_ids_that_are_text_compare_as_text() -> None:
    cursor = new_cursor(order=str)
    cursor.advance(page("0a--9", "0a--b", has_more=True))
    assert cursor.current_value == "0a--b"


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
    cursor = new_cursor("5")
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec says what is wrong, in its words
        cursor.advance(response)
    assert cursor.current_value == "5"
    assert not cursor.finished
    cursor.advance(page("6", has_more=False))
    assert cursor.finished


def test_a_part_of_a_list_ends_at_its_end() -> None:
    cursor = new_cursor("5", "1000")
    cursor.advance(page("6", "1000", has_more=True))
    with pytest.raises(ValueError, match="range: '1001' comes after '1000'"):
        cursor.advance(page("1001", has_more=False))
    cursor.advance(page(has_more=False))
    assert cursor.finished


def test_rows_and_ids_are_where_the_list_has_them() -> None:
    cursor = new_cursor(order=str, id_field="task_id", rows_in="content")
    cursor.advance(answer({"content": [{"task_id": "0a"}, {"task_id": "0b"}], "has_more": True}))
    assert cursor.current_value == "0b"
    cursor.advance(answer({"content": [{"id": 7, "task_id": "0c"}], "has_more": False}))
    assert cursor.finished


@pytest.mark.parametrize(
    "body",
    [
        {"items": [{"task_id": "0b"}], "has_more": True},
        {"content": [{"id": "0b"}], "has_more": True},
        {"content": [{"task_id": "0b"}, {"task_id": "0a"}], "has_more": True},
        {"content": [{"task_id": "09"}], "has_more": True},
        {"content": [], "has_more": True},
        {"content": [{"task_id": "0b"}]},
    ],
    ids=str,
)
def test_what_is_elsewhere_is_no_page(body: object) -> None:
    cursor = new_cursor("0a", order=str, id_field="task_id", rows_in="content")
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec says what is wrong, in its words
        cursor.advance(answer(body))
    assert cursor.current_value == "0a"
    assert not cursor.finished


def test_a_part_of_a_list_is_read_as_the_list_is() -> None:
    whole = new_cursor("0a", order=str, id_field="task_id", rows_in="content")
    whole.end = "0d"
    first, middle, part = whole.split(["0b", "0c"])
    assert first is whole
    assert [(one.current_value, one.end) for one in (first, middle, part)] == [
        ("0a", "0b"),
        ("0b", "0c"),
        ("0c", "0d"),
    ]
    assert whole.split([]) == [whole]
    assert whole.end == "0b"
    part.advance(answer({"content": [{"task_id": "0cc"}], "has_more": True}))
    assert part.current_value == "0cc"
    assert whole.current_value == "0a", "each has its own place"
    with pytest.raises(ValueError, match="beyond the requested range"):
        part.advance(answer({"content": [{"task_id": "0e"}], "has_more": False}))


def test_ids_of_two_kinds_may_be_in_one_list() -> None:
    cursor = new_cursor(order=str)
    cursor.advance(page("0a-1", "0a1", "0a1-2", "lNjJ", has_more=True))
    assert cursor.current_value == "lNjJ"
    with pytest.raises(ValueError, match="out of order"):
        cursor.advance(page("QWe", has_more=True))


# Where only Toloka knows the order of ids


def test_ids_may_be_in_an_order_that_only_toloka_knows() -> None:
    cursor = new_cursor(order=None)
    cursor.advance(page("b", "C", "a", has_more=True))
    assert cursor.current_value == "a"
    cursor.advance(page("0", "B", has_more=False))
    assert cursor.finished


@pytest.mark.parametrize(
    ("ids", "repeated"),
    [
        (["d", "d"], "d"),  # twice on a page
        (["c"], "c"),  # after itself
        (["b"], "b"),  # on the last page
        (["e", "A"], "A"),  # the last one of an earlier page
        (["start"], "start"),
    ],
    ids=str,
)
@pytest.mark.parametrize("has_more", [True, False])
def test_ids_that_repeat_are_an_error_and_the_cursor_stays(
    ids: list[str], repeated: str, *, has_more: bool
) -> None:
    cursor = new_cursor("start", order=None)
    cursor.advance(page("B", "A", has_more=True))
    cursor.advance(page("b", "c", has_more=True))
    with pytest.raises(ValueError, match=f"ids repeat: '{repeated}' was listed before"):
        cursor.advance(page(*ids, has_more=has_more))
    assert cursor.current_value == "c"
    cursor.advance(page("d", has_more=False))
    assert cursor.finished


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 20))
def test_a_list_that_goes_round_in_circles_ends_in_an_error(size: int, length: int, n: int) -> None:
    ids = itertools.chain(map(str, range(n)), itertools.cycle(f"again {k}" for k in range(length)))
    cursor = new_cursor(order=None)

    def read_on(pages: int) -> None:
        for _ in range(pages):
            cursor.advance(page(*itertools.islice(ids, size), has_more=True))

    with pytest.raises(ValueError, match="ids repeat"):
        read_on(pages=n // size + length + 2)


def test_ids_sorted_in_one_order_and_compared_in_another_are_an_error() -> None:
    """Such a server would pass over rows: `D` would never be listed."""
    listed = ["a", "B", "c", "D"]
    cursor = new_cursor(order=None)
    cursor.advance(page("a", "B", has_more=True))
    rest = [id_ for id_ in listed if id_ > "B"]
    with pytest.raises(ValueError, match="ids repeat: 'a' was listed before"):
        cursor.advance(page(*rest[:2], has_more=True))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        [{"type": "TASK_CREATE"}] * 3,
        {"id": "7", "balance": 1.5},
        {"items": [{"id": "7"}], "has_more": True},
    ],
    ids=str,
)
def test_one_answer_is_all_whatever_it_is(body: object) -> None:
    cursor = new_cursor(id_field=None, rows_in=None)
    assert cursor.current_value is None
    assert not cursor.finished
    cursor.advance(answer(body))
    assert cursor.current_value is None
    assert cursor.finished


@given(st.sets(st.integers(1, 10**12), max_size=60), st.integers(1, 7))
def test_any_list_is_read_whole_whatever_its_ids(ids: set[int], size: int) -> None:
    listed = sorted(ids)
    cursor, read = new_cursor(), []
    while not cursor.finished:
        after = int(cursor.current_value or 0)
        rest = [id_ for id_ in listed if id_ > after]
        read += rest[:size]
        cursor.advance(page(*map(str, rest[:size]), has_more=len(rest) > size))
    assert read == listed


@given(st.permutations([f"{n}" for n in range(30)]), st.integers(0, 30), st.integers(1, 7))
def test_any_list_is_read_whole_whatever_the_order(ids: list[str], count: int, size: int) -> None:
    listed = ids[:count]
    cursor, read = new_cursor(order=None), list[str]()
    while not cursor.finished:
        start = listed.index(cursor.current_value) + 1 if cursor.current_value else 0
        read += listed[start : start + size]
        more = len(listed) > start + size
        cursor.advance(page(*listed[start : start + size], has_more=more))
    assert read == listed


@given(st.sets(texts, max_size=60), st.integers(1, 7))
def test_any_list_of_texts_is_read_whole(ids: set[str], size: int) -> None:
    listed: list[str] = sorted(ids)
    cursor, read = new_cursor(order=str, id_field="task_id", rows_in="content"), []
    while not cursor.finished:
        rest = [id_ for id_ in listed if id_ > (cursor.current_value or "")]
        read += rest[:size]
        rows = [{"task_id": id_} for id_ in rest[:size]]
        cursor.advance(answer({"content": rows, "has_more": len(rest) > size}))
    assert read == listed
