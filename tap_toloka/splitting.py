"""Splitting a list among threads: which ids lie between two others, and where to cut.

Ids are numbers of all requesters of Toloka together, so those of one account come in clusters with
gaps between. A list is read in parts; what is left of a part is split when threads would idle
otherwise.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable

Order = t.Callable[[str], t.Any]
"""What ids compare by: `int` if they are decimal numbers in text, `str` if they are text. Where an
order may be missing (`None`), only Toloka knows it, and such a list is never split."""

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


def scale_of(id_: str, order: Order | None) -> Scale | None:
    """Return the scale of the ids that are written as this one, if there is one.

    Decimal numbers are their own scale. Text has one if it is hexadecimal digits with hyphens at
    fixed places: `000015fccc--63bfc4c358d7a46c32a7b233`, UUIDs, ObjectIds. Written so, the order of
    text is the order of the numbers.
    """
    if order is int:
        return _DECIMAL
    if order is None or not _HEXADECIMAL.fullmatch(id_):
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
    """Finds where to split one list, by what its pages tell of where its ids lie.

    Args:
        order: What its ids compare by; `None`: unknown.
        threads: How many threads there are to split it among.
    """

    def __init__(self, order: Order | None, threads: int) -> None:
        self._order = order
        self._spare = float(threads)
        self.last_id: str | None = None
        """The greatest id of the list, once it is known; until then nothing is split."""
        self._last_id_requested = False

    def wants_last_id(self, first: str, idle: int) -> bool:
        """Tell whether the greatest id should be requested now; true once at most.

        Args:
            first: The first id of the last page.
            idle: Threads that have nothing to do, including the one that read the page.
        """
        if self._last_id_requested or idle <= 1 or scale_of(first, self._order) is None:
            return False
        self._last_id_requested = True
        return True

    def bounds(self, first: str, last: str, end: str | None, idle: int) -> list[str]:
        """Return the ids at which to split what is left of a part; none if it is not worth it.

        Args:
            first: The first id of the page.
            last: Its last id.
            end: Where the part ends; `None`: with the list.
            idle: Threads that have nothing to do, including the one that read the page.
        """
        self._spare += PARTS_PER_PAGE
        scale, end = scale_of(first, self._order), end or self.last_id
        if scale is None or end is None:
            return []
        try:
            start, stop = scale.to_number(last), scale.to_number(end)
        except ValueError:
            return []  # ids of two kinds: nothing says which lie between
        page = start - scale.to_number(first) + 1  # range of ids that one page covers here
        count = min(idle, (stop - start) // (PAGES_WORTH_A_PART * page), 1 + int(self._spare))
        if count <= 1:
            return []
        self._spare -= count - 1
        return [scale.to_id(number) for number in _starts(start, stop, count, page)[1:]]


def _starts(start: int, stop: int, count: int, page: int) -> list[int]:
    """Return where each of `count` parts of a range begins; `page` is what a page covers of it."""
    starts = _evenly(start, stop, count)
    if starts[1] - start <= PAGES_FORESEEN * page:
        return starts
    # One half of the threads expects ids to go on as dense as here, the other half anything.
    near = count // 2
    far = start + PAGES_FORESEEN * page * near
    return _evenly(start, far, near) + _evenly(far, stop, count - near)


def _evenly(start: int, stop: int, parts: int) -> list[int]:
    return [start + (stop - start) * number // parts for number in range(parts)]
