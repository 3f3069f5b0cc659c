"""Compares rows that can change without a date with what was printed of them before.

Toloka cannot list which pools, projects, ... have changed. So a run reads the whole list, which
costs a request for every 300 rows, and prints only the rows of pages that differ from what state
holds of them, see `tap_toloka.state.Pages`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import typing as t
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Range
from tap_toloka.fitting import attribute_of
from tap_toloka.state import HASH_BYTES, Fingerprint, Pages

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_toloka.fetch import ReadPage
    from tap_toloka.fitting import Row
    from tap_toloka.splitting import Order


def signature(*facts: t.Any) -> str:
    """Return a short text for JSON values, which is another one if any of them is."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Comparison:
    """How the rows of a stream are compared.

    Attributes:
        signature: What is read and printed of a row, and by what settings, see `signature`.
        order: What ids compare by; `None`: only Toloka knows, and all of the list is one page.
        page_size: Most rows in a page.
        created: The field that holds when a row was created, which never changes.
        content_of: Returns what is selected of a row.
    """

    signature: str
    order: Order | None
    page_size: int
    created: str
    content_of: Callable[[Row], bytes]


@dataclass(frozen=True)
class Compared:
    """A page that was compared with what was printed before.

    Attributes:
        changed: The rows that have to be printed: those of all pages with a change.
        held: Which of the pages that state holds are to be replaced, by their place.
        added: What else was read, and counts with the new pages.
        gone: How many rows are not listed any more.
    """

    changed: list[Row]
    held: dict[int, Fingerprint] = field(default_factory=dict)
    added: list[Fingerprint] = field(default_factory=list)
    gone: int = 0


