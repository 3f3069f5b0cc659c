"""The rows of one list, kept as the very bytes that are answered."""

from __future__ import annotations

import functools
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
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_emulator.server import dates
from toloka_emulator.server.resources import as_number

if TYPE_CHECKING:
    from toloka_emulator.server.query import Compare, Query
    from toloka_emulator.server.resources import Resource

NewRow = Mapping[str, object] | bytes
"""A row as it is given: its JSON, or a mapping in which a Decimal keeps its digits."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_Getter = Callable[[Any], "str | None"]
_EXACT_NUMBERS = msgspec.json.Decoder(float_hook=Decimal)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One writing of a row.

    Attributes:
        key: What orders it by id.
        json: What is answered.
        values: What it can be filtered and sorted by, in the order of `Table.names`, as text that
            compares as it should.
        shelf: What it is kept apart by; None: nothing.
        version: Grows from one writing to the next.
    """

    key: str
    json: bytes
    values: tuple[str | None, ...]
    shelf: str | None
    version: int

    def shuffled(self) -> int:
        """Give its place where no order is asked for: the same each time, and not that of ids."""
        return zlib.crc32(self.key.encode())


class _Shelf:
    """Keys, put in order when that is asked for."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._in_order = True

    def add(self, keys: Iterable[str]) -> None:
        self._keys.extend(keys)
        self._in_order = False

    def remove(self, key: str) -> None:
        self._keys.remove(key)

    def keys(self) -> list[str]:
        if not self._in_order:
            self._keys.sort()
            self._in_order = True
        return self._keys


class Table:
    """The rows of one list; tests write and the server reads, from different threads.

    A row is there from when it is written, and is listed from when it becomes visible. By itself it
    goes by its id; in a list where that is only unique within a parent, by `PARENT/ID`.

    Attributes:
        resource: The facts of the list.
        names: What its rows can be filtered and sorted by.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.names = _names(resource)
        self._decoder, self._getters = _reader(resource, self.names)
        self._lock = threading.Lock()
        self._versions = itertools.count()
        self._written: dict[str, Row] = {}
        self._listed: dict[str, Row] = {}
        self._all = _Shelf()  # the keys of _listed
        self._shelves: defaultdict[str, _Shelf] = defaultdict(_Shelf)  # the same, apart
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
        with self._lock:
            self._write(new, visible_in)

    def change(self, row_id: str, /, *, visible_in: float = 0, **fields: object) -> None:
        """Set fields of a row; lists show it as it was for `visible_in` seconds more."""
        old = _FIELDS.decode(self._whole(self._find(row_id)))
        row = self._read(_ENCODER.encode({**old, **fields}))
        with self._lock:
            self._write({row.key: row}, visible_in)

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
            if row.key in self._listed:
                self._all.remove(row.key)
                listed = self._listed.pop(row.key)
                if listed.shelf is not None:
                    self._shelves[listed.shelf].remove(row.key)

    def raw_rows(self) -> list[bytes]:
        """Give the JSON of every row written, visible yet or not, in order of id.

        Fields that are kept from answers are in it, behind the others.
        """
        with self._lock:
            return [self._whole(self._written[key]) for key in sorted(self._written)]

    def rows(self) -> list[dict[str, Any]]:
        """Give every row written, in order of id; numbers keep their digits, as int or Decimal."""
        return [_EXACT_NUMBERS.decode(row) for row in self.raw_rows()]

    def get(self, row_id: str, *, parent: str | None = None) -> bytes:
        """Give the answer that is one row, visible in lists yet or not.

        Raises:
            KeyError: There is no such row, or it is of another parent than this.
        """
        row = self._find(row_id)
        if parent is not None and row.shelf != parent:
            raise KeyError(row_id)
        return row.json

    def find(self, query: Query) -> tuple[list[bytes], bool]:
        """Give the JSON of the rows that a query asks for, and whether there are more of them."""
        with self._lock:
            self._list_late_rows()
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
            self._list_late_rows()
            keys = self._shelves[parent].keys() if parent in self._shelves else []
            return [self._listed[key].json for key in keys]

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
        keys = self._shelf(query)
        before = f"{query.parent}/" if self.resource.within_parent else ""
        start, stop = 0, len(keys)
        for suffix, own in query.ids:
            key = before + own
            if suffix == "gt":
                start = max(start, bisect_right(keys, key))
            elif suffix == "gte":
                start = max(start, bisect_left(keys, key))
            elif suffix == "lt":
                stop = min(stop, bisect_left(keys, key))
            else:
                stop = min(stop, bisect_right(keys, key))
        tests = [(self.names.index(name), compare, value) for name, compare, value in query.filters]
        places = range(start, stop)
        for place in reversed(places) if descending else places:
            row = self._listed[keys[place]]
            if _passes(row.values, tests):
                yield row

    def _shelf(self, query: Query) -> list[str]:
        """Give the keys of the rows that can match, in order."""
        wanted = query.parent
        for name, compare, value in query.filters:
            if name == self.resource.apart_by and compare is operator.eq:
                wanted = value
        if wanted is None:
            return self._all.keys()
        return self._shelves[wanted].keys() if wanted in self._shelves else []

    def _sorted(self, rows: Iterable[Row], sort: list[tuple[str, bool]]) -> list[Row]:
        """Sort rows by fields; where these say nothing, the order is not that of ids."""
        ordered = sorted(rows, key=Row.shuffled)
        for name, descending in reversed(sort):
            ordered.sort(key=functools.partial(self._sort_value, name=name), reverse=descending)
        return ordered

    def _sort_value(self, row: Row, name: str) -> tuple[bool, str]:
        """Give the place of a row by a field; a row that lacks it comes after the others."""
        is_id = name == self.resource.id_field
        value = row.key if is_id else row.values[self.names.index(name)]
        return value is None, value or ""

    def _read(self, given: NewRow) -> Row:
        json = given if isinstance(given, bytes) else _ENCODER.encode(given)
        fields = self._decoder.decode(json)
        values = tuple([getter(fields) for getter in self._getters])
        key, shelf = self.resource.key(str(fields.id_)), None
        if self.resource.parent:
            shelf = sys.intern(fields.parent_)
        elif self.resource.apart_by:
            shelf = values[self.names.index(self.resource.apart_by)]
        if self.resource.within_parent:
            key = f"{shelf}/{key}"
        if self.resource.unanswered:
            answered = _FIELDS.decode(json)
            for name in self.resource.unanswered:
                del answered[name]
            json = _ENCODER.encode(answered)
        return Row(key, json, values, shelf, next(self._versions))

    def _whole(self, row: Row) -> bytes:
        """Give the JSON of a row with what is kept from answers."""
        if not self.resource.unanswered:
            return row.json
        parent, _, own = row.key.rpartition("/")
        kept = {
            name: parent if name == self.resource.parent_field else int(own)
            for name in self.resource.unanswered
        }
        return _ENCODER.encode({**_FIELDS.decode(row.json), **kept})

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
        self._all.add([key for key in rows if key not in self._listed])
        apart: defaultdict[str, list[str]] = defaultdict(list)
        for key, row in rows.items():
            old = self._listed.get(key)
            before = None if old is None else old.shelf
            if before == row.shelf:
                continue
            if before is not None:
                self._shelves[before].remove(key)
            if row.shelf is not None:
                apart[row.shelf].append(key)
        for shelf, keys in apart.items():
            self._shelves[shelf].add(keys)
        self._listed.update(rows)


