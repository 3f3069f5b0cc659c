"""What of the lists of a stream is not written yet, while they are read and after a stop."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace
from operator import attrgetter

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Range
from tap_toloka.hiding import shortened
from tap_toloka.state import Part

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tap_toloka.fetch import Listing, ReadPage
    from tap_toloka.splitting import Order
    from tap_toloka.state import Unfinished

WHOLE = 100
"""The number of a whole list that may be read on by date (`Listing.instead`). Those lists have
lower ones: once it was begun, resuming begins none of them; those under way are noted as left."""

_List = tuple[str, int]
"""One list: its owner, and which of the owner's lists."""


class Remaining:
    """Which lists were begun, and which parts of them are not written yet.

    It is small however many lists there are: those that are under way, few more than threads.

    Args:
        order: What owners compare by; lists come in their order.
        unfinished: What an interrupted read left, if this one resumes it.

    Raises:
        TolokaError: If its owners cannot be what it says.

    Attributes:
        begun: The last list that was begun; `None`: none.
    """

    def __init__(self, order: Order, unfinished: Unfinished | None = None) -> None:
        self._order = order
        self._left: dict[_List, tuple[Range, ...]] = {}
        self.begun: _List | None = unfinished.begun if unfinished else None
        self._before = self._rank_in_state(self.begun) if self.begun else None
        self._owners = 0
        for part in unfinished.left if unfinished else ():
            self._rank_in_state(part[:2])
            ranges = self._left.get(part[:2], ())
            self._left[part[:2]] = (*ranges, Range(part.after or None, part.until or None))

    def listings(self, listings: Iterable[Listing]) -> Iterator[Listing]:
        """Yield what is left to be read of lists, in their order.

        Raises:
            ValueError: If the order is not that of the owners.
        """
        before = self._before
        for owner, of_owner in itertools.groupby(listings, attrgetter("owner")):
            self._owners += 1
            for listing in self._numbered(owner or "", of_owner):
                one = (owner or "", listing.number)
                rank = self._rank(one)
                if before is None or rank > before:
                    if self.begun and rank <= self._rank(self.begun):
                        msg = f"the list {one} comes after {self.begun}"
                        raise ValueError(msg)
                    self._left[one] = listing.ranges
                    self.begun = one
                if ranges := self._left.get(one):
                    if listing.cut:
                        self._left[one] = ranges = listing.cut(ranges)
                    yield replace(listing, ranges=ranges)

    def _numbered(self, owner: str, listings: Iterable[Listing]) -> Iterator[Listing]:
        """Yield the lists of an owner that may be left, with their numbers.

        Of a list and those that are read instead of it, an interrupted read may have begun either.
        """
        for number, listing in enumerate(listings):
            instead = tuple(replace(one, number=n) for n, one in enumerate(listing.instead))
            is_new = self._before is None or self._rank((owner, number)) > self._before
            if not is_new:
                yield from instead
            if is_new or not instead or (owner, WHOLE) in self._left:
                yield replace(listing, number=WHOLE if instead else number, instead=instead)

    def written(self, read: ReadPage) -> None:
        """Note that a page was written."""
        one = (read.listing.owner or "", read.listing.number)
        ranges = (*(r for r in self._left[one] if r != read.range), *read.left)
        if ranges:
            self._left[one] = ranges
        else:
            del self._left[one]
        for other in read.instead:
            self._left[one[0], other.number] = other.ranges

    @property
    def finished_owners(self) -> int:
        """How many owners nothing is left of, also by the read that was interrupted."""
        return self._owners - len({owner for owner, _ in self._left})

    def parts(self) -> list[Part]:
        """Return what is left of the lists that were begun."""
        return [
            Part(*one, part.after or "", part.until or "")
            for one, ranges in self._left.items()
            for part in _joined(ranges)
        ]

    def _rank_in_state(self, one: _List) -> tuple[t.Any, ...]:
        try:
            return self._rank(one)
        except ValueError:
            found = shortened(one[0])
            msg = f"Invalid state: {found!r} in `unfinished` is no ID. Remove `unfinished`"
            raise TolokaError(msg) from None

    def _rank(self, one: _List) -> tuple[t.Any, ...]:
        owner, number = one
        return (self._order(owner) if owner else 0, number)


def _joined(ranges: Collection[Range]) -> Iterator[Range]:
    """Join parts of a list, in any order, that follow each other."""
    by_start = {one.after: one for one in ranges}
    ends = {one.until for one in ranges}
    for one in ranges:
        if one.after is not None and one.after in ends:
            continue  # it follows another one
        until = one.until
        while until is not None and until in by_start:
            until = by_start[until].until
        yield Range(one.after, until)
