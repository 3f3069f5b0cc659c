"""From JSON Schema to the types that msgspec checks rows by.

A row is decoded into a struct whose attributes are text, integers and booleans, or the JSON of
everything else as it came (`msgspec.Raw`): numbers keep their digits, and objects and arrays need
not be built and printed again. What stands in that JSON is checked one level below, by `checks`.

Some of it is checked although a schema leaves it open, because loads would fail: an integer has to
fit into a `bigint`, and a number anywhere into the `numeric` of PostgreSQL.
"""

from __future__ import annotations

import typing as t
from decimal import Decimal, InvalidOperation
from keyword import iskeyword
from types import GenericAlias

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Row = t.Any
"""One row: a struct made by `row_type`. A field that is absent is `msgspec.UNSET`."""

Check = t.Callable[[msgspec.Raw], object]
"""Decodes a value. `msgspec.ValidationError` says that it is not of its type, any other
`ValueError` that it is no JSON that can be stored."""

# Also within objects, as flattening makes columns of what is in them.
_Integer = t.Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_DECODED: dict[str, t.Any] = {"string": str, "integer": _Integer, "boolean": bool, "null": None}
_TYPES: dict[str, t.Any] = {**_DECODED, "number": float}
_KINDS = {*_TYPES, "object", "array"}
_NOT_ZERO = t.Union[_Integer, t.Annotated[float, msgspec.Meta(gt=0)]]  # noqa: UP007
_WINDOW = 8_000  # bytes, of which more than 16,383 digits fill one
_MOST_DIGITS, _MOST_DECIMALS = 131_072, 16_383  # of PostgreSQL's `numeric`, which is in `jsonb`
_SHORT = 100  # characters of a number without an exponent, which needs no closer look


def attribute_of(field: str) -> str:
    """Return the attribute of a row that holds a field: Python has none for `global` or `a-b`."""
    if field.isidentifier() and not iskeyword(field) and not field.startswith(("_", "field_")):
        return field
    return f"field_{field.encode(errors='surrogatepass').hex()}"


def can_be_named(field: str) -> bool:
    """Tell whether a struct can have a field of this name: msgspec refuses some characters."""
    return field.isprintable() and not set(field) & set('"\\')


def row_type(
    properties: Mapping[str, t.Any],
    required: Collection[str],
    unchecked: Collection[str],
    *,
    strict: bool = True,
) -> type[msgspec.Struct]:
    """Make the struct that rows are decoded into.

    Args:
        properties: The JSON Schema of each field.
        required: Fields that every row must have.
        unchecked: Further fields, of which any value is taken.
        strict: Whether still others are an error, rather than left out.
    """
    fields: list[t.Any] = []
    for name, schema in properties.items():
        kind = _decoded_type(schema)
        if name in required:
            fields.append((attribute_of(name), kind))
        else:
            fields.append((attribute_of(name), _or_absent(kind), msgspec.UNSET))
    fields += [
        (attribute_of(name), _or_absent(msgspec.Raw), msgspec.UNSET)
        for name in unchecked
        if name not in properties
    ]
    return msgspec.defstruct(
        "row",
        fields,
        rename={attribute_of(name): name for name in (*properties, *unchecked)},
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
    )


def is_decoded(schema: Mapping[str, t.Any]) -> bool:
    """Tell whether `row_type` decodes the values of a field, or leaves them as they came."""
    return _decoded_type(schema) is not msgspec.Raw


def checks_of(schema: Mapping[str, t.Any], name: str = "value") -> tuple[Check, Check]:
    """Return two ways to check values by a schema.

    The first is fast, and refuses what it cannot judge: objects with other fields than the declared
    ones, in which it would not look, and within objects 0.0, which `1e-99999` is for it as well.
    The second takes them, and costs twice as much. The first does not see that a number has too
    many digits, see `has_long_number`.
    """
    strict, lenient = (
        msgspec.json.Decoder(_type_of(schema, name, strict=strict), float_hook=_float).decode
        for strict in (True, False)
    )

    def check_closely(value: msgspec.Raw) -> object:
        check_numbers(value)
        return lenient(value)

    def check_number(value: msgspec.Raw) -> object:
        found = lenient(value)
        if found == 0 and type(found) is float:
            check_numbers(value)
        return found

    is_number = {*kinds_of(schema)} - {"null"} == {"number"}  # amounts are often 0.0
    return check_number if is_number else strict, check_closely


def has_long_number(body: bytes) -> bool:
    """Tell whether a body may have a number of more than 16,383 digits."""
    starts = range(0, len(body) - _WINDOW, _WINDOW)
    return any(body[start : start + _WINDOW].isdigit() for start in starts)


def _float(text: str) -> float:
    """Return a number with a fraction or an exponent.

    Raises:
        ValueError: If the `numeric` of PostgreSQL cannot hold it.
    """
    if len(text) > _SHORT or "e" in text or "E" in text:
        try:
            number = Decimal(text)
        except InvalidOperation:  # the exponent has too many digits even for this
            fits = False
        else:
            exponent = number.as_tuple().exponent
            fits = number.adjusted() < _MOST_DIGITS and int(exponent) >= -_MOST_DECIMALS
        if not fits:
            msg = "Number out of range"
            raise ValueError(msg)
    return float(text)


check_numbers: Check = msgspec.json.Decoder(float_hook=_float).decode
"""Checks values of any type. Integers are limited by msgspec, to 4,300 digits as in Python."""


def kinds_of(schema: Mapping[str, t.Any]) -> list[str]:
    """Return the types of a schema; none: any value will do.

    So it is without a type, with one that JSON does not have, and with all that it has: the `items`
    of such a schema are for readers of the catalog only.
    """
    declared = schema.get("type", [])
    kinds = [declared] if isinstance(declared, str) else list(declared)
    return kinds if {*kinds} <= _KINDS and not {*kinds} >= _KINDS - {"integer"} else []


def _decoded_type(schema: Mapping[str, t.Any]) -> t.Any:  # noqa: ANN401  # a type
    """Return the type of a field in a row: `Raw` where its values stay as they came."""
    kinds = kinds_of(schema)
    if not kinds or not _DECODED.keys() >= set(kinds):
        return msgspec.Raw
    return t.Union[tuple(_DECODED[kind] for kind in kinds)]  # noqa: UP007  # made at run time


def _or_absent(kind: t.Any) -> t.Any:  # noqa: ANN401  # a type
    return t.Union[kind, msgspec.UnsetType]  # noqa: UP007  # made at run time


def _type_of(schema: Mapping[str, t.Any], name: str, *, strict: bool) -> t.Any:  # noqa: ANN401  # a type
    """Return the type that says all that the schema does: `type`, `properties` and `items`."""
    types: list[t.Any] = []
    for kind in kinds_of(schema):
        if kind == "object" and "properties" in schema:
            types.append(_struct_of(schema["properties"], name, strict=strict))
        elif kind == "object":
            types.append(dict[str, t.Any])
        elif kind == "array":
            types.append(GenericAlias(list, _type_of(schema.get("items", {}), name, strict=strict)))
        else:
            types.append(_NOT_ZERO if strict and kind == "number" else _TYPES[kind])
    return t.Union[tuple(types)] if types else t.Any  # noqa: UP007  # made at run time


def _struct_of(properties: Mapping[str, t.Any], name: str, *, strict: bool) -> type[msgspec.Struct]:
    """Return the type of an object within a row."""
    return msgspec.defstruct(
        name,
        [
            (attribute_of(key), _type_of(value, key, strict=strict), None)
            for key, value in properties.items()
        ],
        rename={attribute_of(key): key for key in properties},
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
    )
