"""Lists are read side by side, whatever Toloka says of one of them. Against bare HTTP."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.errors import RefusedError
from tap_toloka.fetch import Listing, Range, Reading, Refusal, Source, fetch_pages
from tap_toloka.pages import IdCursor, PageReader
from tap_toloka.rows import RowFields
from tests.bare_server import api_at, bare_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bare_server import Answer, Request

FIELDS = RowFields(printed={"id": {"type": "string"}}, required=["id"], hidden={})
SOURCE = Source(
    path="/v1/{kind}/rows",
    params={"sort": "id", "limit": 2},
    id_field="id",
    new_cursor=lambda: IdCursor(PageReader(FIELDS, lambda _: None).read),
)


def listing(kind: str, **facts: Any) -> Listing:
    """Make a list whose path holds its kind."""
    return Listing(path={"kind": kind}, owner=kind, **facts)


def serve(request: Request) -> Answer:
    """Answer ten rows in pages of two; some lists are refused."""
    if "refused" in request.path:
        return 403, b'{"code": "ACCESS_DENIED"}'
    if "gone" in request.path:
        return 410, b'{"code": "RESULTS_EXPIRED"}'
    ids = list(
        range(int(request.params.get("id_gt", -1)) + 1, int(request.params.get("id_lte", 9)) + 1)
    )
    if request.params["sort"] == "-id":
        ids.reverse()
    rows = [{"id": str(id_)} for id_ in ids[: int(request.params["limit"])]]
    return 200, json.dumps({"items": rows, "has_more": len(ids) > len(rows)}).encode()


def rows_in(pages: Iterable[Any]) -> list[Any]:
    """Return the rows of all pages."""
    return [row for read in pages for row in read.page.rows]


def ids_in(pages: Iterable[Any]) -> list[int]:
    """Return the ids of all pages, sorted."""
    return sorted(int(id_) for read in pages for id_ in read.page.ids)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_every_row_of_every_list_comes_once(threads: int) -> None:
    with bare_server(serve) as (url, requests):
        lists = [listing("a"), listing("b", params={"status": "OPEN"})]
        pages = list(fetch_pages(api_at(url), SOURCE, lists, threads))
    assert ids_in(pages) == sorted([*range(10)] * 2)
    of_b = [request for request in requests if request.path == "/api/v1/b/rows"]
    assert {request.params.get("status") for request in of_b} == {"OPEN"}
    probes = [request.params["limit"] for request in requests if request.params["sort"] == "-id"]
    assert probes == ["1"] * len(probes)


def test_rows_that_another_list_has_are_left_out_and_the_list_is_read_to_its_end() -> None:
    with bare_server(serve) as (url, _):
        lists = [listing("a"), listing("b", leave_out=lambda row: int(row.id) % 3 > 0)]
        pages = list(fetch_pages(api_at(url), SOURCE, lists, 4))
    assert sorted(int(row.id) for row in rows_in(pages)) == sorted([*range(10), 0, 3, 6, 9])
    assert ids_in(pages) == sorted([*range(10)] * 2), "ids of all rows of each page"


@pytest.mark.parametrize(("until", "lists"), [(1, 1), (9, 3)])
def test_what_comes_after_the_first_page_is_read_by_the_lists_that_are_there_instead(
    until: int, lists: int
) -> None:
    params = {"id_lte": str(until)}
    instead = tuple(listing("a", params={**params, "status": s}) for s in ("OPEN", "CLOSED"))
    whole = listing("a", params=params, leave_out=lambda row: row.id == "0", instead=instead)
    with bare_server(serve) as (url, requests):
        pages = list(fetch_pages(api_at(url), SOURCE, [whole], 1))
    first, *others = pages
    assert not isinstance(first, Refusal)
    assert rows_in([first]) == rows_in(pages)[:1]
    assert [one.ranges for one in first.instead] == [(Range("1"),)] * (lists - 1)
    assert ids_in(others) == sorted([*range(2, until + 1)] * 2)
    asked = {(r.params.get("status"), r.params.get("id_gt")) for r in requests}
    assert len({status for status, _ in asked}) == lists
    assert {id_ for status, id_ in asked if status is None} == {None}, "no more than a page of it"


def test_what_is_filled_into_the_path_cannot_leave_it() -> None:
    with bare_server(serve) as (url, requests):
        list(fetch_pages(api_at(url), SOURCE, [listing("../b?c=d#é")], 1))
    assert {request.path for request in requests} == {"/api/v1/..%2Fb%3Fc%3Dd%23%C3%A9/rows"}


def test_a_list_that_is_refused_does_not_stop_the_others() -> None:
    with bare_server(serve) as (url, _):
        lists = [listing("refused"), listing("a"), listing("gone")]
        results = list(fetch_pages(api_at(url), SOURCE, lists, 2))
    refusals = {one.owner: one.error.gone for one in results if isinstance(one, Refusal)}
    assert refusals == {"refused": False, "gone": True}
    assert ids_in(one for one in results if not isinstance(one, Refusal)) == [*range(10)]


def test_the_list_of_the_account_that_is_refused_is_an_error() -> None:
    with bare_server(serve) as (url, _), pytest.raises(RefusedError, match="403 ACCESS_DENIED"):
        list(fetch_pages(api_at(url), SOURCE, [Listing(path={"kind": "refused"})], 2))


def test_answers_are_counted_those_without_rows_too() -> None:
    count = 0

    def on_answer() -> None:
        nonlocal count
        count += 1

    with bare_server(serve) as (url, requests):
        lists = [listing("a"), listing("gone")]
        list(fetch_pages(api_at(url), SOURCE, lists, 4, on_answer))
    assert count == len(requests) > 6


def reading_of(
    url: str, kinds: Iterable[str], *, strict: bool = False, rows_expire: bool = False
) -> Reading:
    """Begin to read lists of these kinds."""
    return Reading(
        api_at(url),
        SOURCE,
        map(listing, kinds),
        max_concurrency=2,
        of="rows of pool",
        strict=strict,
        rows_expire=rows_expire,
        logger=logging.getLogger("test"),
    )


@pytest.mark.parametrize(
    ("kinds", "skipped_owners", "answered"),
    [
        (["a", "gone"], [], True),
        (["a", "refused", "refused2"], ["refused", "refused2"], True),
        (["refused"], ["refused"], False),
        (["gone", "gone2"], [], False),
        ([], [], False),
    ],
    ids=str,
)
def test_a_reading_knows_what_it_could_not_read(
    kinds: list[str], skipped_owners: list[str], caplog: pytest.LogCaptureFixture, *, answered: bool
) -> None:
    with bare_server(serve) as (url, _):
        reading = reading_of(url, kinds, rows_expire=True)
        pages = list(reading.pages())
    assert bool(pages) == answered == reading.answered
    assert sorted(reading.skipped) == skipped_owners
    skipped = [kind for kind in kinds if kind != "a"]
    assert len([line for line in caplog.messages if "Skipping rows of pool" in line]) == len(
        skipped
    )


@pytest.mark.parametrize("kinds", [["refused", "refused2"], ["refused", "gone"]], ids=str)
def test_several_lists_none_of_which_can_be_read_are_an_error(kinds: list[str]) -> None:
    with bare_server(serve) as (url, _):
        reading = reading_of(url, kinds)
        assert list(reading.pages()) == []
    assert reading.denied
    assert "403" in str(reading.denied)


def test_what_has_expired_is_missing_unless_rows_of_the_stream_do_expire() -> None:
    with bare_server(serve) as (url, _):
        for rows_expire in (False, True):
            reading = reading_of(url, ["a", "gone"], rows_expire=rows_expire)
            assert list(reading.pages())
            assert reading.skipped == ([] if rows_expire else ["gone"])


@pytest.mark.parametrize("kind", ["refused", "gone"])
def test_a_strict_reading_skips_nothing(kind: str) -> None:
    with bare_server(serve) as (url, _), pytest.raises(RefusedError):
        list(reading_of(url, ["a", kind], strict=True).pages())
