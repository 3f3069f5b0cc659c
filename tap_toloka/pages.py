"""Pages of a list: what an answer holds, and the cursor that follows the ids."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial
from operator import attrgetter, ge
from threading import Lock

import msgspec
from msgspec import UNSET

from tap_toloka.bodies import check_utf_8, contains_nul, repaired
from tap_toloka.errors import UnusableError
from tap_toloka.fitting import Row, attribute_of
from tap_toloka.layout import Layout
from tap_toloka.misfits import MISFITS, MisfitLog, as_field
from tap_toloka.notices import RowNotices
from tap_toloka.rows import RowReader

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import requests

    from tap_toloka.misfits import Mending
    from tap_toloka.rows import RowFields
    from tap_toloka.splitting import Order

_MOST_UNKNOWN = 20  # fields that are named

as_json = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes with all digits of numbers."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_NO_FIELDS: Mapping[str, str] = {}
_MISFITS = attribute_of(MISFITS)

LeaveOut = t.Callable[[Row], bool]
"""Tells whether a row of an answer is left out."""

OnMisfit = t.Literal["keep", "fail"]
"""What is done with a value that does not fit: it is set aside, or an error."""


def _do_nothing(_: str) -> None:
    """Take the place of a callback that nobody gave."""


@dataclass(frozen=True)
class Page:
    """What one answer holds.

    Attributes:
        rows: The rows, ready to be printed: the fields of the schema that were wanted, dates in the
            one form of `tap_toloka.dates`. Without those that another list has.
        ids: The ids of all rows of the answer; empty if the list is not read by ids.
        has_more: What Toloka says of rows after these.
    """

    rows: list[Row]
    ids: list[str]
    has_more: bool


class PageReader:
    """Reads pages whose rows fit a schema, whatever Toloka sends. Threads may share it.

    A body is decoded once, for rows, ids and `has_more`; only what `fitting` leaves as it came is
    looked at again, to check it. A value that does not fit is converted, or becomes null and is
    kept in `_misfits`, see `misfits`; a field that is unknown is kept in `_extra`; if these two are
    among the fields that are printed. Characters that targets cannot store are replaced, see
    `bodies.repaired`.

    Args:
        fields: Which fields are read.
        on_unknown: Called once with the name of each field that is not in `fields`.
        rows_in: The field of an answer that holds the rows, see `Layout`.
        id_field: The field that the list is sorted by; `None` if it is not read by ids.
        compute: Computes added fields of the rows of a page; `ValueError` if it cannot.
        warn: Called with a line about values that do not fit, once for each place, and about each
            row in which characters were replaced, or that is very large. After some lines there is
            a last one.
        on_misfit: Whether a value that does not fit, and cannot be converted, is an error.
    """

    def __init__(  # noqa: PLR0913  # all but the first two go by name
        self,
        fields: RowFields,
        on_unknown: Callable[[str], None],
        *,
        rows_in: str | None = "items",
        id_field: str | None = "id",
        compute: Callable[[list[Row]], None] | None = None,
        warn: Callable[[str], None] = _do_nothing,
        on_misfit: OnMisfit = "keep",
    ) -> None:
        self._on_unknown = on_unknown
        self._warn = warn
        self._layout = Layout(rows_in)
        self._id_of = attrgetter(attribute_of(id_field)) if id_field else None
        self._compute = compute
        self._on_misfit = on_misfit
        self._added = frozenset(fields.added)
        self._hidden = fields.hidden.keys()
        self._dates = frozenset(fields.dates)
        self._keeps_misfits = MISFITS in fields.printed
        self._unknown: set[str] = set()
        self._lock = Lock()
        self._misfits = MisfitLog(warn)
        self._rows = RowReader(fields, self._layout, self._note_unknown)
        self._notices = RowNotices(
            [id_field] if id_field else fields.required, fields.sent, layout=self._layout, warn=warn
        )

    @property
    def misfits(self) -> int:
        """How many values were set aside."""
        return self._misfits.count

    def read(
        self,
        body: bytes,
        fields: Mapping[str, str] = _NO_FIELDS,
        leave_out: LeaveOut | None = None,
    ) -> Page:
        """Return what the body of an answer holds, in its order.

        Args:
            body: The body.
            fields: Added fields that all rows have alike.
            leave_out: Tells which rows are left out; it sees all fields that are read.

        Raises:
            ValueError: If it is not JSON, or no such page.
            UnusableError: If it is, and a key of a row does not fit, or, with `on_misfit="fail"`,
                anything.
        """
        # A line break between two values would end the line that they are printed in.
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
        if contains_nul(body):
            body = self._repaired(body, fields)
        try:
            check_utf_8(body)
            rows, has_more, mending = self._rows.read(body)
        except (ValueError, RecursionError) as error:
            in_order = self._repaired(body, fields)
            if in_order != body:
                return self.read(in_order, fields, leave_out)
            if not isinstance(error, RecursionError):
                raise
            body, deep = self._rows.without_deep_values(body)
            rows, has_more, mending = self._rows.read_deep(body, deep)
        names = _Names(self._layout, body, partial(self._notices.name_of, fields=fields))
        if mending.misfits or mending.wrong:
            leave_out = leave_out and _unless_unknown(leave_out, mending, self._dates)
            self._note_misfits(rows, mending, names, leave_out)
        self._fill_in(rows, fields, names)
        self._notices.large(body, fields)
        return self._page(rows, leave_out, has_more=has_more)

    def _page(self, rows: list[Row], leave_out: LeaveOut | None, *, has_more: bool) -> Page:
        ids = list(map(self._id_of, rows)) if self._id_of else []
        if leave_out:
            rows = [row for row in rows if not leave_out(row)]
        for name in map(attribute_of, self._hidden):
            for row in rows:
                setattr(row, name, UNSET)
        return Page(rows, ids, has_more)

    def _fill_in(self, rows: list[Row], fields: Mapping[str, str], names: _Names) -> None:
        """Add the fields that Toloka does not send."""
        for name in self._added & fields.keys():
            for row in rows:
                setattr(row, attribute_of(name), fields[name])
        if self._compute:
            try:
                self._compute(rows)
            except ValueError:
                raise self._why_not_computed(self._compute, rows, names) from None

    @staticmethod
    def _why_not_computed(
        compute: Callable[[list[Row]], None], rows: list[Row], names: _Names
    ) -> Exception:
        for position, row in enumerate(rows):
            try:
                compute([row])
            except ValueError as error:
                return UnusableError(f"{names.of(position)} does not fit the schema: {error}")
        return ValueError("added fields cannot be computed")

    def _note_misfits(
        self, rows: list[Row], mending: Mending, names: _Names, leave_out: LeaveOut | None
    ) -> None:
        """Keep what was set aside in its row, and log it; or raise."""
        if leave_out:
            mending.forget(filter(leave_out, rows))
        if mending.wrong or (mending.misfits and self._on_misfit == "fail"):
            mending.fail(rows, names.of, all_misfits=self._on_misfit == "fail")
        for position, row in enumerate(rows):
            misfits = mending.misfits.get(id(row))
            if not misfits:
                continue
            hidden = self._hidden if self._keeps_misfits else {one.path for one in misfits}
            kept = [one for one in misfits if one.path not in hidden]
            lost = [one for one in misfits if one.path in hidden]
            self._misfits.note(partial(names.of, position), kept, kept=True)
            self._misfits.note(partial(names.of, position), lost, kept=False)
            if kept:
                setattr(row, _MISFITS, as_field(kept))

    def _note_unknown(self, found: Collection[str]) -> None:
        with self._lock:
            new = sorted({*found} - self._unknown)
            new = new[: _MOST_UNKNOWN + 1 - len(self._unknown)]
            self._unknown.update(new)
            is_last = bool(new) and len(self._unknown) > _MOST_UNKNOWN
        for name in new[:-1] if is_last else new:
            self._on_unknown(name)
        if is_last:
            self._warn("further unknown fields are not logged")

    def _repaired(self, body: bytes, fields: Mapping[str, str]) -> bytes:
        """Replace what targets cannot store, and warn of the rows in which it was."""
        result, replaced = repaired(body)
        if replaced:
            self._notices.replaced(replaced, result, fields)
        return result


def _unless_unknown(leave_out: LeaveOut, mending: Mending, dates: Collection[str]) -> LeaveOut:
    """Leave out no row with a date that does not fit: Toloka knows it, and we do not."""
    unknown = {
        row_id
        for row_id, misfits in mending.misfits.items()
        if any(misfit.path in dates for misfit in misfits)
    }
    return lambda row: id(row) not in unknown and leave_out(row)


class _Names:
    """Names the rows of a body, which is decoded again for it.

    Args:
        layout: Where the rows are.
        body: The body.
        name_of: Names a row.
    """

    def __init__(self, layout: Layout, body: bytes, name_of: Callable[[bytes], str]) -> None:
        self._layout = layout
        self._body = body
        self._name_of = name_of

    def of(self, position: int) -> str:
        """Name a row."""
        return self._name_of(self._rows[position])

    @cached_property
    def _rows(self) -> list[bytes]:
        return self._layout.rows(self._body)


def as_objects(rows: Iterable[Row]) -> Iterator[dict[str, t.Any]]:
    """Decode rows whole, for whoever looks inside; numbers with a fraction become Decimal."""
    for row in rows:
        yield _decode(as_json(row))


def greatest_date(rows: Iterable[Row], field: str) -> str:
    """Return the latest of a date in the canonical form; `""` if no row has it."""
    return max(filter(None, map(attrgetter(attribute_of(field)), rows)), default="")


class IdCursor:
    """Follows a list sorted by id: the next page begins after the last id of this one.

    It is used as the SDK's paginators are: `current_value`, which goes out as `id_gt`, `finished`,
    `advance`. `has_more` alone says when the list ends. A page that cannot be trusted raises and
    leaves the cursor where it was, so that the same page can be requested again.

    Where only Toloka knows the order of ids, a list that would never end is recognized by an id
    that was listed before: on the last page, or as the last one of any page. Such a page is
    requested again, too: it may come from the cache of a proxy.

    Args:
        read: What reads a page, as `PageReader.read`.
        start: Where to begin: rows with a greater id are read; `None`: from the beginning.
        end: Where to end: the greatest id that is requested, as `id_lte`; `None`: no such bound.
        order: What ids compare by. Those of pools are decimal numbers in text, `"999999"` comes
            before `"1000000"` (openapi, examples). `None`: only Toloka knows.
    """

    def __init__(
        self,
        read: Callable[[bytes, Mapping[str, str], LeaveOut | None], Page],
        start: str | None = None,
        end: str | None = None,
        *,
        order: Order | None = int,
    ) -> None:
        self._read = read
        self.current_value = start
        self.end = end
        self.order = order
        self.finished = False
        # Only used without an order. All ids of a long list would take too much memory.
        self._last_ids = {start} if start else set()
        self._page = set[str]()

    def between(self, start: str | None, end: str | None) -> IdCursor:
        """Return a cursor for another part of the list."""
        return IdCursor(self._read, start, end, order=self.order)

    def split(self, bounds: Sequence[str]) -> list[IdCursor]:
        """Return cursors for the parts of what is left if it is cut at these ids, itself first."""
        ends = [*bounds, self.end]
        self.end = ends[0]
        return [self, *map(self.between, bounds, ends[1:])]

    def advance(self, response: requests.Response) -> None:
        """Move behind the page that a response holds.

        Raises:
            ValueError: As `read` does.
        """
        self.read(response.content)

    def read(
        self,
        body: bytes,
        fields: Mapping[str, str] = _NO_FIELDS,
        leave_out: LeaveOut | None = None,
    ) -> Page:
        """Read the page that comes next, and move behind it.

        Args:
            body: The body of the answer.
            fields: Added fields that all rows have alike.
            leave_out: Tells which rows are left out.

        Raises:
            ValueError: If it is no page, promises more and holds no row, or its ids are not in
                order, not after the last page, or beyond `end`; without an order, if ids repeat.
        """
        page = self._read(body, fields, leave_out)
        self._check(page)
        if page.has_more:
            self.current_value = page.ids[-1]
            if self.order is None:
                self._last_ids.add(page.ids[-1])
                self._page = set(page.ids)
        else:
            self.finished = True
        return page

    def _check(self, page: Page) -> None:
        if page.has_more and not page.ids:
            msg = "has_more is true, but the page is empty"
            raise ValueError(msg)
        if self.order is None:
            self._check_new(page.ids)
        else:
            self._check_order(page.ids, self.order)

    def _check_new(self, ids: Sequence[str]) -> None:
        new = set[str]()
        for id_ in ids:
            if id_ in new or id_ in self._page or id_ in self._last_ids:
                msg = f"ids repeat: {id_!r} was listed before, so the list might never end"
                raise ValueError(msg)
            new.add(id_)

    def _check_order(self, ids: Sequence[str], order: Order) -> None:
        if self.current_value is not None:
            ids = [self.current_value, *ids]
        try:
            keys = list(map(order, ids))
        except ValueError as error:
            msg = f"an id is not a number: {error}"
            raise ValueError(msg) from None
        if any(map(ge, keys, keys[1:])):
            place = next(n for n, (one, other) in enumerate(zip(keys, keys[1:])) if one >= other)  # noqa: B905, RUF007
            msg = f"ids out of order: {ids[place + 1]!r} comes after {ids[place]!r}"
            raise ValueError(msg)
        if ids and self.end is not None and keys[-1] > order(self.end):
            msg = f"id beyond the requested range: {ids[-1]!r} comes after {self.end!r}"
            raise ValueError(msg)
