"""From the body of an answer to rows that fit the schema."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import dataclass
from functools import cached_property

import msgspec
from msgspec import UNSET

from tap_toloka import dates
from tap_toloka.bodies import without_deep_values
from tap_toloka.decoding import PageDecoder
from tap_toloka.fitting import Row, attribute_of, has_long_number, is_decoded
from tap_toloka.misfits import EXTRA, OWN_FIELDS, Mending, place_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tap_toloka.decoding import Decoded
    from tap_toloka.layout import Layout

_DEEP = 500  # levels, about half of what can be decoded with the least stack
_LEVELS_LEFT = 0 if sys.version_info >= (3, 12) else 100
"""Levels of nesting that are left for others: before Python 3.12 each call takes one, and targets
decode rows deeper in their stack than this does."""

_Source = t.TypeVar("_Source")
_Result = t.TypeVar("_Result")
_EXTRA = attribute_of(EXTRA)


@dataclass(frozen=True, kw_only=True)
class RowFields:
    """Which fields of a row are read, and what becomes of them.

    Attributes:
        printed: JSON Schema of each field that is printed.
        required: Those that every row must have.
        strict: Those of the others in which a value that does not fit is an error.
        added: Those of `printed` that the tap adds: Toloka does not send them.
        hidden: JSON Schema of fields that are read but not printed: others are computed from them.
        ignored: Fields that Toloka may send and that nobody wants. Others are unknown.
        dates: Fields that hold a date.
    """

    printed: Mapping[str, t.Any]
    required: Collection[str] = ()
    strict: Collection[str] = ()
    added: Collection[str] = ()
    hidden: Mapping[str, t.Any]
    ignored: Collection[str] = ()
    dates: Collection[str] = ()

    @cached_property
    def sent(self) -> dict[str, t.Any]:
        """JSON Schema of each field that is read."""
        sent = {n: kind for n, kind in self.printed.items() if n not in self.added}
        return {**sent, **self.hidden}


class RowReader:
    """Reads rows. Threads may share it.

    A value that does not fit is mended, see `misfits`; an unknown field goes into `_extra`, if that
    is printed.

    Args:
        fields: Which fields are read.
        layout: Where the rows of a body are.
        on_unknown: Called with the names of fields that are not in `fields`.
    """

    def __init__(
        self, fields: RowFields, layout: Layout, on_unknown: Callable[[Collection[str]], None]
    ) -> None:
        required = [name for name in fields.required if name in fields.sent]
        self._layout = layout
        self._dates = [name for name in fields.dates if name in fields.sent]
        self._strict = {*required, *fields.strict}
        self._keeps_extra = EXTRA in fields.printed
        self._places = {
            name: place_of(kind, is_key=name in required, is_date=name in self._dates)
            for name, kind in fields.sent.items()
        }
        self._checked = [name for name, kind in fields.sent.items() if not is_decoded(kind)]
        self._decoder = PageDecoder(
            layout=layout,
            sent=fields.sent,
            required=required,
            added=fields.added,
            own=OWN_FIELDS.keys() & fields.added,
            ignored=fields.ignored,
            on_unknown=on_unknown,
            fits=lambda name, value: self._places[name].fits(value),
        )

    def read(self, body: bytes) -> tuple[list[Row], bool, Mending]:
        """Return the rows of a body, `has_more`, and what was mended.

        Raises:
            ValueError: If the body is no page of rows.
            RecursionError: If it is nested too deeply.
        """
        return _with_levels_left(self._read, body)

    def _read(self, body: bytes) -> tuple[list[Row], bool, Mending]:
        closely = has_long_number(body)
        return self._fitted(
            self._decoder.decode(body), Mending(self._places, self._strict), closely=closely
        )

    def without_deep_values(self, body: bytes) -> tuple[bytes, list[bytes]]:
        """Take what is nested too deeply out of a body, as `bodies.without_deep_values` does.

        Raises:
            ValueError: If nothing in its rows is.
        """
        body, deep = without_deep_values(body, self._layout.level(body), _DEEP)
        if not deep:
            msg = "it is nested too deeply"
            raise ValueError(msg)
        return body, deep

    def read_deep(self, body: bytes, deep: Sequence[bytes]) -> tuple[list[Row], bool, Mending]:
        """Read a body without what was nested too deeply, and set that aside.

        Raises:
            ValueError: If the body is no page of rows.
        """
        decoded = self._decoder.decode_loosely(body)
        mending = Mending(self._places, self._strict)
        for row, extra in decoded.with_extra():
            for name, value in extra.items():
                extra[name] = mending.put_back(row, name, value, deep)
        for row in decoded.rows:
            for name in self._places:
                if (value := getattr(row, attribute_of(name))) is not UNSET:
                    setattr(row, attribute_of(name), mending.put_back(row, name, value, deep))
        return _with_levels_left(lambda of: self._fitted(of, mending, closely=True), decoded)

    def _fitted(
        self, decoded: Decoded, mending: Mending, *, closely: bool
    ) -> tuple[list[Row], bool, Mending]:
        rows = decoded.rows
        for name in self._checked:
            self._check(rows, name, mending, closely=closely)
        for name in sorted(decoded.loose):
            attribute = attribute_of(name)
            for row in rows:
                if (value := getattr(row, attribute)) is not UNSET:
                    fitting = mending.mended(row, name, value)
                    setattr(row, attribute, msgspec.json.decode(fitting))
        self._unify_dates(rows, mending)
        for row, extra in decoded.with_extra():
            if extra and self._keeps_extra:
                # In an order of their own: theirs is that of a set, and differs from run to run.
                kept = {name: mending.mended(row, name, extra[name]) for name in sorted(extra)}
                setattr(row, _EXTRA, msgspec.Raw(msgspec.json.encode(kept)))
        return rows, decoded.has_more, mending

    def _check(self, rows: list[Row], name: str, mending: Mending, *, closely: bool) -> None:
        """Check a field that was left as it came."""
        place, attribute = self._places[name], attribute_of(name)
        check = place.check_closely if closely else place.check
        for row in rows:
            if (value := getattr(row, attribute)) is not UNSET:
                try:
                    check(value)
                except (msgspec.ValidationError, RecursionError) as error:
                    if place.fits_after(error, value):
                        check = place.check
                    else:
                        setattr(row, attribute, mending.mended(row, name, value))

    def _unify_dates(self, rows: list[Row], mending: Mending) -> None:
        """Bring dates into the canonical form."""
        for name in self._dates:
            attribute = attribute_of(name)
            for row in rows:
                if isinstance(text := getattr(row, attribute), str):
                    try:
                        date = dates.canonical(text)
                    except ValueError:
                        sent = msgspec.Raw(msgspec.json.encode(text))
                        date = msgspec.json.decode(mending.mended(row, name, sent))
                    setattr(row, attribute, date)


def _with_levels_left(
    read: Callable[[_Source], _Result], body: _Source, levels: int = _LEVELS_LEFT
) -> _Result:
    """Read a body so deep in the stack that so many levels of nesting are left for others."""
    return _with_levels_left(read, body, levels - 1) if levels else read(body)
