"""Decodes a page at once, as fast as its rows allow.

A struct is strict: it refuses a page with a field that it does not have, or a value of another
type. What was refused is learned, so that the next page that has it costs no more than others.
"""

from __future__ import annotations

import typing as t
from threading import Lock

import msgspec
from msgspec import UNSET

from tap_toloka.fitting import Row, attribute_of, can_be_named, is_decoded, row_type

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tap_toloka.layout import Decode, Layout

_MOST_UNKNOWN = 200  # fields; each costs a little time with each row

Extra = dict[str, msgspec.Raw]
"""The fields of a row that its schema does not have."""


class Decoded(t.NamedTuple):
    """What a body holds.

    Attributes:
        rows: The rows.
        has_more: What Toloka says of rows after these.
        loose: Fields that are as they came, although their schema is one that is decoded.
        extra: The unknown fields of each row; none if no page had any yet.
    """

    rows: list[Row]
    has_more: bool
    loose: Collection[str]
    extra: list[Extra]

    def with_extra(self) -> Iterable[tuple[Row, Extra]]:
        """Return the rows with their unknown fields; nothing if there are none."""
        return zip(self.rows, self.extra, strict=False)


class _Plan(t.NamedTuple):
    """How a body is decoded.

    Attributes:
        decode: Decodes it.
        unwanted: Attributes that are not printed.
        unknown: Attributes of unknown fields, by name.
        loose: As in `Decoded`.
    """

    decode: Decode
    unwanted: Collection[str]
    unknown: Mapping[str, str]
    loose: frozenset[str]


class PageDecoder:
    """Decodes pages. Threads may share it.

    Args:
        layout: Where the rows of a body are.
        sent: JSON Schema of each field that is read.
        required: Those that every row must have.
        added: Fields that the tap adds.
        own: Those of them that are unknown if Toloka sends them.
        ignored: Fields that Toloka may send and that nobody wants. Others are unknown.
        on_unknown: Called with the names of fields that are unknown.
        fits: Tells whether a value of a field fits.
    """

    def __init__(  # noqa: PLR0913  # all go by name
        self,
        *,
        layout: Layout,
        sent: Mapping[str, t.Any],
        required: Collection[str],
        added: Collection[str],
        own: Collection[str],
        ignored: Collection[str],
        on_unknown: Callable[[Collection[str]], None],
        fits: Callable[[str, msgspec.Raw], bool],
    ) -> None:
        self._layout = layout
        self._sent = sent
        self._required = required
        self._added = frozenset(added)
        self._own = {name: attribute_of(name) for name in own}
        self._ignored = frozenset(ignored) - sent.keys() - self._added
        self._known = {*sent, *self._added, *self._ignored}
        self._on_unknown = on_unknown
        self._fits = fits
        self._scalars = frozenset(name for name, kind in sent.items() if is_decoded(kind))
        self._unknown: frozenset[str] = frozenset()
        self._lock = Lock()
        self._decode_fields = layout.decoder(dict[str, msgspec.Raw], checks_more=False)
        self._plan = self._plan_for(frozenset())

    def decode(self, body: bytes) -> Decoded:
        """Decode a body.

        Raises:
            msgspec.DecodeError: If it is no such page.
        """
        plan = self._plan
        try:
            rows, has_more = plan.decode(body)
        except msgspec.ValidationError:
            self._learn(body)
            if self._plan is plan:  # something else is wrong
                raise
            return self.decode(body)
        return self._with_extra(plan, rows, body, has_more=has_more)

    def decode_loosely(self, body: bytes) -> Decoded:
        """Decode a body without looking at any value."""
        self._learn(body)
        plan = self._plan_for(self._scalars)
        rows, has_more = plan.decode(body)
        return self._with_extra(plan, rows, body, has_more=has_more)

    def _with_extra(self, plan: _Plan, rows: list[Row], body: bytes, *, has_more: bool) -> Decoded:
        extra: list[Extra] = []
        if plan.unknown:
            extra = [_taken_out(row, plan.unknown) for row in rows]
        elif self._unknown:
            extra = [
                {name: value for name, value in sent.items() if name not in self._known}
                for sent in self._decode_fields(body)[0]
            ]
            self._on_unknown({name for one in extra for name in one})
        if any(getattr(row, of) is not UNSET for of in self._own.values() for row in rows):
            extra = extra or [{} for _ in rows]
            for row, others in zip(rows, extra, strict=True):
                others.update(_taken_out(row, self._own))
            self._on_unknown({name for one in extra for name in one} & self._own.keys())
        for attribute in plan.unwanted:
            for row in rows:
                setattr(row, attribute, UNSET)
        return Decoded(rows, has_more, plan.loose, extra)

    def _learn(self, body: bytes) -> None:
        """Find the fields of a page that are unknown, or have a value that does not fit."""
        rows: list[Extra] = self._decode_fields(body)[0]
        unknown = {name for row in rows for name in row} - self._known
        loose = {
            name
            for name in self._scalars
            if any(name in row and not self._fits(name, row[name]) for row in rows)
        }
        with self._lock:
            new = unknown - self._unknown
            if new or not loose <= self._plan.loose:
                self._unknown |= unknown
                self._plan = self._plan_for(self._plan.loose | loose)
        self._on_unknown(new)

    def _plan_for(self, loose: frozenset[str]) -> _Plan:
        unknown = self._unknown
        # Else all unknown fields are skipped, and found by decoding a body twice.
        strict = len(unknown) < _MOST_UNKNOWN and all(map(can_be_named, unknown))
        raw = {*self._ignored, *unknown} if strict else set()
        fields = {name: {} if name in loose else kind for name, kind in self._sent.items()}
        # In the same order in each process: rows are compared from run to run.
        unchecked = sorted(raw | self._added)
        row = row_type(fields, self._required, unchecked, strict=strict)
        return _Plan(
            self._layout.decoder(row),
            [attribute_of(name) for name in self._ignored & raw],
            {name: attribute_of(name) for name in sorted(unknown & raw)},
            loose,
        )


def _taken_out(row: Row, attributes: Mapping[str, str]) -> Extra:
    """Take fields out of a row."""
    taken = {}
    for name, attribute in attributes.items():
        if (value := getattr(row, attribute)) is not UNSET:
            taken[name] = value
            setattr(row, attribute, UNSET)
    return taken
