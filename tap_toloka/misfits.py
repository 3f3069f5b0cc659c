"""Values that do not fit their schema: converted if nothing is lost by it, else set aside.

This is for the few rows in which there are such values: it looks at one value after the other, by
the schema, where a page that fits is decoded as a whole. Values are JSON as it came, so that what
is set aside, and what becomes text, has all its digits.
"""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal, InvalidOperation
from functools import cached_property
from threading import Lock

import msgspec
from typing_extensions import override

from tap_toloka import dates
from tap_toloka.bodies import DEEP
from tap_toloka.errors import UnusableError
from tap_toloka.fitting import check_numbers, checks_of, kinds_of
from tap_toloka.hiding import safe, shortened
from tap_toloka.layout import fields_of, items_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

MISFITS = "_misfits"
"""The field of the tap that keeps the values of a row that did not fit, by their paths."""

EXTRA = "_extra"
"""The field of the tap that keeps the fields of a row that the schema does not have."""

OWN_FIELDS: Mapping[str, t.Any] = {
    MISFITS: {
        "type": ["object", "null"],
        "description": "Values that did not fit the schema, by path. They are null in their place.",
    },
    EXTRA: {
        "type": ["object", "null"],
        "description": "Fields that Toloka sent and the schema does not have.",
    },
}
"""The JSON Schema of both, which every stream has."""