def _names(resource: Resource) -> list[str]:
    """List what rows can be filtered and sorted by, other than by id."""
    by_value = (*resource.exact, *resource.several, *resource.members, *resource.holding)
    by_range = (*resource.dates, *resource.texts, *resource.numbers)
    return sorted({*by_value, *by_range, *resource.sort_by} - {resource.id_field})


def _reader(
    resource: Resource, names: list[str]
) -> tuple[msgspec.json.Decoder[Any], list[_Getter]]:
    """Make what reads those fields of a row that matter, and what takes each value from them.

    It passes over all the rest, which is most. Its attributes have a `_` behind, as `global` is a
    word of Python.
    """
    fields: list[Any] = [("id_", int if resource.ids == "positions" else str)]
    rename = {"id_": resource.id_field}
    if resource.parent:
        fields.append(("parent_", str))
        rename["parent_"] = resource.parent_field
    leaves: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        root, _, leaf = resource.fields.get(name, name).partition(".")
        leaves[root] += [leaf] if leaf else []
    for root, inner in leaves.items():
        plain = root.removesuffix("[]")
        attributes = [(f"{leaf}_", object, None) for leaf in inner]
        part: Any = msgspec.defstruct("Part", attributes, rename=_without_underscore)
        kind = (part if plain == root else list[part]) | None if inner else object
        fields.append((f"{plain}_", kind, None))
        rename[f"{plain}_"] = plain
    decoder = msgspec.json.Decoder(msgspec.defstruct("Fields", fields, rename=rename))
    return decoder, [_getter(resource, name) for name in names]


def _getter(resource: Resource, name: str) -> _Getter:
    """Make what takes the value for a filter from the fields read."""
    convert = _as_text
    if name in resource.dates:
        convert = _as_instant
    elif name in resource.numbers:
        convert = _as_number
    root, _, leaf = resource.fields.get(name, name).partition(".")
    outer = operator.attrgetter(f"{root.removesuffix('[]')}_")

    def get(fields: Any) -> str | None:
        value = outer(fields)
        if leaf and value is not None:
            inner = operator.attrgetter(f"{leaf}_")
            value = inner(value) if not isinstance(value, list) else [inner(one) for one in value]
        return None if value is None else convert(value)

    return get


def _without_underscore(attribute: str) -> str:
    return attribute.removesuffix("_")


def _as_instant(value: Any) -> str:
    return dates.instant(value, dates.IN_ROW)


def _as_number(value: Any) -> str:
    return as_number(str(value))


def _as_text(value: Any) -> str:
    """Make a value of a row comparable to a parameter; kept once if it is likely to recur."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    text = str(value["id"] if isinstance(value, dict) else value)
    return text if "--" in text else sys.intern(text)  # ids of tasks and suites hardly recur


def _passes(values: tuple[str | None, ...], tests: list[tuple[int, Compare, str]]) -> bool:
    """Tell whether a row with these values passes; a field it lacks never does."""
    for place, compare, wanted in tests:
        value = values[place]
        if value is None or not compare(value, wanted):
            return False
    return True
