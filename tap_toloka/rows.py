"""Rows of a list, from the body of an answer to what is printed.

A body is decoded twice, each time by msgspec in C. Once against the types of the schema, which
builds little and finds whatever would not fit. Once with the values left as they came, which keeps
the digits of numbers and costs a fraction of building Python objects and printing them again.
"""

from __future__ import annotations

import codecs
import typing as t
from decimal import Decimal
from keyword import iskeyword
from threading import Lock
from types import GenericAlias

import msgspec

from tap_toloka import dates

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

Row = dict[str, msgspec.Raw]
"""One row: the JSON of each field."""

_SCALARS: dict[str, t.Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
}
_PIECE = 2**16  # bytes
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class RowReader:
    """Reads rows that fit a schema, whatever Toloka sends.

    Dates come out in the one form of `tap_toloka.dates`. A field that the schema does not know is
    left out. A value that does not fit the schema is an error.

    Args:
        schema: The JSON Schema of what Toloka sends of the rows that will be printed.
        date_fields: Fields that hold a date, if the schema has them.
        on_unknown: Called once with the name of each field that the schema does not know.
        rows_in: The field of an answer that holds the rows; `None`: the answer is an array of
            rows, or one row.
    """

    def __init__(
        self,
        schema: Mapping[str, t.Any],
        date_fields: Iterable[str],
        on_unknown: Callable[[str], None],
        rows_in: str | None = "items",
    ) -> None:
        self._fields: AbstractSet[str] = schema["properties"].keys()
        self._dates = [name for name in date_fields if name in self._fields]
        self._on_unknown = on_unknown
        self._unknown: set[str] = set()
        self._lock = Lock()
        self._check = _page_decoder(_type_of(schema, "row"), rows_in)
        self._split = _page_decoder(Row, rows_in)

    def read(self, body: bytes) -> list[Row]:
        """Return the rows of a page, in its order.

        Raises:
            ValueError: If the body is not JSON (`msgspec.DecodeError` among others), or does not
                fit the schema.
        """
        _check_utf_8(body)
        # A line break between two values would end the line that they are printed in.
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
        try:
            checked = self._check(body)
            rows: list[Row] = self._split(body)
        except RecursionError:
            msg = "it is nested too deeply"
            raise ValueError(msg) from None
        for row, values in zip(rows, checked, strict=True):
            if not row.keys() <= self._fields:
                self._leave_out_unknown(row)
            for name in self._dates:
                if isinstance(text := getattr(values, name), str):
                    row[name] = msgspec.Raw(f'"{dates.canonical(text)}"')
        return rows

    def _leave_out_unknown(self, row: Row) -> None:
        for name in row.keys() - self._fields:
            del row[name]
            with self._lock:  # pages are read in several threads
                if name not in self._unknown:
                    self._unknown.add(name)
                    self._on_unknown(name)


def as_objects(rows: Iterable[Row]) -> Iterator[dict[str, t.Any]]:
    """Decode rows whole, for whoever looks inside; numbers with a fraction become Decimal."""
    for row in rows:
        yield _decode(_encode(row))


def greatest_date(rows: Iterable[Row], field: str) -> str:
    """Return the latest of a date that the reader has brought into the one form; else `""`."""
    texts = (bytes(row[field]) for row in rows if field in row)
    return max((text.strip(b'"').decode() for text in texts if text != b"null"), default="")


def _check_utf_8(body: bytes) -> None:
    """Raise if a body is not UTF-8: msgspec does not look into what it leaves as it came.

    A piece at a time: a whole page as text takes four times its room if one emoji is in it.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(body), _PIECE):
        decode(body[start : start + _PIECE])
    decode(b"", final=True)


def _page_decoder(row_type: t.Any, rows_in: str | None) -> Callable[[bytes], list[t.Any]]:  # noqa: ANN401  # a type
    rows = GenericAlias(list, row_type)
    if rows_in is None:
        decode_any = msgspec.json.Decoder(t.Union[rows, row_type]).decode  # noqa: UP007  # made at run time
        return lambda body: found if isinstance(found := decode_any(body), list) else [found]
    page = msgspec.defstruct("page", [("rows", rows)], rename={"rows": rows_in})
    decode = msgspec.json.Decoder(page).decode
    return lambda body: decode(body).rows  # type: ignore[attr-defined]


def _type_of(schema: Mapping[str, t.Any], name: str) -> t.Any:  # noqa: ANN401  # a type
    """Make the type that msgspec checks by: `type`, `properties` and `items` of the schema."""
    declared = schema.get("type", [])
    kinds = [declared] if isinstance(declared, str) else list(declared)
    types: list[t.Any] = []
    for kind in kinds:
        if kind == "object" and "properties" in schema:
            types.append(_struct_of(schema, name))
        elif kind == "object":
            types.append(dict[str, msgspec.Raw])
        elif kind == "array":
            types.append(GenericAlias(list, _type_of(schema.get("items", {}), name)))
        else:
            types.append(_SCALARS[kind])
    return t.Union[tuple(types)] if types else msgspec.Raw  # noqa: UP007  # made at run time


def _struct_of(schema: Mapping[str, t.Any], name: str) -> type[msgspec.Struct]:
    required = schema.get("required", [])
    fields: list[t.Any] = []
    rename = {}
    for number, (key, value) in enumerate(schema["properties"].items()):
        # Names that Python has no attribute for (`from`) are told to msgspec apart.
        attribute = key if key.isidentifier() and not iskeyword(key) else f"field_{number}"
        rename[attribute] = key
        kind = _type_of(value, key)
        fields.append((attribute, kind) if key in required else (attribute, kind, None))
    return msgspec.defstruct(name, fields, rename=rename, kw_only=True, gc=False)
