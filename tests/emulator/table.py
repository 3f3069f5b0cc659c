"""The rows of one list, kept as the very bytes that are answered."""

from __future__ import annotations

import functools
import heapq
import itertools
import threading
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tests.emulator import dates

if TYPE_CHECKING:
    from tests.emulator.query import Query
    from tests.emulator.resources import Resource

NewRow = Mapping[str, object] | bytes
"""A row as it is given: its JSON, or a mapping in which a Decimal keeps its digits."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_EXACT_NUMBERS = msgspec.json.Decoder(float_hook=Decimal)


class Row(NamedTuple):
    """One writing of a row.

    Attributes:
        key: What orders it by id.
        json: What is answered.
        values: What it can be filtered and sorted by, as text; dates as `dates.instant`s; nulls are
            left out.
        version: Grows from one writing to the next.
    """

    key: str
    json: bytes
    values: dict[str, str]
    version: int

    def shuffled(self) -> int:
        """Give its place where no order is asked for: the same each time, and not that of ids."""
        return zlib.crc32(self.key.encode())

    def sort_value(self, field: str) -> tuple[bool, str]:
        """Give its place by a field; a row that lacks it comes after the others."""
        value = self.key if field == "id" else self.values.get(field)
        return value is None, value or ""


class Table:
    """The rows of one list; tests write and the server reads, from different threads.

    A row is there from when it is written, and is listed from when it becomes visible.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        filtered = (*resource.exact, *resource.members.values(), *resource.dates)
        self._names = {*filtered, *resource.sort_by} - {"id"}
        # With a `_` behind, as `global` is a word of Python.
        optional = [(f"{name}_", object, None) for name in self._names]
        fields = msgspec.defstruct("Fields", [("id", str), *optional], rename=_without_underscore)
        self._fields = msgspec.json.Decoder(fields)  # passes over all the rest, which is most
        self._lock = threading.Lock()
        self._versions = itertools.count()
        self._written: dict[str, Row] = {}
        self._listed: dict[str, Row] = {}
        self._keys: list[str] = []  # those of _listed, in order
        self._late: list[tuple[float, int, Row]] = []  # a heap: visible at, version, row

    def add(self, rows: Iterable[NewRow], *, visible_in: float = 0) -> None:
        """Write new rows; lists show them `visible_in` seconds from now."""
        new: dict[str, Row] = {}
        for given in rows:
            row = self._read(given)
            if row.key in new or row.key in self._written:
                msg = f"there is a row with this id already: {row.key}"
                raise ValueError(msg)
            new[row.key] = row
        with self._lock:
            self._write(new, visible_in)

    def change(self, row_id: str, /, *, visible_in: float = 0, **fields: object) -> None:
        """Set fields of a row; lists show it as it was for `visible_in` seconds more."""
        old = _FIELDS.decode(self.get(row_id))
        row = self._read(_ENCODER.encode({**old, **fields}))
        with self._lock:
            self._write({row.key: row}, visible_in)

    def raw_rows(self) -> list[bytes]:
        """Give the JSON of every row written, visible yet or not, in order of id."""
        with self._lock:
            return [self._written[key].json for key in sorted(self._written)]

    def rows(self) -> list[dict[str, Any]]:
        """Give every row written, in order of id; numbers keep their digits, as int or Decimal."""
        return [_EXACT_NUMBERS.decode(row) for row in self.raw_rows()]

    def get(self, row_id: str) -> bytes:
        """Give the JSON of one row, visible in lists yet or not.

        Raises:
            KeyError: There is no such row.
        """
        try:
            key = self.resource.key(row_id)
        except ValueError as error:
            raise KeyError(row_id) from error
        with self._lock:
            return self._written[key].json

    def find(self, query: Query) -> tuple[list[bytes], bool]:
        """Give the JSON of the rows that a query asks for, and whether there are more of them."""
        with self._lock:
            self._list_late_rows()
            by_id = query.sort[:1] in ([("id", False)], [("id", True)])
            found = self._within(query, descending=by_id and query.sort[0][1])
            if not by_id:
                found = iter(_sorted(found, query.sort))
            page = [row.json for row in itertools.islice(found, query.limit + 1)]
        return page[: query.limit], len(page) > query.limit

    def _within(self, query: Query, *, descending: bool) -> Iterator[Row]:
        """Find matching rows in order of id, no further than they are asked for."""
        start, stop = 0, len(self._keys)
        for suffix, key in query.ids:
            if suffix == "gt":
                start = max(start, bisect_right(self._keys, key))
            elif suffix == "gte":
                start = max(start, bisect_left(self._keys, key))
            elif suffix == "lt":
                stop = min(stop, bisect_left(self._keys, key))
            else:
                stop = min(stop, bisect_right(self._keys, key))
        places = range(start, stop)
        for place in reversed(places) if descending else places:
            row = self._listed[self._keys[place]]
            if query.admits(row.values):
                yield row

    def _read(self, given: NewRow) -> Row:
        json = given if isinstance(given, bytes) else _ENCODER.encode(given)
        fields = msgspec.structs.asdict(self._fields.decode(json))
        key = self.resource.key(fields["id"])
        values = {
            name: _as_text(value)
            for name in self._names
            if (value := fields[f"{name}_"]) is not None
        }
        for name in self.resource.dates:
            if name in values:
                values[name] = dates.instant(values[name], dates.IN_ROW)
        return Row(key, json, values, next(self._versions))

    def _write(self, rows: dict[str, Row], visible_in: float) -> None:
        self._written.update(rows)
        if visible_in > 0:
            at = time.monotonic() + visible_in
            for row in rows.values():
                heapq.heappush(self._late, (at, row.version, row))
        else:
            self._list(rows)

    def _list_late_rows(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            row = heapq.heappop(self._late)[2]
            if row.key not in self._listed or self._listed[row.key].version < row.version:
                self._list({row.key: row})

    def _list(self, rows: dict[str, Row]) -> None:
        new = rows.keys() - self._listed.keys()
        if new:
            self._keys = sorted([*self._keys, *new])
        self._listed.update(rows)


def _without_underscore(attribute: str) -> str:
    return attribute.removesuffix("_")


def _as_text(value: Any) -> str:
    """Make a value of a row comparable to a parameter."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    return str(value["id"] if isinstance(value, dict) else value)


def _sorted(rows: Iterable[Row], sort: list[tuple[str, bool]]) -> list[Row]:
    """Sort rows by fields; where these say nothing, the order is not that of ids."""
    ordered = sorted(rows, key=Row.shuffled)
    for field, descending in reversed(sort):
        ordered.sort(key=functools.partial(Row.sort_value, field=field), reverse=descending)
    return ordered
