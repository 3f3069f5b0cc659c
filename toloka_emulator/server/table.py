"""The rows of one list, kept as the very bytes that are answered."""

from __future__ import annotations

import heapq
import itertools
import operator
import sys
import threading
import time
import zlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_emulator.server.dates import IN_ROW, instant
from toloka_emulator.server.resources import as_number

if TYPE_CHECKING:
    from toloka_emulator.server.query import Compare, Query
    from toloka_emulator.server.resources import Resource

NewRow = Mapping[str, object] | bytes
"""A row as it is given: its JSON, or a mapping in which a Decimal keeps its digits."""

_NOTHING: Mapping[str, msgspec.Raw] = {}

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_exactly = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Row(msgspec.Struct, frozen=True, gc=False):
    """One writing of a row."""

    key: str  # orders it by id
    json: bytes  # what is answered
    kept: Mapping[str, msgspec.Raw]  # what is kept from answers
    values: tuple[str | None, ...]  # of `Table.names`, as text that compares as it should
    group: str | None  # the value of what the list is grouped by
    version: int  # grows from one writing to the next


class Table:
    """The rows of one list; tests write and the server reads, from different threads.

    A row is there from when it is written, and is listed from when it becomes visible. By itself it
    goes by its id; in a list where that is only unique within a parent, by `PARENT/ID`.

    Attributes:
        resource: The facts of the list.
        names: What its rows can be filtered and sorted by, other than by id.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.names = sorted({*resource.filters, *resource.sorts} - {resource.id_field})
        self._fields = [
            (resource.field_of(name), _CONVERTERS.get(resource.kind_of(name), _text))
            for name in self.names
        ]
        self._lock = threading.Lock()
        self._versions = itertools.count()
        self._written: dict[str, Row] = {}
        self._listed: dict[str, Row] = {}
        self._keys: defaultdict[str | None, list[str]] = defaultdict(list)  # of _listed, by group
        self._unsorted: set[str | None] = set()  # groups; None is that of all rows
        self._late: list[tuple[float, int, Row]] = []  # a heap: visible at, version, row

    def __len__(self) -> int:
        """Tell how many rows are written."""
        return len(self._written)

    def add(self, rows: Iterable[NewRow], *, visible_in: float = 0) -> None:
        """Write new rows; lists show them `visible_in` seconds from now."""
        new: dict[str, Row] = {}
        for given in rows:
            row = self._read(given)
            if row.key in new or row.key in self._written:
                msg = f"there is a row with this id already: {row.key}"
                raise ValueError(msg)
            new[row.key] = row
        if self.resource.answers == "one" and len(new) + len(self) > 1:
            msg = "there can be only one"
            raise ValueError(msg)
        self._write(new.values(), visible_in)

    def change(self, row_id: str, /, *, visible_in: float = 0, **fields: object) -> None:
        """Set fields of a row; lists show it as it was for `visible_in` seconds more."""
        old = _decode_fields(_whole(self._find(row_id)))
        self._write([self._read(_encode({**old, **fields}))], visible_in)

    def remove(self, row_id: str) -> None:
        """Take a row away, from lists at once.

        Raises:
            KeyError: There is no such row.
        """
        row = self._find(row_id)
        with self._lock:
            self._late = [entry for entry in self._late if entry[2].key != row.key]
            heapq.heapify(self._late)
            del self._written[row.key]
            if listed := self._listed.pop(row.key, None):
                for group in {None, listed.group}:
                    self._keys[group].remove(row.key)

    def raw_rows(self) -> list[bytes]:
        """Give the JSON of every row written, visible yet or not, in order of id.

        Fields that are kept from answers are in it, behind the others.
        """
        with self._lock:
            return [_whole(self._written[key]) for key in sorted(self._written)]

    def rows(self) -> list[dict[str, Any]]:
        """Give every row written, in order of id; numbers keep their digits, as int or Decimal."""
        return [_decode_exactly(row) for row in self.raw_rows()]

    def row(self, row_id: str) -> dict[str, Any]:
        """Give one row as `rows` does.

        Raises:
            KeyError: There is no such row.
        """
        return _decode_exactly(_whole(self._find(row_id)))

    def get(self, row_id: str, *, parent: str | None = None) -> bytes:
        """Give the answer that is one row, visible in lists yet or not.

        Raises:
            KeyError: There is no such row, or it is of another parent than this.
        """
        row = self._find(row_id)
        if parent is not None and row.group != parent:
            raise KeyError(row_id)
        return row.json

    def find(self, query: Query) -> tuple[list[bytes], bool]:
        """Give the JSON of the rows that a query asks for, and whether there are more of them."""
        with self._lock:
            by = self.resource.id_field
            by_id = query.sort[:1] in ([(by, False)], [(by, True)])
            found = self._within(query, descending=by_id and query.sort[0][1])
            if not by_id:
                found = iter(self._sorted(found, query.sort))
            page = [row.json for row in itertools.islice(found, query.limit + 1)]
        return page[: query.limit], len(page) > query.limit

    def of_parent(self, parent: str) -> list[bytes]:
        """Give the JSON of all rows of a parent, in order of id."""
        with self._lock:
            return [self._listed[key].json for key in self._sorted_keys(parent)]

    def _find(self, row_id: str) -> Row:
        before, slash, own = row_id.rpartition("/")
        try:
            key = before + slash + self.resource.key(own)
        except ValueError as error:
            raise KeyError(row_id) from error
        with self._lock:
            return self._written[key]

    def _within(self, query: Query, *, descending: bool) -> Iterator[Row]:
        """Find matching rows in order of id, no further than they are asked for."""
        keys = self._sorted_keys(self._group_of(query))
        before = f"{query.parent}/" if self.resource.ids_by_parent else ""
        start, stop = 0, len(keys)
        for suffix, own in query.ids:
            bisect = bisect_left if suffix in {"gte", "lt"} else bisect_right
            place = bisect(keys, before + own)
            if suffix.startswith("g"):
                start = max(start, place)
            else:
                stop = min(stop, place)
        tests = [(self.names.index(name), compare, value) for name, compare, value in query.filters]
        places = range(start, stop)
        for place in reversed(places) if descending else places:
            row = self._listed[keys[place]]
            if _passes(row.values, tests):
                yield row

    def _group_of(self, query: Query) -> str | None:
        """Name the group that all rows asked for are in; None: that of all rows."""
        for name, compare, value in query.filters:
            if name == self.resource.group_by and compare is operator.eq:
                return value
        return query.parent

    def _sorted_keys(self, group: str | None) -> list[str]:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            row = heapq.heappop(self._late)[2]
            if row.key not in self._listed or self._listed[row.key].version < row.version:
                self._list(row)
        if group in self._unsorted:
            self._keys[group].sort()
            self._unsorted.remove(group)
        return self._keys.get(group, [])

    def _sorted(self, rows: Iterable[Row], sort: list[tuple[str, bool]]) -> list[Row]:
        """Sort rows by fields; where these say nothing, the order is not that of ids."""
        ordered = sorted(rows, key=lambda row: zlib.crc32(row.key.encode()))
        for name, descending in reversed(sort):
            ordered.sort(key=partial(self._sort_value, name=name), reverse=descending)
        return ordered

    def _sort_value(self, row: Row, name: str) -> tuple[bool, str]:
        """Give the place of a row by a field; a row that lacks it comes after the others."""
        is_id = name == self.resource.id_field
        value = row.key if is_id else row.values[self.names.index(name)]
        return value is None, value or ""

    def _read(self, given: NewRow) -> Row:
        resource = self.resource
        json = given if isinstance(given, bytes) else _encode(given)
        fields = _decode(json)
        kind = int if resource.ids == "positions" else str
        row_id = str(msgspec.convert(fields.get(resource.id_field), kind))
        values = tuple(
            [
                None if (value := _value(fields, field)) is None else convert(value)
                for field, convert in self._fields
            ]
        )
        key, group = resource.key(row_id), None
        if resource.parent:
            group = sys.intern(fields[resource.parent_field])
        elif resource.group_by:
            group = values[self.names.index(resource.group_by)]
        if resource.ids_by_parent:
            key = f"{group}/{key}"
        kept: Mapping[str, msgspec.Raw] = _NOTHING
        if resource.unanswered:
            answered = _decode_fields(json)
            kept = {name: answered.pop(name) for name in resource.unanswered if name in answered}
            json = _encode(answered)
        return Row(key, json, kept, values, group, next(self._versions))

    def _write(self, rows: Iterable[Row], visible_in: float) -> None:
        at = time.monotonic() + visible_in
        with self._lock:
            for row in rows:
                self._written[row.key] = row
                if visible_in > 0:
                    heapq.heappush(self._late, (at, row.version, row))
                else:
                    self._list(row)

    def _list(self, row: Row) -> None:
        old = self._listed.get(row.key)
        before = {None, old.group} if old else set()
        for group in before - {None, row.group}:
            self._keys[group].remove(row.key)
        for group in {None, row.group} - before:
            self._keys[group].append(row.key)
            self._unsorted.add(group)
        self._listed[row.key] = row


def _whole(row: Row) -> bytes:
    """Give the JSON of a row with what is kept from answers."""
    return _encode({**_decode_fields(row.json), **row.kept}) if row.kept else row.json


def _value(row: dict[str, Any], path: str) -> Any:
    """Find what is at a path as `created`, `details.pool_id` or `tasks[].id`."""
    root, _, leaf = path.partition(".")
    value = row.get(root.removesuffix("[]"))
    if not leaf or value is None:
        return value
    return [one[leaf] for one in value] if root.endswith("[]") else value.get(leaf)


def _text(value: Any) -> str:
    """Make a value of a row comparable to a parameter; kept once if it is likely to recur."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    text = str(value["id"] if isinstance(value, dict) else value)
    return text if "--" in text else sys.intern(text)  # ids of tasks and suites hardly recur


_CONVERTERS: dict[str, Callable[[Any], str]] = {
    "date": lambda value: instant(value, IN_ROW),
    "number": lambda value: as_number(str(value)),
}
"""Make values of a row comparable to parameters, by the kind of filter."""


def _passes(values: tuple[str | None, ...], tests: list[tuple[int, Compare, str]]) -> bool:
    """Tell whether a row with these values passes; a field it lacks never does."""
    for place, compare, wanted in tests:
        value = values[place]
        if value is None or not compare(value, wanted):
            return False
    return True
