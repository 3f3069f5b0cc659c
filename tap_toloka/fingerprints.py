"""Compares rows that can change without a date with what was printed of them before.

Toloka cannot list which pools, projects, ... have changed. So a run reads the whole list, in blocks
of about as many rows as Toloka returns for a request, and prints only the blocks that differ from
what state holds of them, see `tap_toloka.state.Blocks`.
"""

from __future__ import annotations

import itertools
import sys
import typing as t
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Range
from tap_toloka.fitting import attribute_of
from tap_toloka.state import HASH_BYTES, Block, Blocks

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_toloka.fetch import ReadPage
    from tap_toloka.fitting import Row
    from tap_toloka.splitting import Order


_NONE = Blocks()


@dataclass(frozen=True)
class Comparison:
    """How the rows of a stream are compared.

    Attributes:
        signature: What is read and printed of a row, and by what settings, as a short text.
        order: What ids compare by; `None`: only Toloka knows, and all of the list is one block.
        page_size: Most rows that Toloka returns for one request.
        created: The field that says when a row was created, which never changes.
        content_of: Returns what is selected of a row.
    """

    signature: str
    order: Order | None
    page_size: int
    created: str
    content_of: Callable[[Row], bytes]

    @property
    def rows_per_block(self) -> int:
        """How many rows a block has at first.

        Ids that are numbers rise, so a block that is full stays as it is. New rows with other ids
        may come anywhere: a block has room for as many before it takes two requests.
        """
        return self.page_size if self.order is int else max(self.page_size // 2, 1)


@dataclass(frozen=True)
class Compared:
    """A page that was compared with what was printed before.

    Attributes:
        changed: The rows that have to be printed: all rows of the blocks with a change.
        replaced: What is now to be stored of a block, by its index.
        new: What else was read.
        inserted: New rows within stored blocks, each as a block of its own, and the index of that.
        missing: How many rows are not listed any more.
    """

    changed: list[Row]
    replaced: dict[int, Block] = field(default_factory=dict)
    new: list[Block] = field(default_factory=list)
    inserted: list[tuple[int, Block]] = field(default_factory=list)
    missing: int = 0


class Fingerprints:
    """What was printed of the rows of one stream, as one read of it goes on.

    Rows count once the next run does not read them as new ones. Up to then each run prints them.

    Args:
        comparison: How rows are compared.
        stored: What earlier reads have printed.
        new: What else the interrupted read has printed that this one resumes.
        bookmark: The bookmark in state. If it is not that of the blocks, someone has changed it,
            and rows that a block lacks may just be newer.

    Raises:
        TolokaError: If their ids cannot be ids of the stream.
    """

    def __init__(
        self,
        comparison: Comparison,
        stored: Blocks = _NONE,
        new: Iterable[Block] = (),
        bookmark: str | None = None,
    ) -> None:
        self._comparison = comparison
        self._order = comparison.order
        self._created_of = attribute_of(comparison.created)
        self._stored, self._bookmark = list(stored.blocks), stored.bookmark
        self._counts_missing = stored.bookmark == (bookmark or "")
        self._new: dict[str, Block] = {}
        self._inserted: list[tuple[int, Block]] = []
        self._most_rows = 0
        try:
            for block in new:
                _add(block, self._new)
                self._key(block.last_id)
            self._last_ids = [self._key(block.last_id) for block in self._stored]
        except ValueError:
            msg = "Invalid state: `blocks` holds something that is no ID. Remove `blocks`"
            raise TolokaError(msg) from None

    def cut(self, ranges: Sequence[Range]) -> tuple[Range, ...]:
        """Cut parts of the list of older rows, so that each is read by about one request.

        Raises:
            TolokaError: If they cannot be parts of the list.
        """
        try:
            return tuple(itertools.chain.from_iterable(map(self._cut, ranges)))
        except ValueError:
            msg = "Invalid state: `unfinished` holds something that is no ID. Remove `unfinished`"
            raise TolokaError(msg) from None

    def _cut(self, one: Range) -> Iterator[Range]:
        after, rows = one.after, 0
        for index in self._ending_within(one):
            block = self._stored[index]
            rows += block.rows
            is_last = index + 1 == len(self._stored)  # what comes after it is read with it
            if not is_last and rows + self._stored[index + 1].rows > self._comparison.page_size:
                yield Range(after, block.last_id)
                after, rows = block.last_id, 0
        yield Range(after, one.until)

    def _ending_within(self, one: Range) -> range:
        """Return the indexes of the blocks that end within a range, and before its end."""
        if self._order is None:
            return range(0)
        first = bisect_right(self._last_ids, self._key(one.after)) if one.after else 0
        end = bisect_left(self._last_ids, self._key(one.until)) if one.until else None
        return range(first, len(self._last_ids) if end is None else end)

    def compare(self, read: ReadPage, latest: str) -> Compared:
        """Find the rows of a page that have to be printed.

        Args:
            read: The page.
            latest: The latest date that the bookmark can move to: rows that were created later are
                new ones for the next run.
        """
        if read.page.has_more:
            self._most_rows = max(self._most_rows, len(read.page.ids))
        if read.listing.cut:
            return self._older(read)
        # Lists other than the first are of rows that are not compared, and changed by date.
        return Compared(read.page.rows) if read.listing.number else self._newer(read, latest)

    def _newer(self, read: ReadPage, latest: str) -> Compared:
        pairs = [
            (id_, row)
            for id_, row in zip(read.page.ids, read.page.rows, strict=True)
            if (created := getattr(row, self._created_of)) and created <= latest
        ]
        inserted: list[tuple[int, Block]] = []
        end = len(self._stored)
        if end:
            indexes = [self._index(id_) for id_, _ in pairs]
            inserted = [
                (index, self._block(pair[0], [pair]))
                for pair, index in zip(pairs, indexes, strict=True)
                if index < end
            ]
            pairs = [pair for pair, index in zip(pairs, indexes, strict=True) if index == end]
        new = list(self._blocks(pairs, read.page.ids[-1])) if pairs else []
        return Compared(read.page.rows, new=new, inserted=inserted)

    def _older(self, read: ReadPage) -> Compared:
        pairs_at: dict[int, list[tuple[str, Row]]] = {}
        for id_, row in zip(read.page.ids, read.page.rows, strict=True):
            pairs_at.setdefault(self._index(id_), []).append((id_, row))
        complete = self._complete(read)
        result = Compared([])
        missing = 0
        for index in sorted({*pairs_at, *complete}):
            pairs = pairs_at.get(index, [])
            if index in complete:
                before = self._stored[index]
                now = self._block(before.last_id, pairs)
                if now == before:
                    continue
                result.replaced[index] = now
                missing += max(before.rows - now.rows, 0)
            elif index < len(self._stored):  # it takes more than a request by now
                block = self._stored[index]
                last_id = block.last_id if index < complete.stop else read.page.ids[-1]
                result.new.extend(self._blocks(pairs, last_id))
                result.replaced[index] = Block(block.last_id)  # all of its rows are among the new
            else:
                result.new.extend(self._blocks(pairs, read.page.ids[-1]))
            result.changed.extend(row for _, row in pairs)
        return replace(result, missing=missing if self._counts_missing else 0)

    def _complete(self, read: ReadPage) -> range:
        """Return the indexes of the blocks of which a page has all rows."""
        after = read.range.after
        until = read.page.ids[-1] if read.left else read.range.until
        if self._order is None:
            return range(len(self._stored) if after is None and until is None else 0)
        first = bisect_left(self._last_ids, self._key(after)) + 1 if after else 0
        end = bisect_right(self._last_ids, self._key(until)) if until else None
        return range(first, len(self._last_ids) if end is None else end)

    def _index(self, id_: str) -> int:
        """Return the index of the block that an id is in; past the last one: of none."""
        return bisect_left(self._last_ids, self._key(id_))

    def _key(self, id_: str) -> t.Any:  # noqa: ANN401  # what ids compare by
        return self._order(id_) if self._order else 0

    def _blocks(self, pairs: Sequence[tuple[str, Row]], last_id: str) -> Iterator[Block]:
        """Yield new blocks, the last of which reaches up to an id."""
        size = self._comparison.rows_per_block
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            yield self._block(part[-1][0] if start + size < len(pairs) else last_id, part)

    def _block(self, last_id: str, pairs: Sequence[tuple[str, Row]]) -> Block:
        content_of = self._comparison.content_of
        digests = [sha256(content_of(row)).digest()[:HASH_BYTES] for _, row in pairs]
        return Block(last_id).plus(len(pairs), sum(int.from_bytes(d, "big") for d in digests))

    def begin(self, compared: Compared) -> None:
        """Note that rows of a page may be written from now on: blocks are not what they were."""
        for index, block in compared.replaced.items():
            self._stored[index] = Block(block.last_id)

    def written(self, compared: Compared) -> None:
        """Note that the rows of a page were written."""
        for index, block in compared.replaced.items():
            self._stored[index] = block
        for block in compared.new:
            _add(block, self._new)
        self._inserted += compared.inserted

    @property
    def stored(self) -> Blocks:
        """What was printed of the blocks that state held, by this read if it has come to them."""
        return Blocks(self._comparison.signature, tuple(self._stored), self._bookmark)

    @property
    def new(self) -> tuple[Block, ...]:
        """What else this read has printed."""
        found = dict(self._new)
        for index, block in self._inserted:
            _add(block._replace(last_id=self._stored[index].last_id), found)
        return tuple(found.values())

    def finished(self, bookmark: str | None) -> Blocks:
        """Return what is to be stored after the whole list was read.

        Args:
            bookmark: The bookmark that the next run starts from.
        """
        found = dict(self._new)
        for block in self._stored:
            _add(block, found)
        # Blocks may have been divided, so only now it is known where inserted rows belong.
        last_ids = sorted(found, key=self._key)
        keys = [self._key(last_id) for last_id in last_ids]
        for _, block in self._inserted:
            last_id = last_ids[bisect_left(keys, self._key(block.last_id))]
            _add(block._replace(last_id=last_id), found)
        joined = self._joined([found[last_id] for last_id in last_ids])
        return Blocks(self._comparison.signature, tuple(joined), bookmark or "")

    def _joined(self, blocks: Iterable[Block]) -> list[Block]:
        """Join blocks that are small, so that together they are not longer than a response."""
        most = min(self._comparison.rows_per_block, self._most_rows or sys.maxsize)
        joined: list[Block] = []
        for block in blocks:
            is_room = joined and joined[-1].rows + block.rows <= most
            if joined and (is_room or self._order is None):
                joined[-1] = block.plus(joined[-1].rows, joined[-1].hash)
            elif block.rows:
                joined.append(block)
        return joined


def _add(block: Block, to: dict[str, Block]) -> None:
    known = to.get(block.last_id, Block(block.last_id))
    to[block.last_id] = block.plus(known.rows, known.hash)
