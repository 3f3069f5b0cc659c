"""Where the rows are in the body of an answer."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Callable

Decode = t.Callable[[bytes], tuple[list[t.Any], bool]]
"""Returns the rows of a body, and `has_more`.

Raises `msgspec.DecodeError` if it is not JSON, or its rows are not where they should be.
"""

fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Returns the fields of an object as they came; of one that is there twice the last."""

items_of = msgspec.json.Decoder(list[msgspec.Raw]).decode
"""Returns the items of an array as they came."""


@dataclass(frozen=True)
class Layout:
    """Where the rows are.

    Attributes:
        rows_in: The field of the body that holds them, beside `has_more`; `None`: the body is an
            array of rows, or one row, and no other page follows.
    """

    rows_in: str | None

    def decoder(self, row: t.Any, *, checks_more: bool = True) -> Decode:  # noqa: ANN401  # a type
        """Return what decodes a body into rows of a type.

        Args:
            row: The type.
            checks_more: Whether `has_more` has to be there and to be a boolean.
        """
        if self.rows_in is None:
            return _whole_decoder(row)
        more: t.Any = ("has_more", bool) if checks_more else ("has_more", t.Any, False)
        fields = [("rows", list[row]), more]
        page = msgspec.defstruct("page", fields, rename={"rows": self.rows_in})
        decode: Callable[[bytes], t.Any] = msgspec.json.Decoder(page).decode

        def decode_page(body: bytes) -> tuple[list[t.Any], bool]:
            found = decode(body)
            return found.rows, found.has_more

        return decode_page

    def rows(self, body: bytes) -> list[bytes]:
        """Return the rows of a body as they came, whatever else it holds.

        Raises:
            msgspec.DecodeError: If there are none.
        """
        return list(map(bytes, self.decoder(msgspec.Raw, checks_more=False)(body)[0]))

    def level(self, body: bytes) -> int:
        """Return how many objects and arrays the rows of a body are in."""
        return 2 if self.rows_in else int(body.lstrip().startswith(b"["))


def _whole_decoder(row: t.Any) -> Decode:  # noqa: ANN401  # a type
    decode = msgspec.json.Decoder(t.Union[list[row], row]).decode  # noqa: UP007  # made at run time

    def decode_whole(body: bytes) -> tuple[list[t.Any], bool]:
        found: t.Any = decode(body)
        return (found if isinstance(found, list) else [found]), False

    return decode_whole
