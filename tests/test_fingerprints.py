"""What is printed of rows that can change without a date: what did, and little else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Listing, Range, ReadPage
from tap_toloka.fingerprints import Comparison, Fingerprints
from tap_toloka.pages import Page
from tap_toloka.remaining import Remaining
from tap_toloka.state import Block, Blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 3
NEW, OLDER, DATED = Listing(number=0), Listing(number=1, cut=lambda _: ()), Listing(number=2)


@dataclass
class Row:
    id: str
    created: str
    value: int = 0
    before: int = 0


def comparison(size: int = SIZE) -> Comparison:
    return Comparison("b4e1", int, size, "created", lambda row: f"{row.id} {row.value}".encode())


class Warehouse:
    """Reads a list as runs do, and keeps what was printed.

    Attributes:
        rows: The list.
        loaded: The values that were printed last, by id.
        printed: Ids that the last read printed of older rows.
        missing: How many rows it found gone.
        response: Most rows in an answer, if that is less than what is requested.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.loaded: dict[str, int] = {}
        self.stored = Blocks()
        self.printed: list[str] = []
        self.missing = 0
        self.response = 1_000
        self._bookmark = ""

    def set_bookmark(self, bookmark: str) -> None:
        """Set another bookmark, as a user may."""
        self._bookmark = bookmark

    def read(self, latest: str, stops: Iterator[int], size: int = SIZE) -> None:
        """Read what is new and what is older, stopped after so many pages and resumed each time.

        Odd numbers of pages end in the midst of one, of which one row was printed.
        """
        new, older = [Range()], [Range()]
        new_blocks: tuple[Block, ...] = ()
        self.printed, self.missing = [], 0
        while new or older:
            fingerprints = Fingerprints(
                comparison(size), self.stored, new_blocks, bookmark=self._bookmark
            )
            older = list(fingerprints.cut(older))
            for left in reversed(range(pages := next(stops))):
                listing, parts = (NEW, new) if new else (OLDER, older)
                if parts:
                    page = self._page(listing, parts[0], size)
                    is_cut = not left and pages % 2 == 1
                    self._write(fingerprints, page, latest, is_cut=is_cut)
                    if not is_cut:
                        parts[:1] = page.left
            texts = fingerprints.stored.as_json(), list(map(str, fingerprints.new))
            self.stored = Blocks.of(json.loads(json.dumps(texts[0])))
            new_blocks = tuple(map(Block.of, texts[1]))
        self.stored = fingerprints.finished(latest)
        self._bookmark = latest

    def _page(self, listing: Listing, part: Range, size: int) -> ReadPage:
        found = [
            row
            for number, row in sorted(self.rows.items())
            if int(part.after or 0) < number <= int(part.until or 10**9)
            and (row.created > self._bookmark) == (listing is NEW)
        ]
        size = min(size, self.response)
        rows, more = found[:size], len(found) > size
        left = (Range(rows[-1].id, part.until),) if more else ()
        page = Page(rows, [row.id for row in rows], has_more=more)
        return ReadPage(listing, page, part, left, None, int)

    def _write(
        self, fingerprints: Fingerprints, page: ReadPage, latest: str, *, is_cut: bool
    ) -> None:
        compared = fingerprints.compare(page, latest)
        fingerprints.begin(compared)
        for row in compared.changed[: 1 if is_cut else None]:
            self.loaded[row.id] = row.value
            if page.listing is OLDER:
                self.printed.append(row.id)
        if not is_cut:
            fingerprints.written(compared)
            self.missing += compared.missing


_IDS = st.integers(1, 60)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), _IDS, st.integers(-3, 1)),
        st.tuples(st.just("change"), _IDS, st.just(0)),
        st.tuples(st.just("undo"), _IDS, st.just(0)),
        st.tuples(st.just("delete"), _IDS, st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 9), st.integers(2, 4)),
    ),
    max_size=60,
)


@given(_STEPS)
def test_every_change_is_printed_however_often_a_run_is_stopped(
    steps: list[tuple[str, int, int]],
) -> None:
    warehouse, day = Warehouse(), 2
    for value, (step, number, other) in enumerate([*steps, ("read", 9, SIZE)], start=1):
        row = warehouse.rows.get(number)
        if step == "create" and row is None:  # some appear late, some after the read's cutoff
            warehouse.rows[number] = Row(str(number), f"{day + other:03}", value)
        elif step == "change" and row is not None:
            row.before, row.value = row.value, value
        elif step == "undo" and row is not None:
            row.value = row.before
        elif step == "delete":
            warehouse.rows.pop(number, None)
        elif step == "read":
            stops = iter([number, 1, number + 1] * 500)
            warehouse.read(f"{day:03}", stops, other)
            listed = {row.id: row.value for row in warehouse.rows.values()}
            assert listed.items() <= warehouse.loaded.items()
            day += 2
    for _ in range(3):  # rows that came late can make a page too long, which is printed once more
        warehouse.read(f"{day:03}", iter([100]))
    assert warehouse.printed == [], "nothing has changed"
    assert all(one.rows + two.rows > SIZE for one, two in pairwise(warehouse.stored.blocks))


def test_only_the_block_with_a_change_is_printed() -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), "001") for number in range(1, 11)}
    warehouse.read("002", iter([10]))
    warehouse.rows[5].value = 1
    del warehouse.rows[8]
    warehouse.read("003", iter([10]))
    assert warehouse.printed == ["4", "5", "6", "7", "9"]