class Fingerprints:
    """What was printed of the rows of one stream, as one read of it goes on.

    Rows are counted once they are older than what the next run reads by their date: up to then they
    are printed in each run anyway.

    Args:
        comparison: How rows are compared.
        held: What earlier reads have printed, in the order of ids.
        added: What the interrupted read that this one resumes has found new.

    Raises:
        TolokaError: If their ids cannot be ids of the stream.
    """

    def __init__(
        self,
        comparison: Comparison,
        held: Iterable[Fingerprint] = (),
        added: Iterable[Fingerprint] = (),
    ) -> None:
        self._comparison = comparison
        self._created_of = attribute_of(comparison.created)
        self._held = list(held)
        self._added: dict[str, Fingerprint] = {}
        for one in added:
            self._add(one)
        order = comparison.order
        try:
            self._lasts = [order(one.last) for one in self._held] if order else []
        except ValueError:
            msg = "Invalid state: `pages` holds something that is no ID. Remove `pages`"
            raise TolokaError(msg) from None

    def cut(self, ranges: Sequence[Range]) -> tuple[Range, ...]:
        """Cut parts of the list of older rows, so that each is read by about one request."""
        return tuple(itertools.chain.from_iterable(map(self._cut, ranges)))

    def _cut(self, one: Range) -> Iterator[Range]:
        after, rows = one.after, 0
        for place in self._places_within(one):
            rows += self._held[place].rows
            is_last = place + 1 == len(self._held)  # what is after it is read with it
            if not is_last and rows + self._held[place + 1].rows > self._comparison.page_size:
                yield Range(after, self._held[place].last)
                after, rows = self._held[place].last, 0
        yield Range(after, one.until)

    def _places_within(self, one: Range) -> range:
        """Return the places of the pages that end before a range does, but not before it begins."""
        order = self._comparison.order
        if order is None:
            return range(0)
        first = bisect_right(self._lasts, order(one.after)) if one.after else 0
        end = bisect_left(self._lasts, order(one.until)) if one.until else len(self._lasts)
        return range(first, end)

    def compare(self, read: ReadPage, latest: str) -> Compared:
        """Find the rows of a page that have to be printed.

        Args:
            read: The page.
            latest: The latest date that the bookmark can move to.
        """
        if read.listing.cut:
            return self._older(read)
        # The others are what has changed of rows that are not compared.
        return Compared(read.page.rows) if read.listing.number else self._new(read, latest)

    def _new(self, read: ReadPage, latest: str) -> Compared:
        rows = read.page.rows
        old = [
            (id_, row)
            for id_, row in zip(read.page.ids, rows, strict=True)
            if (created := getattr(row, self._created_of)) and created <= latest
        ]
        added = [
            self._fingerprint(self._last_of(place, read), [row for _, row in group])
            for place, group in itertools.groupby(old, lambda pair: self._place(pair[0]))
        ]
        return Compared(rows, added=added)

    def _older(self, read: ReadPage) -> Compared:
        rows_at: dict[int, list[Row]] = {}
        for id_, row in zip(read.page.ids, read.page.rows, strict=True):
            rows_at.setdefault(self._place(id_), []).append(row)
        whole = self._whole(read)
        end = whole.stop
        changed: list[Row] = []
        held: dict[int, Fingerprint] = {}
        added = []
        gone = 0
        for place in sorted({*rows_at, *whole}):
            rows = rows_at.get(place, [])
            if place in whole:
                before = self._held[place]
                now = self._fingerprint(before.last, rows)
                if now == before:
                    continue
                held[place] = now
                gone += max(before.rows - now.rows, 0)
            else:  # it is new, or has become more than a page
                last = self._last_of(place, read) if place < end else read.page.ids[-1]
                added.append(self._fingerprint(last, rows))
                if place < len(self._held):
                    held[place] = Fingerprint(self._held[place].last)
            changed += rows
        return Compared(changed, held, added, gone)

    def _whole(self, read: ReadPage) -> range:
        """Return the places of the pages that are within a page that was read now."""
        order = self._comparison.order
        after, until = read.range.after, _end_of(read)
        if order is None:
            return range(len(self._held) if after is None and until is None else 0)
        first = bisect_left(self._lasts, order(after)) + 1 if after else 0
        return range(first, bisect_right(self._lasts, order(until)) if until else len(self._held))

    def _place(self, id_: str) -> int:
        """Return the place of the page that an id is in; one too many if it is after all pages."""
        order = self._comparison.order
        return bisect_left(self._lasts, order(id_)) if order else 0

    def _last_of(self, place: int, read: ReadPage) -> str:
        """Return up to which id the page at a place reaches; if there is none, this new one."""
        return self._held[place].last if place < len(self._held) else read.page.ids[-1]

    def _fingerprint(self, last: str, rows: Sequence[Row]) -> Fingerprint:
        hashes = sum(_hash(self._comparison.content_of(row)) for row in rows)
        return Fingerprint(last, len(rows)).plus(Fingerprint("", 0, hashes))

    def written(self, compared: Compared) -> None:
        """Note that a page was written."""
        for place, now in compared.held.items():
            self._held[place] = now
        for one in compared.added:
            self._add(one)

    def _add(self, one: Fingerprint) -> None:
        self._added[one.last] = one.plus(self._added.get(one.last, Fingerprint(one.last)))

    @property
    def held(self) -> Pages:
        """What was printed of each page, as far as it was compared; else what is held of it."""
        return Pages(self._comparison.signature, tuple(self._held))

    @property
    def added(self) -> tuple[Fingerprint, ...]:
        """What this read has found that is in none of these."""
        return tuple(self._added.values())

    def finished(self) -> Pages:
        """Return what was printed of each page, now that all of them were read."""
        for one in self._held:
            self._add(one)
        order = self._comparison.order
        pages: list[Fingerprint] = []
        for one in sorted(self._added.values(), key=lambda one: order(one.last) if order else 0):
            is_room = pages and pages[-1].rows + one.rows <= self._comparison.page_size
            if pages and (is_room or order is None):
                pages[-1] = one.plus(pages[-1])
            elif one.rows:
                pages.append(one)
        return Pages(self._comparison.signature, tuple(pages))


def _end_of(read: ReadPage) -> str | None:
    """Return the id up to which a page holds all rows; `None`: to the end of the list."""
    return read.page.ids[-1] if read.left else read.range.until


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=HASH_BYTES).digest(), "big")
