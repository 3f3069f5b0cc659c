"""Compares rows that can change without a date with what was printed of them before.

Toloka cannot list which pools, projects, ... have changed. So a run reads the whole list, in blocks
of about as many rows as Toloka returns for a request, and prints only the blocks that differ from
what state holds of them, see `tap_toloka.state.Blocks`.
"""

from __future__ import annotations

import hashlib
import itertools
import typing as t
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Range
from tap_toloka.fitting import attribute_of
from tap_toloka.state import HASH_BYTES, Block, Blocks

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_toloka.fetch import ReadPage
    from tap_toloka.fitting import Row
    from tap_toloka.splitting import Order


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
        missing: How many rows are not listed any more.
    """

    changed: list[Row]
    replaced: dict[int, Block] = field(default_factory=dict)
    new: list[Block] = field(default_factory=list)
    missing: int = 0


class Fingerprints:
    """What was printed of the rows of one stream, as one read of it goes on.

    Rows count once the next run does not read them as new ones. Up to then each run prints them.

    Args:
        comparison: How rows are compared.
        stored: What earlier reads have printed, in the order of ids.
        new: What else the interrupted read has printed that this one resumes.

    Raises:
        TolokaError: If their ids cannot be ids of the stream.
    """

    def __init__(
        self, comparison: Comparison, stored: Iterable[Block] = (), new: Iterable[Block] = ()
    ) -> None:
        self._comparison = comparison
        self._order = comparison.order
        self._created_of = attribute_of(comparison.created)
        self._stored = list(stored)
        self._new: dict[str, Block] = {}
        for block in new:
            _add(block, self._new)
        try:
            self._last_ids = [self._order(b.last_id) for b in self._stored] if self._order else []
        except ValueError:
            msg = "Invalid state: `blocks` holds something that is no ID. Remove `blocks`"
            raise TolokaError(msg) from None

    def cut(self, ranges: Sequence[Range]) -> tuple[Range, ...]:
        """Cut parts of the list of older rows, so that each is read by about one request."""
        return tuple(itertools.chain.from_iterable(map(self._cut, ranges)))

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
        first = bisect_right(self._last_ids, self._order(one.after)) if one.after else 0
        end = bisect_left(self._last_ids, self._order(one.until)) if one.until else None
        return range(first, len(self._last_ids) if end is None else end)

    def compare(self, read: ReadPage, latest: str) -> Compared:
        """Find the rows of a page that have to be printed.

        Args:
            read: The page.
            latest: The latest date that the bookmark can move to: rows that were created later are
                new ones for the next run.
        """
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
        new: list[Block] = []
        for index, group in itertools.groupby(pairs, lambda pair: self._index(pair[0])):
            of_block = list(group)
            if index < len(self._stored):
                new.append(self._block(self._stored[index].last_id, of_block))
            else:
                new += self._blocks(of_block, read.page.ids[-1])
        return Compared(read.page.rows, new=new)

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
        return Compared(result.changed, result.replaced, result.new, missing)

    def _complete(self, read: ReadPage) -> range:
        """Return the indexes of the blocks of which a page has all rows."""
        after = read.range.after
        until = read.page.ids[-1] if read.left else read.range.until
        if self._order is None:
            return range(len(self._stored) if after is None and until is None else 0)
        first = bisect_left(self._last_ids, self._order(after)) + 1 if after else 0
        end = bisect_right(self._last_ids, self._order(until)) if until else None
        return range(first, len(self._last_ids) if end is None else end)

    def _index(self, id_: str) -> int:
        """Return the index of the block that an id is in; past the last one: of none."""
        return bisect_left(self._last_ids, self._order(id_)) if self._order else 0

    def _blocks(self, pairs: Sequence[tuple[str, Row]], last_id: str) -> Iterator[Block]:
        """Yield new blocks, the last of which reaches up to an id."""
        size = self._comparison.rows_per_block
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            yield self._block(part[-1][0] if start + size < len(pairs) else last_id, part)

    def _block(self, last_id: str, pairs: Sequence[tuple[str, Row]]) -> Block:
        contents = (self._comparison.content_of(row) for _, row in pairs)
        return Block(last_id).plus(len(pairs), sum(map(_hash, contents)))

    def written(self, compared: Compared) -> None:
        """Note that the rows of a page were written."""
        for index, block in compared.replaced.items():
            self._stored[index] = block
        for block in compared.new:
            _add(block, self._new)

    @property
    def stored(self) -> Blocks:
        """What was printed of the blocks that state held, by this read if it has come to them."""
        return Blocks(self._comparison.signature, tuple(self._stored))

    @property
    def new(self) -> tuple[Block, ...]:
        """What else this read has printed."""
        return tuple(self._new.values())

    def finished(self) -> Blocks:
        """Return what is to be stored after the whole list was read."""
        found = dict(self._new)
        for block in self._stored:
            _add(block, found)
        order = self._order
        blocks: list[Block] = []
        for block in (
            sorted(found.values(), key=lambda b: order(b.last_id)) if order else found.values()
        ):
            is_room = blocks and blocks[-1].rows + block.rows <= self._comparison.rows_per_block
            if blocks and (is_room or order is None):
                blocks[-1] = block.plus(blocks[-1].rows, blocks[-1].hash)
            elif block.rows:
                blocks.append(block)
        return Blocks(self._comparison.signature, tuple(blocks))


def _add(block: Block, to: dict[str, Block]) -> None:
    known = to.get(block.last_id, Block(block.last_id))
    to[block.last_id] = block.plus(known.rows, known.hash)


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=HASH_BYTES).digest(), "big")
