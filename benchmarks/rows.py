"""The ids in what a peer printed, whatever form of line it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class _Record(msgspec.Struct):
    id: str | None = None
    data: _Record | None = None  # Airbyte's RECORD


class _Line(msgspec.Struct):
    id: str | None = None  # a bare pool
    record: _Record | None = None  # a RECORD of Singer or Airbyte

    def row_id(self) -> str | None:
        """Find the id of a pool; None: the line holds none."""
        if self.record is None:
            return self.id
        return self.record.id if self.record.data is None else self.record.data.id


_decode = msgspec.json.Decoder(_Line).decode


def ids_in(path: Path) -> Iterator[str]:
    """Yield the ids of the pools in a file, in its order; lines that hold none are passed over."""
    with path.open("rb") as file:
        yield from ids_of(file)


def ids_of(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield the ids in lines as they come."""
    for line in lines:
        try:
            row_id = _decode(line).row_id()
        except msgspec.DecodeError:
            continue  # cut short, or not JSON at all
        if row_id is not None:
            yield row_id