def test_rows_of_the_last_minute_are_not_counted_yet() -> None:
    warehouse = Warehouse()
    warehouse.rows = {1: Row("1", "001"), 2: Row("2", "003")}
    warehouse.read("002", iter([10]))
    assert [(one.last_id, one.rows) for one in warehouse.stored.blocks] == [("2", 1)]
    warehouse.read("004", iter([10]))
    assert warehouse.printed == []
    assert [(one.last_id, one.rows) for one in warehouse.stored.blocks] == [("2", 2)]


def test_rows_that_are_gone_are_counted_once() -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), "001") for number in range(1, 10)}
    warehouse.read("002", iter([10]))
    for number in (2, 4, 5, 6):  # of one page, and all of another
        del warehouse.rows[number]
    gone = []
    for day in ("003", "004"):
        warehouse.read(day, iter([10]))
        gone.append(warehouse.missing)
    assert gone == [4, 0]


def test_a_block_that_became_too_long_is_printed_once_and_split() -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), "001") for number in (1, 2, 4)}
    warehouse.read("002", iter([10]))
    warehouse.rows[3] = Row("3", "001")  # late
    printed = []
    for day in ("003", "004"):
        warehouse.read(day, iter([10]))
        printed.append(warehouse.printed)
    assert printed == [["1", "2", "3", "4"], []]
    assert warehouse.missing == 0


def test_rows_are_not_taken_for_gone_if_someone_has_set_the_bookmark_back() -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), f"00{number}") for number in range(1, 10)}
    warehouse.read("009", iter([10]))
    warehouse.set_bookmark("004")
    warehouse.read("009", iter([10]))
    assert warehouse.missing == 0


def test_new_rows_belong_to_the_part_of_a_block_that_was_divided_meanwhile() -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), "001") for number in (10, 20, 30)}
    warehouse.read("002", iter([10]))
    warehouse.rows[5] = Row("5", "003")
    printed = []
    for day, response in (("003", 2), ("004", 1_000)):
        warehouse.response = response
        warehouse.read(day, iter([10]))
        printed.append(warehouse.printed)
    assert printed == [["10", "20", "30"], []]


@pytest.mark.parametrize("stops", [[10], [2, 2, 10]], ids=["at once", "interrupted"])
def test_a_new_row_within_a_block_is_counted(stops: list[int]) -> None:
    warehouse = Warehouse()
    warehouse.rows = {number: Row(str(number), "001") for number in (10, 30, 50, 60, 70, 80)}
    warehouse.read("002", iter([10]))
    del warehouse.rows[10]
    warehouse.read("003", iter([10]))
    warehouse.rows[20] = Row("20", "004")
    warehouse.read("004", iter(stops))
    warehouse.read("005", iter([10]))
    assert warehouse.printed == []


def test_answers_may_hold_fewer_rows_than_were_requested() -> None:
    warehouse = Warehouse()
    warehouse.response = 2
    warehouse.rows = {number: Row(str(number), "001") for number in range(1, 10)}
    for day in ("002", "003"):
        warehouse.read(day, iter([20]))
    assert warehouse.printed == []


def test_what_changed_by_date_before_the_start_date_is_printed_and_not_counted() -> None:
    fingerprints = Fingerprints(comparison())
    page = ReadPage(DATED, Page([Row("1", "001")], ["1"], has_more=False), Range(), (), None, int)
    compared = fingerprints.compare(page, "002")
    assert compared.changed == [Row("1", "001")]
    fingerprints.written(compared)
    assert fingerprints.finished("002").blocks == ()


def test_small_blocks_are_read_by_one_request() -> None:
    held = [Block(str(last), rows) for last, rows in ((10, 1), (20, 2), (30, 3), (40, 1))]
    fingerprints = Fingerprints(comparison(), Blocks("b4e1", tuple(held)))
    assert fingerprints.cut([Range()]) == (Range(None, "20"), Range("20", "30"), Range("30", None))
    assert fingerprints.cut([Range("15", "35")]) == (
        Range("15", "20"),
        Range("20", "30"),
        Range("30", "35"),
    )


def test_parts_of_a_list_that_follow_each_other_are_one_in_state() -> None:
    cuts = [Block(str(last), 3) for last in range(10, 100, 10)]
    cut = Fingerprints(comparison(), Blocks("b4e1", tuple(cuts))).cut
    remaining = Remaining(str)
    (listing,) = remaining.listings([Listing(cut=cut)])
    assert len(listing.ranges) == 9
    for place in (5, 2, 3):
        part = listing.ranges[place]
        remaining.written(ReadPage(listing, Page([], [], has_more=False), part, (), None, int))
    left = [(part.after, part.until) for part in remaining.parts()]
    assert left == [("", "20"), ("40", "50"), ("60", "")]


def test_blocks_of_100_000_pools_take_less_than_16_kb_of_state() -> None:
    pages = Blocks("b4e1a0c2d9f8", tuple(Block(str(n), 300, n) for n in range(10**8, 10**8 + 334)))
    assert len(json.dumps(pages.as_json())) < 16_000 * 0.75  # with what else an entry holds


@pytest.mark.parametrize(
    "text", ["", "1", "1 2", "1 x AAAAAAAA", "1 2 AAA", " 2 AAAAAAAA", "1 2 *"]
)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # several texts, none of which users see alone
        Blocks.of(["b4e1", text])


def test_blocks_whose_ids_cannot_be_ids_are_an_error_in_words() -> None:
    with pytest.raises(TolokaError, match="Invalid state: `blocks`"):
        Fingerprints(comparison(), Blocks("b4e1", (Block("abc"),)))
