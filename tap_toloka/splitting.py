"""Splitting a list among threads: which ids lie between two others, and where to cut.

Ids are numbers of all requesters of Toloka together, so those of one account come in clusters with
gaps between. A list is read in parts, each by an `IdCursor`; what is left of a part is split when
threads would idle otherwise.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_toloka.pages import IdCursor

Order = t.Callable[[str], t.Any]
"""What ids compare by: `int` if they are decimal numbers in text, `str` if they are text."""

PAGES_WORTH_A_PART = 2
"""A part is split off if about so many pages are in it; its last page is half empty on average."""

PAGES_FORESEEN = 16
"""How many pages ahead one page is trusted to tell how dense ids are, for one part."""

PARTS_PER_PAGE = 0.15
"""Parts that may be split off for each page read, besides one per thread at first.

Each part costs at most one request that brings less than a page, so this bounds the waste where
ids lie in clusters and guesses go wrong.
"""

_HEXADECIMAL = re.compile("[0-9a-f-]*[0-9a-f]")


@dataclass(frozen=True)
class Scale:
    """Maps ids to numbers in the same order, to find ids between two others.

    Such an id need not exist: it only says where one part of a list ends and the next begins.
    """

    to_number: Callable[[str], int]
    """Raises `ValueError` if an id is not written as the others are."""
    to_id: Callable[[int], str]


_DECIMAL = Scale(int, str)


def scale_of(id_: str, order: Order) -> Scale | None:
    """Return the scale of the ids that are written as this one, if there is one.

    Decimal numbers are their own scale. Text has one if it is hexadecimal digits with hyphens at
    fixed places: `000015fccc--63bfc4c358d7a46c32a7b233`, UUIDs, ObjectIds. Written so, the order of
    text is the order of the numbers.
    """
    if order is int:
        return _DECIMAL
    if not _HEXADECIMAL.fullmatch(id_):
        return None
    hyphens = [place for place, character in enumerate(id_) if character == "-"]
    digits = len(id_) - len(hyphens)

    def to_number(other: str) -> int:
        places = [place for place, character in enumerate(other) if character == "-"]
        if len(other) != len(id_) or places != hyphens or not _HEXADECIMAL.fullmatch(other):
            msg = f"{other!r} is not written as {id_!r} is"
            raise ValueError(msg)
        return int(other.replace("-", ""), 16)

    def to_id(number: int) -> str:
        text = f"{number:0{digits}x}"
        for hyphen in hyphens:
            text = f"{text[:hyphen]}-{text[hyphen:]}"
        return text

    return Scale(to_number, to_id)


class Splitter:
    """Splits one list, by what its pages tell of where its ids lie.

    Args:
        threads: How many threads there are to split it among.
    """

    def __init__(self, threads: int) -> None:
        self._spare = float(threads)
        self.last_id: str | None = None
        """The greatest id of the list, once it is known; until then nothing is split."""
        self._last_id_requested = False

    def wants_last_id(self, cursor: IdCursor, first: str, idle: int) -> bool:
        """Tell whether the greatest id should be requested now; true once at most.

        Args:
            cursor: Where the list is read.
            first: The first id of the last page.
            idle: Threads that have nothing to do, including the one that read the page.
        """
        if self._last_id_requested or idle <= 1 or scale_of(first, cursor.order) is None:
            return False
        self._last_id_requested = True
        return True

    def split(self, cursor: IdCursor, first: str, idle: int) -> list[IdCursor]:
        """Return cursors for what is left of a part after a page: more than one if worth it.

        Args:
            cursor: Where the part is read, now at the last id of the page.
            first: The first id of the page.
            idle: Threads that have nothing to do, including the one that read the page.
        """
        self._spare += PARTS_PER_PAGE
        last_id, end_id = cursor.current_value, cursor.end or self.last_id
        scale = scale_of(first, cursor.order)
        if scale is None or last_id is None or end_id is None:
            return [cursor]
        try:
            last, end = scale.to_number(last_id), scale.to_number(end_id)
        except ValueError:
            return [cursor]  # ids of two kinds: nothing says which lie between
        page = last - scale.to_number(first) + 1  # range of ids that one page covers here
        count = min(idle, (end - last) // (PAGES_WORTH_A_PART * page), 1 + int(self._spare))
        if count <= 1:
            return [cursor]
        self._spare -= count - 1
        bounds = [scale.to_id(start) for start in _starts(last, end, count, page)[1:]]
        ends = [*bounds[1:], cursor.end]
        cursor.end = bounds[0]
        return [cursor, *map(cursor.part, bounds, ends)]


def _starts(last: int, end: int, count: int, page: int) -> list[int]:
    """Return where each of `count` parts of the range from `last` to `end` begins."""
    starts = _evenly(last, end, count)
    if starts[1] - last <= PAGES_FORESEEN * page:
        return starts
    # One half of the threads expects ids to go on as dense as here, the other half anything.
    near = count // 2
    far = last + PAGES_FORESEEN * page * near
    return _evenly(last, far, near) + _evenly(far, end, count - near)


def _evenly(start: int, end: int, parts: int) -> list[int]:
    return [start + (end - start) * number // parts for number in range(parts)]