_MOST_PATHS = 2**20  # characters of all paths within a field, else it is set aside whole
_LONGEST_TEXT = 10 * 2**20  # characters of JSON that is kept as text
_LONGEST_EXAMPLE = 60  # characters
_MOST_WARNINGS = 20
_KEPT = "and kept in `_misfits` if the row and the field are printed"
_NOT_KEPT = "and not kept, as the field or `_misfits` is not selected"
_MOST_NAMED = 20  # misfits in an error

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)  # JSON's
_INDEX = re.compile(r"\[\d+\]")
_PLAIN = re.compile(r"[^.\[\]\"]+")  # names that need no quotes in a path
_STEP = re.compile(
    rf"\[(?P<index>\d+)\]|\[(?P<quoted>\"(?:[^\"\\]|\\.)*\")\]|(?P<plain>{_PLAIN.pattern})"
)
_LONGEST_INTEGER = 19  # digits of 2**63
_BY_FIRST_BYTE = {b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean"}
_IN_WORDS = {
    "string": "text",
    "integer": "an integer of 64 bits",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
}


class Misfit(t.NamedTuple):
    """A value that does not fit.

    Attributes:
        path: Where it was, as `quality_control.configs[0].rules`, see `path_to`.
        value: The value, as JSON.
        expected: What would fit, in words.
    """

    path: str
    value: bytes
    expected: str

    def __str__(self) -> str:
        value = shortened(self.value.decode(), _LONGEST_EXAMPLE)
        return f"`{shortened(self.path)}` is {value}, expected {self.expected}"


class _NoNullError(Exception):
    """A value does not fit, and cannot be null."""


class _TooManyError(Exception):
    """So many values of a field do not fit that their paths are larger than the field."""


class _Found:
    """The misfits of one field."""

    def __init__(self) -> None:
        self.misfits: list[Misfit] = []
        self._size = 0

    def add(self, misfit: Misfit) -> None:
        self._size += len(misfit.path)
        if self._size > _MOST_PATHS:
            raise _TooManyError
        self.misfits.append(misfit)


class Place:
    """A place in a row that holds values of a schema.

    Args:
        schema: The JSON Schema.
    """

    def __init__(self, schema: Mapping[str, t.Any]) -> None:
        self._schema = schema
        self._kinds = frozenset(kinds_of(schema))
        self._nullable = not self._kinds or "null" in self._kinds
        self.check, self.check_closely = checks_of(schema)
        """Checks values. It may refuse one that fits, see `fits_after`."""

    @property
    def expected(self) -> str:
        """What fits, in words."""
        words = [word for kind, word in _IN_WORDS.items() if kind in self._kinds]
        return " or ".join(words) or "a number that databases can hold"

    def fits(self, value: msgspec.Raw) -> bool:
        """Tell whether a value fits."""
        try:
            self.check_closely(value)
        except msgspec.ValidationError:
            return False
        return True

    def fits_after(self, error: Exception, value: msgspec.Raw) -> bool:
        """Tell whether a value fits that `check` refused with an error."""
        if not isinstance(error, msgspec.ValidationError) or not self.fits(value):
            return False
        if "unknown field" in str(error):  # others will have it as well
            self.check = self.check_closely
        return True

    def mended(self, value: bytes, path: str, found: _Found) -> bytes:
        """Return a value with nothing in it that does not fit.

        Raises:
            _NoNullError: If it does not fit, and null would not either.
        """
        if self.fits(msgspec.Raw(value)):
            return value
        kind = kind_of(value)
        if kind in {"object", "array"} and (not self._kinds or kind in self._kinds):
            count = len(found.misfits)
            try:
                return self._mended_within(value, kind, path, found)
            except _NoNullError:  # then it is this place that becomes null
                del found.misfits[count:]
        for converted in self._conversions(value, kind):
            if self.fits(msgspec.Raw(converted)):
                return converted
        if not self._nullable:
            raise _NoNullError
        found.add(Misfit(path, value, self.expected))
        return b"null"

    def _mended_within(self, value: bytes, kind: str, path: str, found: _Found) -> bytes:
        if kind == "array":
            items = enumerate(items_of(value))
            return _joined([self._items.mended(bytes(v), f"{path}[{n}]", found) for n, v in items])
        return _object(
            {
                name: self._properties.get(name, ANY).mended(bytes(v), path_to(name, path), found)
                for name, v in fields_of(value).items()
            }
        )

    @cached_property
    def _properties(self) -> Mapping[str, Place]:
        properties = self._schema.get("properties", {}) if self._kinds else {}
        return {name: Place(schema) for name, schema in properties.items()}

    @cached_property
    def _items(self) -> Place:
        return Place(self._schema.get("items", {}) if self._kinds else {})

    def _conversions(self, value: bytes, kind: str) -> Iterable[bytes]:
        """Yield what a value can be converted to without loss."""
        text = msgspec.json.decode(value, type=str) if kind == "string" else value.decode()
        if kind in {"number", "string"} and _NUMBER.fullmatch(text):
            yield text.encode()
            if (integer := _as_integer(text)) is not None:
                yield integer
        if kind == "string" and text in {"true", "false"}:
            yield text.encode()
        if kind in {"number", "boolean"} and "string" in self._kinds:
            yield msgspec.json.encode(text)


class DatePlace(Place):
    """A place that holds dates."""

    @property
    @override
    def expected(self) -> str:
        return "a date"

    @override
    def fits(self, value: msgspec.Raw) -> bool:
        if not super().fits(value):
            return False
        text = self.check_closely(value)
        try:
            return not isinstance(text, str) or bool(dates.canonical(text))
        except ValueError:
            return False

    @override
    def _conversions(self, value: bytes, kind: str) -> Iterable[bytes]:
        if value == b'""':
            yield b"null"
        elif kind == "string":
            try:
                date = dates.from_other_forms(msgspec.json.decode(value, type=str))
            except ValueError:
                return
            yield msgspec.json.encode(date)


class KeyPlace(Place):
    """A place that holds a part of a key: nothing is converted, as rows are told apart by it."""

    @override
    def _conversions(self, value: bytes, kind: str) -> Iterable[bytes]:
        return ()


ANY = Place({})
"""A place that holds any value."""


def place_of(schema: Mapping[str, t.Any], *, is_key: bool, is_date: bool) -> Place:
    """Return the place of a field."""
    kind = KeyPlace if is_key else DatePlace if is_date else Place
    return kind(schema)


class Mending:
    """What was mended of the rows of one body.

    Args:
        places: The place of each field.
        strict: Fields in which nothing can be set aside.

    Attributes:
        misfits: What was set aside, by the `id` of a row.
        wrong: What could not be.
    """

    def __init__(self, places: Mapping[str, Place], strict: Collection[str]) -> None:
        self._places = places
        self._strict = strict
        self.misfits: dict[int, list[Misfit]] = {}
        self.wrong: dict[int, list[Misfit]] = {}

    def mended(self, row: object, name: str, value: msgspec.Raw) -> msgspec.Raw:
        """Return a value of a field, with nothing in it that does not fit."""
        place, sent, found = self._places.get(name, ANY), bytes(value), _Found()
        path = path_to(name)
        is_wrong = name in self._strict
        try:
            fitting, misfits = place.mended(sent, path, found), found.misfits
        except _NoNullError:
            fitting, misfits, is_wrong = b"null", [Misfit(path, sent, place.expected)], True
        except _TooManyError:
            fitting, misfits = b"null", [Misfit(path, sent, place.expected)]
        except RecursionError:
            fitting, misfits = b"null", [_too_deep(path, sent)]
        if misfits:
            (self.wrong if is_wrong else self.misfits).setdefault(id(row), []).extend(misfits)
        return msgspec.Raw(fitting)

    def put_back(
        self, row: object, name: str, value: msgspec.Raw, deep: Sequence[bytes]
    ) -> msgspec.Raw:
        """Return null, and set aside what was too deep, if that is what a value stands for.

        Args:
            row: The row.
            name: The field.
            value: Its value.
            deep: What was taken out of the body by `bodies.without_deep_values`.
        """
        sent = bytes(value)
        if not sent.startswith(DEEP):
            return value
        misfit = _too_deep(path_to(name), deep[int(sent[len(DEEP) : -1])])
        self.misfits.setdefault(id(row), []).append(misfit)
        return msgspec.Raw(b"null")

    def forget(self, rows: Iterable[object]) -> None:
        """Forget what was set aside of rows that are left out."""
        for row in rows:
            self.misfits.pop(id(row), None)

    def fail(
        self, rows: Sequence[object], name_of: Callable[[int], str], *, all_misfits: bool
    ) -> None:
        """Raise an error that names what did not fit.

        Args:
            rows: The rows.
            name_of: Names the row at a position.
            all_misfits: Whether to name what was set aside as well.

        Raises:
            UnusableError: Always.
        """
        found = [
            (name_of(position), misfit)
            for position, row in enumerate(rows)
            for misfit in (
                *self.wrong.get(id(row), ()),
                *(self.misfits.get(id(row), ()) if all_misfits else ()),
            )
        ]
        if self.wrong:
            msg = (
                f"{in_words(found)}. Keys and replication keys have to fit. Please report this "
                "line to the maintainers of tap-toloka"
            )
        else:
            msg = f"{in_words(found)}. Set `on_misfit` to `keep`, or deselect the fields, to go on"
        raise UnusableError(msg)


def _too_deep(path: str, value: bytes) -> Misfit:
    return Misfit(path, _as_text(value), "less nesting")


def path_to(name: str, within: str = "") -> str:
    """Return the path of a field: in quotes if its name could be taken for several steps."""
    if not _PLAIN.fullmatch(name):
        return f"{within}[{msgspec.json.encode(name).decode()}]"
    return f"{within}.{name}" if within else name


def steps_of(path: str) -> Iterator[str | None]:
    """Yield the names in a path; None for an item of an array."""
    for step in _STEP.finditer(path):
        quoted = step["quoted"]
        yield msgspec.json.decode(quoted, type=str) if quoted else step["plain"]


class MisfitLog:
    """Counts values that were set aside, and warns once of each place. Threads may share it.

    Args:
        warn: Called with a line.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned_of: set[str] = set()
        self._lock = Lock()
        self.count = 0

    def note(
        self, name_of_row: Callable[[], str], misfits: Iterable[Misfit], *, kept: bool
    ) -> None:
        """Note the misfits of a row, which are kept in `_misfits`, or nowhere."""
        for misfit in misfits:
            place = _INDEX.sub("[]", misfit.path)
            with self._lock:
                self.count += 1
                if place in self._warned_of or len(self._warned_of) > _MOST_WARNINGS:
                    continue
                self._warned_of.add(place)
                is_last = len(self._warned_of) > _MOST_WARNINGS
            if is_last:
                self._warn("further fields with values that do not fit are counted, not logged")
            else:
                place = shortened(_INDEX.sub("[]", safe(misfit.path)))
                self._warn(
                    f"{name_of_row()}: {misfit}: set to null, {_KEPT if kept else _NOT_KEPT}. "
                    f"Further ones at `{place}` are not logged. Please report this line to the "
                    "maintainers of tap-toloka"
                )


def as_field(misfits: Iterable[Misfit]) -> msgspec.Raw:
    """Return misfits as the value of `_misfits`."""
    kept = {misfit.path: _kept(misfit.value) for misfit in misfits}
    return msgspec.Raw(_object(dict(sorted(kept.items()))))


def _kept(value: bytes) -> bytes:
    try:
        return storable(value)
    except RecursionError:
        return _as_text(value)


def in_words(misfits: Sequence[tuple[str, Misfit]]) -> str:
    """Name misfits, each with the name of its row, for an error."""
    shown = "; ".join(f"{row}: {misfit}" for row, misfit in misfits[:_MOST_NAMED])
    more = len(misfits) - _MOST_NAMED
    return f"{shown}{f'; and {more:,} more' if more > 0 else ''}"


def storable(value: bytes) -> bytes:
    """Return a value in which numbers that PostgreSQL cannot hold are text."""
    try:
        check_numbers(msgspec.Raw(value))
    except msgspec.ValidationError:
        pass
    else:
        return value
    kind = kind_of(value)
    if kind == "array":
        return _joined([storable(bytes(item)) for item in items_of(value)])
    if kind == "object":
        return _object({name: storable(bytes(v)) for name, v in fields_of(value).items()})
    return _as_text(value)


def kind_of(value: bytes) -> str:
    """Return the type of JSON, as JSON Schema names it; `number` for integers, too."""
    if value == b"null":
        return "null"
    return _BY_FIRST_BYTE.get(value[:1], "number")


def _as_integer(text: str) -> bytes | None:
    """Return a number as an integer if it is one, and not too large."""
    try:
        number = Decimal(text)
    except InvalidOperation:  # the exponent has too many digits even for this
        return None
    if number.adjusted() >= _LONGEST_INTEGER or number != number.to_integral_value():
        return None
    return str(int(number)).encode()


def _as_text(value: bytes) -> bytes:
    """Return JSON as a text that holds it, cut short if it is absurdly long."""
    text = value.decode()
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]} …"
    return msgspec.json.encode(text)


def _object(fields: Mapping[str, bytes]) -> bytes:
    return msgspec.json.encode({name: msgspec.Raw(value) for name, value in fields.items()})


def _joined(items: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)
