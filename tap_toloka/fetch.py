"""Page after page of many lists, read side by side, and split where threads would idle.

Nothing here knows of the Singer SDK or of streams.
"""

from __future__ import annotations

import itertools
import typing as t
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import quote

from tap_toloka.errors import RefusedError
from tap_toloka.parallel import Threads
from tap_toloka.splitting import Splitter

if t.TYPE_CHECKING:
    import logging
    from collections.abc import (
        Callable,
        Collection,
        Generator,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from tap_toloka.api import TolokaApi
    from tap_toloka.pages import IdCursor, LeaveOut, Page
    from tap_toloka.splitting import Order


class Range(t.NamedTuple):
    """A part of a list: the rows whose ids are after one, and no greater than another.

    Attributes:
        after: `None`: from the beginning.
        until: `None`: to the end.
    """

    after: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Listing:
    """One list of Toloka that is read: of the account, or of one pool, operation, ...

    Attributes:
        path: What is filled into the path: `{"operation_id": ...}`.
        params: What the query adds: `{"pool_id": ..., "created_gt": ...}`.
        fields: Added fields that all of its rows have.
        owner: The pool, operation, app project or Toloker that it belongs to; `None`: the account.
        leave_out: Tells which of its rows are left out, as another list of the stream has them.
        cut: Cuts parts of it into those that are compared with what was printed of them; `None`:
            all of its rows are printed.
        number: Which of the lists of its owner, from 0.
        ranges: Which parts of it are read.
        instead: Lists by which to read on if this one has more than a page; each starts after the
            last id of that page. Empty: it is read to its end itself.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    leave_out: LeaveOut | None = None
    cut: Callable[[Sequence[Range]], tuple[Range, ...]] | None = None
    number: int = 0
    ranges: tuple[Range, ...] = (Range(),)
    instead: tuple[Listing, ...] = ()


@dataclass(frozen=True)
class ReadPage:
    """A page, and where in its list it is.

    Attributes:
        listing: The list.
        page: The page.
        range: The part of the list that it is the first page of.
        left: The parts that are left of that part.
        last_id: The greatest id of the list, once it is known.
        order: What its ids compare by; `None`: only Toloka knows.
        instead: The lists that are read in place of what is left of it.
    """

    listing: Listing
    page: Page
    range: Range
    left: tuple[Range, ...]
    last_id: str | None
    order: Order | None
    instead: tuple[Listing, ...] = ()


@dataclass(frozen=True)
class Source:
    """What the lists of one stream have in common.

    Attributes:
        path: The path below `/api`, with names in braces that `Listing.path` fills in.
        params: Parameters of every page: `sort`, `limit`.
        id_field: The field that they are sorted by.
        new_cursor: Makes the cursor that a list is read by.
    """

    path: str
    params: Mapping[str, t.Any]
    id_field: str
    new_cursor: Callable[[], IdCursor]


@dataclass(frozen=True)
class Refusal:
    """Toloka refused the list of one owner."""

    owner: str
    error: RefusedError


@dataclass(eq=False)
class _Part:
    """A list that is being read, or a part of one."""

    listing: Listing
    range: Range
    cursor: IdCursor
    splitter: Splitter


@dataclass(frozen=True)
class _PageOfPart:
    part: _Part
    page: Page


@dataclass(frozen=True)
class _LastId:
    """The answer to the question for the greatest id of a list."""

    splitter: Splitter
    page: Page


_MOST_NAMED = 10  # owners in one log line

_Answer = _PageOfPart | _LastId | Refusal


def do_nothing() -> None:
    """Take the place of a callback that nobody gave."""


class Reading:
    """Reads lists, and keeps account of those that Toloka refused.

    Args:
        api: Toloka.
        source: How the lists are read.
        listings: Which lists.
        max_concurrency: Most requests under way at once.
        of: What is in a list, for the log: `tasks`.
        unit: What each belongs to: `pool`.
        strict: Whether a list that is refused is an error, rather than skipped.
        skipped_before: Owners whose lists were refused in an earlier run, too.
        rows_expire: Whether Toloka deletes rows that are worth keeping, so that none is missing if
            it says that a list has expired.
        on_request: Called for each request that was answered.
        logger: Where skipped lists are logged.

    Attributes:
        refused: Why lists could not be read, by their owner.
        answered: Whether Toloka returned any page.
    """

    def __init__(  # noqa: PLR0913  # all but the first three go by name
        self,
        api: TolokaApi,
        source: Source,
        listings: Iterable[Listing],
        *,
        max_concurrency: int,
        of: str,
        unit: str = "",
        strict: bool,
        skipped_before: Collection[str] = (),
        rows_expire: bool = False,
        on_request: Callable[[], None] = do_nothing,
        logger: logging.Logger,
    ) -> None:
        self._on_request = on_request
        self._fetch = partial(fetch_pages, api, source, listings, max_concurrency)
        self._of = of
        self._unit = unit
        self._strict = strict
        self._skipped_before = skipped_before
        self._rows_expire = rows_expire
        self._logger = logger
        self.refused: dict[str, RefusedError] = {}
        self.answered = False

    def pages(self, on_answer: Callable[[], None] = do_nothing) -> Generator[ReadPage, None, None]:
        """Yield the pages of all lists, once.

        Args:
            on_answer: Called for each request that was answered, as well.

        Raises:
            TolokaError: As `fetch_pages` does.
        """

        def answered() -> None:
            self._on_request()
            on_answer()

        for result in self._fetch(answered):
            if isinstance(result, Refusal):
                self._skip(result)
            else:
                self.answered = True
                yield result

    @property
    def denied(self) -> RefusedError | None:
        """Why none of several lists could be read, if this key may not, and that is new."""
        new = [e for owner, e in self.refused.items() if owner not in self._skipped_before]
        if len(new) < 2 or self.answered:  # noqa: PLR2004  # several
            return None
        return next((error for error in new if error.denied), None)

    @property
    def skipped(self) -> list[str]:
        """Owners of lists with rows that could not be read: no bookmark may pass them."""
        return [
            owner for owner, error in self.refused.items() if not (error.gone and self._rows_expire)
        ]

    def warn_of_skipped(self) -> None:
        """Log which lists could not be read, if any."""
        if skipped := self.skipped:
            self._logger.warning(
                "%s: %d lists could not be read (%s %s%s), so rows may be missing. The next run "
                "tries again",
                self._of,
                len(skipped),
                self._unit,
                ", ".join(skipped[:_MOST_NAMED]),
                ", ..." if len(skipped) > _MOST_NAMED else "",
            )

    def _skip(self, refusal: Refusal) -> None:
        owner, error = refusal.owner, refusal.error
        if self._strict:
            raise error
        if owner not in self.refused:
            self._logger.warning("Skipping %s of %s %s: %s", self._of, self._unit, owner, error)
        if owner not in self.refused or not error.gone:
            self.refused[owner] = error


def fetch_pages(
    api: TolokaApi,
    source: Source,
    listings: Iterable[Listing],
    max_concurrency: int,
    on_answer: Callable[[], None] = do_nothing,
) -> Generator[ReadPage | Refusal, None, None]:
    """Yield page after page of all lists, in no order.

    A list of one page costs one request. Of a longer one, where threads would idle otherwise, the
    greatest id is requested, and what is left is split among them. Where a list has others that are
    read `instead`, these read what is left after its first page. Everything but requesting and
    decoding happens in the thread of the caller, and a page is requested only when there is room
    for it.

    Args:
        api: Toloka.
        source: How the lists are read.
        listings: Which lists.
        max_concurrency: Most requests under way at once.
        on_answer: Called for each request that was answered.

    Raises:
        RefusedError: If the list of the account is refused.
        TolokaError: If a page could not be read.
    """
    with Threads[_Answer](max_concurrency) as threads:
        yield from _Fetch(api, source, iter(listings), threads).results(on_answer)


class _Fetch:
    """State of one `fetch_pages`."""

    def __init__(
        self,
        api: TolokaApi,
        source: Source,
        listings: Iterator[Listing],
        threads: Threads[_Answer],
    ) -> None:
        self._api = api
        self._source = source
        self._listings = listings
        self._threads = threads
        self._waiting: deque[Callable[[], _Answer]] = deque()

    def results(self, on_answer: Callable[[], None]) -> Iterator[ReadPage | Refusal]:
        self._start_waiting()
        while self._threads.busy:
            answer = self._threads.result()
            on_answer()
            if isinstance(answer, _LastId):
                answer.splitter.last_id = answer.page.ids[0] if answer.page.ids else None
            elif isinstance(answer, Refusal):
                yield answer
            else:
                part, instead = answer.part, _instead_of(answer)
                parts = self._rest_of(answer) if not instead else []
                left = tuple(part.range for part in parts)
                parts += itertools.chain.from_iterable(map(self._parts_of, instead))
                self._waiting += [partial(self._read, part) for part in parts]
                self._start_waiting()  # before the rows are dealt with: no thread waits for that
                yield ReadPage(
                    part.listing,
                    answer.page,
                    part.range,
                    left,
                    part.splitter.last_id,
                    part.cursor.order,
                    instead,
                )
            self._start_waiting()

    def _start_waiting(self) -> None:
        while self._threads.idle:
            if self._waiting:
                self._threads.start(self._waiting.popleft())
            elif (listing := next(self._listings, None)) is not None:
                self._waiting += [partial(self._read, part) for part in self._parts_of(listing)]
            else:
                return

    def _parts_of(self, listing: Listing) -> Iterator[_Part]:
        """Yield the parts of a list that are to be read."""
        cursor = self._source.new_cursor()
        splitter = Splitter(cursor.order, self._threads.most)
        for part in listing.ranges:
            start = part.after or cursor.current_value
            yield _Part(listing, part, cursor.between(start, part.until), splitter)

    def _rest_of(self, answer: _PageOfPart) -> list[_Part]:
        """Return what is left of a part after a page of it, split for so many threads."""
        part, idle = answer.part, self._threads.idle
        if part.cursor.finished:
            return []
        first, last = answer.page.ids[0], answer.page.ids[-1]
        if part.splitter.wants_last_id(first, idle):
            self._waiting.append(partial(self._read_last_id, part))
            idle -= 1
        bounds = part.splitter.bounds(first, last, part.cursor.end, idle)
        return [
            _Part(part.listing, Range(cursor.current_value, cursor.end), cursor, part.splitter)
            for cursor in part.cursor.split(bounds)
        ]

    def _read(self, part: _Part) -> _Answer:
        """Read the next page of a part, in a thread."""
        answer = self._get(part.listing, part.cursor, {})
        return answer if isinstance(answer, Refusal) else _PageOfPart(part, answer)

    def _read_last_id(self, part: _Part) -> _Answer:
        """Request the greatest id of a list, in a thread."""
        params = {"sort": f"-{self._source.id_field}", "limit": 1}
        answer = self._get(part.listing, self._source.new_cursor(), params)
        return answer if isinstance(answer, Refusal) else _LastId(part.splitter, answer)

    def _get(self, listing: Listing, cursor: IdCursor, more: Mapping[str, t.Any]) -> Page | Refusal:
        path = {name: quote(value, safe="") for name, value in listing.path.items()}
        params = {**self._source.params, **listing.params, **more}
        # Neither is beyond the bound of a filter: the cursor starts there, and was split before it.
        if cursor.current_value is not None:
            params[f"{self._source.id_field}_gt"] = cursor.current_value
        if cursor.end is not None:
            params[f"{self._source.id_field}_lte"] = cursor.end
        try:
            return self._api.get(
                self._source.path.format_map(path),
                params,
                partial(cursor.read, fields=listing.fields, leave_out=listing.leave_out),
                self._threads.stopped,
            )
        except RefusedError as error:
            if listing.owner is None:
                raise
            # Its traceback would hold the whole answer.
            return Refusal(listing.owner, error.with_traceback(None))


def _instead_of(answer: _PageOfPart) -> tuple[Listing, ...]:
    """Return the lists that are read in place of what is left of a list, after its first page."""
    if answer.part.cursor.finished:
        return ()
    after = Range(answer.page.ids[-1], answer.part.range.until)
    return tuple(replace(one, ranges=(after,)) for one in answer.part.listing.instead)
