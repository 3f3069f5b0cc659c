"""Pages of a list: what an answer holds, and the cursor that follows the ids."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter, ge
from threading import Lock

import msgspec
from msgspec import UNSET

from tap_toloka import dates
from tap_toloka.bodies import (
    REPLACED,
    check_utf_8,
    contains_nul,
    pieces_with,
    repaired,
    without_values,
)
from tap_toloka.errors import UnusableError
from tap_toloka.fitting import Row, attribute_of, can_be_named, checks, describe, row_type

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import requests

    from tap_toloka.splitting import Order

_MOST_IGNORED = 200  # fields; each costs a little time with each row
_DEEP = 500  # levels, about half of what can be decoded with the least stack
_MOST_UNKNOWN = 20  # fields of one page that are named
_MOST_WARNINGS = 10  # of single rows
_LARGE = 50 * 2**20  # bytes of a row: without a setting, Meltano does not pass on more
_LONGEST_NAME = 100  # characters of an id or a field in a message
_LEVELS_LEFT = 0 if sys.version_info >= (3, 12) else 100
"""Levels of nesting that are left for others: before Python 3.12 each call takes one, and targets
decode rows deeper in their stack than this does."""

_Result = t.TypeVar("_Result")
as_json = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes with all digits of numbers."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NO_FIELDS: Mapping[str, str] = {}

LeaveOut = t.Callable[[Row], bool]
"""Tells whether a row of an answer is left out."""


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
    looked at again, to check it. A field that is unknown is left out. Characters that targets
    cannot store are replaced, see `bodies.repaired`. A value that does not fit its schema is an
    error.

    Args:
        fields: Which fields are read.
        on_unknown: Called once with the name of each field that is not in `fields`.
        rows_in: The field of an answer that holds the rows, beside `has_more`; `None`: the answer
            is an array of rows, or one row, and no other page follows.
        id_field: The field that the list is sorted by; `None` if it is not read by ids.
        compute: Computes added fields of the rows of a page; `ValueError` if it cannot.
        warn: Called with a line about each row in which characters were replaced, or that is very
            large. After ten lines there is a last one.
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
    ) -> None:
        self._on_unknown = on_unknown
        self._warn = warn
        self._rows_in = rows_in
        self._id_of = attrgetter(attribute_of(id_field)) if id_field else None
        self._compute = compute
        self._sent = {n: p for n, p in fields.printed.items() if n not in fields.added}
        self._sent |= fields.hidden
        self._required = [name for name in fields.required if name in self._sent]
        self._checks = [(name, attribute_of(name), c) for name, c in checks(self._sent).items()]
        self._dates = [name for name in fields.dates if name in self._sent]
        self._added = frozenset(fields.added)
        self._hidden = [attribute_of(name) for name in fields.hidden]
        self._ignored = set(fields.ignored) - self._sent.keys() - self._added
        self._names = [id_field] if id_field else self._required
        self._warnings: set[str] = set()
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
            ValueError: If it is not JSON, or no such page.
            UnusableError: If it is, and a row does not fit the schema or is nested too deeply.
        """
        # A line break between two values would end the line that they are printed in.
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
        if contains_nul(body):
            body = self._repaired(body, fields)
        try:
            page = self._read(body, fields, leave_out)
        except (ValueError, RecursionError) as error:
            in_order = self._repaired(body, fields)
            if in_order == body:
                raise self._explained(error, body, fields) from None
            return self.read(in_order, fields, leave_out)
        if len(body) > _LARGE:
            self._warn_of_large_rows(body, fields)
        return page

    def _read(
        self, body: bytes, fields: Mapping[str, str], leave_out: LeaveOut | None = None
    ) -> Page:
        check_utf_8(body)
        rows, has_more, unwanted = _with_levels_left(self._decode_and_check, body)
        ids = list(map(self._id_of, rows)) if self._id_of else []
        self._fill_in(rows, fields)
        if leave_out:
            rows = [row for row in rows if not leave_out(row)]
        for name in (*unwanted, *self._hidden):
            for row in rows:
                setattr(row, name, UNSET)
        return Page(rows, ids, has_more)

    def _fill_in(self, rows: list[Row], fields: Mapping[str, str]) -> None:
        """Bring dates into the canonical form, and add the fields that Toloka does not send."""
        for name in self._dates:
            self._unify_dates(rows, name)
        for name in self._added & fields.keys():
            for row in rows:
                setattr(row, attribute_of(name), fields[name])
        if self._compute:
            self._compute(rows)

    @staticmethod
    def _unify_dates(rows: list[Row], name: str) -> None:
        attribute = attribute_of(name)
        for row in rows:
            if isinstance(text := getattr(row, attribute), str):
                try:
                    setattr(row, attribute, dates.canonical(text))
                except ValueError as error:
                    msg = f"{error} at `{name}`"
                    raise ValueError(msg) from None

    def _make_decoder(self) -> None:
        # Whether a field that is still unknown is noticed.
        strict = len(self._ignored) < _MOST_IGNORED and all(map(can_be_named, self._ignored))
        ignored = self._ignored if strict else set()
        row = row_type(self._sent, self._required, {*ignored, *self._added}, strict=strict)
        decode = _page_decoder(row, self._rows_in)
        self._decoder = (decode, [attribute_of(name) for name in ignored])

    def _decode_and_check(self, body: bytes) -> tuple[list[Row], bool, list[str]]:
        """Return rows, `has_more`, and the attributes that nobody wants."""
        found = self._decode_page(body)
        for name, attribute, check in self._checks:
            for row in found[0]:
                if (value := getattr(row, attribute)) is not UNSET:
                    try:
                        check(value)
                    except ValueError as error:
                        raise ValueError(describe(error, of=name)) from None
        return found

    def _decode_page(self, body: bytes) -> tuple[list[Row], bool, list[str]]:
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
        for name in sorted(unknown)[:_MOST_UNKNOWN]:
            self._on_unknown(name[:_LONGEST_NAME])
        if len(unknown) > _MOST_UNKNOWN:
            self._warn(f"{len(unknown) - _MOST_UNKNOWN} more unknown fields are ignored")

    def _repaired(self, body: bytes, fields: Mapping[str, str]) -> bytes:
        """Replace what targets cannot store, and warn of the rows in which it was."""
        result, replaced = repaired(body)
        if replaced:
            with contextlib.suppress(msgspec.DecodeError, RecursionError):  # met again by `_read`
                for row, kinds in pieces_with(replaced, result, self._raw_rows(result)):
                    self._warn_of_replaced(row, kinds, fields)
        return result

    def _warn_of_replaced(
        self, row: bytes, kinds: Iterable[str], fields: Mapping[str, str]
    ) -> None:
        values = {name: bytes(value) for name, value in _fields_of(row).items()}
        names = [n for n in self._sent if any(one in values.get(n, b"") for one in REPLACED)]
        if names:  # else it was in what is not printed
            where = ", ".join(f"`{name}`" for name in names)
            kind = ", ".join(sorted(kinds))
            self._warn_once(f"{self._name_of(row, fields)}: {kind} replaced by U+FFFD in {where}")

    def _warn_of_large_rows(self, body: bytes, fields: Mapping[str, str]) -> None:
        for row in self._raw_rows(body):
            if len(row) > _LARGE:
                self._warn_once(
                    f"{self._name_of(row, fields)} is {len(row) >> 20} MiB. Meltano does not pass "
                    "on lines above half of `elt.buffer_size` (50 MiB by default): raise "
                    "MELTANO_ELT_BUFFER_SIZE"
                )

    def _warn_once(self, text: str) -> None:
        with self._lock:
            if text in self._warnings or len(self._warnings) > _MOST_WARNINGS:
                return
            self._warnings.add(text)
            if len(self._warnings) > _MOST_WARNINGS:
                text = "Further rows with replaced characters, or very large ones, are not logged"
        self._warn(text)

    def _explained(self, error: Exception, body: bytes, fields: Mapping[str, str]) -> Exception:
        """Return the error of a row, which every answer would have, else the error itself."""
        if not isinstance(error, RecursionError):
            return self._misfit(body, fields) or error
        level = 2 if self._rows_in else int(body.lstrip().startswith(b"["))
        with contextlib.suppress(ValueError):  # no rows, or cut off
            depth, row = max(without_values(body, level))
            if depth > _DEEP:
                return UnusableError(
                    f"{self._name_of(row, fields)} is nested too deeply. Restrict `filters` (IDs, "
                    "dates or pools) so that it is not read"
                )
        return ValueError("it is nested too deeply")

    def _misfit(self, body: bytes, fields: Mapping[str, str]) -> UnusableError | None:
        """Return the error of the first row that does not fit; `None` if it is the page's."""
        try:
            rows = self._raw_rows(body)
        except msgspec.DecodeError:
            return None
        for row in rows:
            try:
                self._read(self._page_of(row), fields)
            except ValueError as error:
                if not _fields_of(row).keys() >= set(self._required):
                    return None  # what has no key is no row of Toloka's
                text = str(error)
                if isinstance(error, msgspec.ValidationError):
                    text = describe(error, within=f".{self._rows_in}[0]")
                if text.endswith("`") and not any(f"at `{key}`" in text for key in self._required):
                    text += ". Deselect the field to go on without it"
                return UnusableError(
                    f"{self._name_of(row, fields)} does not fit the schema: {text}"
                )
        return None

    def _raw_rows(self, body: bytes) -> list[bytes]:
        decode = _page_decoder(msgspec.Raw, self._rows_in, checks_more=False)
        return list(map(bytes, decode(body)[0]))

    def _page_of(self, row: bytes) -> bytes:
        if self._rows_in is None:
            return row
        return b'{"%b": [%b], "has_more": false}' % (self._rows_in.encode(), row)

    def _name_of(self, row: bytes, fields: Mapping[str, str]) -> str:
        """Name a row by its ids and its owner, as `row 0001--2 (pool_id 77)`."""
        values = {**_fields_of(row), **{n: msgspec.json.encode(v) for n, v in fields.items()}}
        ids = " ".join(_shown(values[name]) for name in self._names if name in values)
        owners = [name for name in dict.fromkeys(["pool_id", *fields]) if name in values]
        owner = ", ".join(f"{name} {_shown(values[name])}" for name in owners)
        return f"row {ids or 'without an id'}{owner and f' ({owner})'}"


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


def _with_levels_left(
    read: Callable[[bytes], _Result], body: bytes, levels: int = _LEVELS_LEFT
) -> _Result:
    """Read a body so deep in the stack that so many levels of nesting are left for others."""
    return _with_levels_left(read, body, levels - 1) if levels else read(body)


def _fields_of(row: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of a row as they came; none if it is no object."""
    try:
        return _decode_fields(row)
    except msgspec.ValidationError:
        return {}


def _shown(value: msgspec.Raw | bytes) -> str:
    """Return a value for a message: text as it is if it is short and printable, else its JSON."""
    text = bytes(value).decode()
    if text.startswith('"'):
        text = msgspec.json.decode(value, type=str)
    if len(text) > _LONGEST_NAME or not text.isprintable():
        text = ascii(text[:_LONGEST_NAME])
    return text


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
