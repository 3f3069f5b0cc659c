"""Pages of a list: what an answer holds, and the cursor that follows the ids."""

from __future__ import annotations

import codecs
import typing as t
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter, ge
from threading import Lock

import msgspec
from msgspec import UNSET

from tap_toloka import dates
from tap_toloka.fitting import Row, attribute_of, can_be_named, checks, row_type

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import requests

    from tap_toloka.splitting import Order

_PIECE = 2**16  # bytes
_MOST_IGNORED = 200  # fields; each costs a little time with each row
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_NO_FIELDS: Mapping[str, str] = {}

LeaveOut = t.Callable[[Row], bool]
"""Tells whether a row of an answer is left out."""


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


@dataclass(frozen=True, kw_only=True)
class RowFields:
    """Which fields of a row are read, and what becomes of them.

    Attributes:
        printed: JSON Schema of each field that is printed.
        required: Those that every row must have.
        added: Those of `printed` that the tap adds: Toloka does not send them.
        hidden: JSON Schema of fields that are read but not printed: others are computed from them.
        ignored: Fields that Toloka may send and that nobody wants. Others are unknown.
        dates: Fields that hold a date.
    """

    printed: Mapping[str, t.Any]
    required: Collection[str] = ()
    added: Collection[str] = ()
    hidden: Mapping[str, t.Any]
    ignored: Collection[str] = ()
    dates: Collection[str] = ()


