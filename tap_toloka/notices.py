"""What a log says of single rows."""

from __future__ import annotations

import contextlib
import typing as t
from threading import Lock

import msgspec

from tap_toloka.bodies import REPLACED, pieces_with
from tap_toloka.hiding import shortened
from tap_toloka.layout import fields_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_toloka.bodies import Replaced
    from tap_toloka.layout import Layout

_MOST_WARNINGS = 10
_LARGE = 50 * 2**20  # bytes of a row: without a setting, Meltano does not pass on more


class RowNotices:
    """Warns of single rows, and names them. Threads may share it.

    Args:
        names: The fields that a row is named by.
        sent: The fields that are read.
        layout: Where the rows of a body are.
        warn: Called with a line about each row in which characters were replaced, or that is very
            large. After ten lines there is a last one.
    """

    def __init__(
        self,
        names: Iterable[str],
        sent: Iterable[str],
        *,
        layout: Layout,
        warn: Callable[[str], None],
    ) -> None:
        self._names = list(names)
        self._sent = list(sent)
        self._layout = layout
        self._warn = warn
        self._warnings: set[str] = set()
        self._lock = Lock()

    def replaced(
        self, replaced: Sequence[Replaced], body: bytes, fields: Mapping[str, str]
    ) -> None:
        """Warn of the rows of a repaired body in which something was replaced."""
        with contextlib.suppress(msgspec.DecodeError, RecursionError):  # met again by the reader
            for row, kinds in pieces_with(replaced, body, self._layout.rows(body)):
                self._warn_of_replaced(row, kinds, fields)

    def _warn_of_replaced(
        self, row: bytes, kinds: Iterable[str], fields: Mapping[str, str]
    ) -> None:
        values = {name: bytes(value) for name, value in _fields_of(row).items()}
        names = [n for n in self._sent if any(one in values.get(n, b"") for one in REPLACED)]
        if names:  # else it was in what is not printed
            where = ", ".join(f"`{name}`" for name in names)
            kind = ", ".join(sorted(kinds))
            self._warn_once(f"{self.name_of(row, fields)}: {kind} replaced by U+FFFD in {where}")

    def large(self, body: bytes, fields: Mapping[str, str]) -> None:
        """Warn of the rows of a body that Meltano does not pass on."""
        if len(body) <= _LARGE:
            return
        for row in self._layout.rows(body):
            if len(row) > _LARGE:
                self._warn_once(
                    f"{self.name_of(row, fields)} is {len(row) >> 20} MiB. Meltano does not pass "
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

    def name_of(self, row: bytes, fields: Mapping[str, str]) -> str:
        """Name a row by its ids and its owner, as `row 0001--2 (pool_id 77)`.

        Args:
            row: The row, as JSON.
            fields: Fields that the tap adds to it.
        """
        values = {**_fields_of(row), **{n: msgspec.json.encode(v) for n, v in fields.items()}}
        ids = " ".join(_shown(values[name]) for name in self._names if name in values)
        owners = [name for name in dict.fromkeys(["pool_id", *fields]) if name in values]
        owner = ", ".join(f"{name} {_shown(values[name])}" for name in owners)
        return f"row {ids or 'without an id'}{owner and f' ({owner})'}"


def _fields_of(row: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of a row as they came; none if it is no object."""
    try:
        return fields_of(row)
    except msgspec.ValidationError:
        return {}


def _shown(value: msgspec.Raw | bytes) -> str:
    """Return a value for a message on one line: text as it is, of anything else its JSON."""
    text = bytes(value).decode()
    if text.startswith('"'):
        text = msgspec.json.decode(value, type=str)
    text = shortened(text)
    return text if text.isprintable() else ascii(text)