class PageReader:
    """Reads pages whose rows fit a schema, whatever Toloka sends. Threads may share it.

    A body is decoded once, for rows, ids and `has_more`; only what `fitting` leaves as it came is
    looked at again, to check it. A field that is unknown is left out. A value that does not fit
    its schema is an error.

    Args:
        fields: Which fields are read.
        on_unknown: Called once with the name of each field that is not in `fields`.
        rows_in: The field of an answer that holds the rows, beside `has_more`; `None`: the answer
            is an array of rows, or one row, and no other page follows.
        id_field: The field that the list is sorted by; `None` if it is not read by ids.
        compute: Computes added fields of the rows of a page; `ValueError` if it cannot.
    """

    def __init__(
        self,
        fields: RowFields,
        on_unknown: Callable[[str], None],
        *,
        rows_in: str | None = "items",
        id_field: str | None = "id",
        compute: Callable[[list[Row]], None] | None = None,
    ) -> None:
        self._on_unknown = on_unknown
        self._rows_in = rows_in
        self._id_of = attrgetter(attribute_of(id_field)) if id_field else None
        self._compute = compute
        self._sent = {n: p for n, p in fields.printed.items() if n not in fields.added}
        self._sent |= fields.hidden
        self._required = [name for name in fields.required if name in self._sent]
        self._checks = list(checks(self._sent).items())
        self._dates = [attribute_of(name) for name in fields.dates if name in self._sent]
        self._added = frozenset(fields.added)
        self._hidden = [attribute_of(name) for name in fields.hidden]
        self._ignored = set(fields.ignored) - self._sent.keys() - self._added
        self._lock = Lock()
        self._make_decoder()

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
            ValueError: If it is not JSON, no such page, or does not fit the schema.
        """
        _check_utf_8(body)
        # A line break between two values would end the line that they are printed in.
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
        try:
            rows, has_more, unwanted = self._decode_page(body)
            self._check(rows)
        except RecursionError:
            msg = "it is nested too deeply"
            raise ValueError(msg) from None
        ids = list(map(self._id_of, rows)) if self._id_of else []
        self._fill_in(rows, fields)
        if leave_out:
            rows = [row for row in rows if not leave_out(row)]
        for name in (*unwanted, *self._hidden):
            for row in rows:
                setattr(row, name, UNSET)
        return Page(rows, ids, has_more)

    def _fill_in(self, rows: list[Row], fields: Mapping[str, str]) -> None:
        """Bring dates into the one form, and add the fields that Toloka does not send."""
        for name in self._dates:
            for row in rows:
                if isinstance(text := getattr(row, name), str):
                    setattr(row, name, dates.canonical(text))
        for name in self._added & fields.keys():
            for row in rows:
                setattr(row, attribute_of(name), fields[name])
        if self._compute:
            self._compute(rows)

    def _make_decoder(self) -> None:
        # Whether a field that is still unknown is noticed.
        strict = len(self._ignored) < _MOST_IGNORED and all(map(can_be_named, self._ignored))
        ignored = self._ignored if strict else set()
        row = row_type(self._sent, self._required, {*ignored, *self._added}, strict=strict)
        decode = _page_decoder(row, self._rows_in)
        self._decoder = (decode, [attribute_of(name) for name in ignored])

    def _decode_page(self, body: bytes) -> tuple[list[Row], bool, list[str]]:
        """Return rows, `has_more`, and the attributes that nobody wants."""
        decoder = self._decoder
        try:
            return (*decoder[0](body), decoder[1])
        except msgspec.ValidationError:
            self._learn_unknown_fields(body)
            if self._decoder is decoder:  # no unknown fields: something else is wrong
                raise
            decoder = self._decoder
            return (*decoder[0](body), decoder[1])

    def _learn_unknown_fields(self, body: bytes) -> None:
        """Find the fields of a page that are unknown, so that they are ignored from now on.

        If they are too many, or have names that cannot be declared, all others are ignored unseen.
        """
        rows, _ = _page_decoder(dict[str, msgspec.Raw], self._rows_in, checks_more=False)(body)
        names = {name for row in rows for name in row}
        with self._lock:
            unknown = names - self._sent.keys() - self._added - self._ignored
            if unknown:
                self._ignored |= unknown
                self._make_decoder()
        for name in sorted(unknown):
            self._on_unknown(name)

    def _check(self, rows: list[Row]) -> None:
        for name, check in self._checks:
            for row in rows:
                if (value := getattr(row, name)) is not UNSET:
                    try:
                        check(value)
                    except msgspec.ValidationError as error:
                        msg = f"{error} of the field {name!r}"
                        raise ValueError(msg) from None


def as_objects(rows: Iterable[Row]) -> Iterator[dict[str, t.Any]]:
    """Decode rows whole, for whoever looks inside; numbers with a fraction become Decimal."""
    for row in rows:
        yield _decode(_encode(row))


def greatest_date(rows: Iterable[Row], field: str) -> str:
    """Return the latest of a date in the one form; `""` if no row has it."""
    return max(filter(None, map(attrgetter(attribute_of(field)), rows)), default="")


class IdCursor:
    """Follows a list sorted by id: the next page begins after the last id of this one.

    It is used as the SDK's paginators are: `current_value`, which goes out as `id_gt`, `finished`,
    `advance`. `has_more` alone says when the list ends. A page that cannot be trusted raises and
    leaves the cursor where it was, so that the same page can be requested again.

    Args:
        read: What reads a page, as `PageReader.read`.
        start: Where to begin: rows with a greater id are read; `None`: from the beginning.
        end: Where to end: the greatest id that is requested, as `id_lte`; `None`: no such bound.
        order: What ids compare by. Those of pools are decimal numbers in text, `"999999"` comes
            before `"1000000"` (openapi, examples).
    """

    def __init__(
        self,
        read: Callable[[bytes, Mapping[str, str], LeaveOut | None], Page],
        start: str | None = None,
        end: str | None = None,
        *,
        order: Order = int,
    ) -> None:
        self._read = read
        self.current_value = start
        self.end = end
        self.order = order
        self.finished = False

    def split(self, bounds: Sequence[str]) -> list[IdCursor]:
        """Return cursors for the parts of what is left if it is cut at these ids, itself first."""
        ends = [*bounds, self.end]
        self.end = ends[0]
        return [
            self,
            *(
                IdCursor(self._read, start, end, order=self.order)
                for start, end in zip(bounds, ends[1:], strict=True)
            ),
        ]

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
                order, not after the last page, or beyond `end`.
        """
        page = self._read(body, fields, leave_out)
        self._check(page)
        if page.has_more:
            self.current_value = page.ids[-1]
        else:
            self.finished = True
        return page

    def _check(self, page: Page) -> None:
        if page.has_more and not page.ids:
            msg = "has_more is true, but the page is empty"
            raise ValueError(msg)
        ids = page.ids if self.current_value is None else [self.current_value, *page.ids]
        try:
            keys = list(map(self.order, ids))
        except ValueError as error:
            msg = f"an id is not a number: {error}"
            raise ValueError(msg) from None
        if any(map(ge, keys, keys[1:])):
            place = next(n for n, (one, other) in enumerate(zip(keys, keys[1:])) if one >= other)  # noqa: B905, RUF007
            msg = f"ids out of order: {ids[place + 1]!r} comes after {ids[place]!r}"
            raise ValueError(msg)
        if page.ids and self.end is not None and keys[-1] > self.order(self.end):
            msg = f"id beyond the requested range: {ids[-1]!r} comes after {self.end!r}"
            raise ValueError(msg)


def _check_utf_8(body: bytes) -> None:
    """Raise if a body is not UTF-8: msgspec does not look into what it leaves as it came.

    A piece at a time: a whole page as text takes four times its room if one emoji is in it.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(body), _PIECE):
        decode(body[start : start + _PIECE])
    decode(b"", final=True)


def _page_decoder(
    row: t.Any,  # noqa: ANN401  # a type
    rows_in: str | None,
    *,
    checks_more: bool = True,
) -> Callable[[bytes], tuple[list[t.Any], bool]]:
    """Return what decodes a body into rows of a type, and `has_more`."""
    if rows_in is None:
        decode_any = msgspec.json.Decoder(t.Union[list[row], row]).decode  # noqa: UP007  # made at run time

        def decode_whole(body: bytes) -> tuple[list[t.Any], bool]:
            found = decode_any(body)
            return (found if isinstance(found, list) else [found]), False

        return decode_whole
    more: t.Any = ("has_more", bool) if checks_more else ("has_more", t.Any, False)
    page = msgspec.defstruct("page", [("rows", list[row]), more], rename={"rows": rows_in})
    decode = msgspec.json.Decoder(page).decode

    def decode_page(body: bytes) -> tuple[list[t.Any], bool]:
        found: t.Any = decode(body)
        return found.rows, found.has_more

    return decode_page
