"""From rows to RECORD messages, by way of stream maps, flattening, and what a catalog declares.

Most runs need none of these: their rows are printed as they were read.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cached_property

from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.singerlib import ActivateVersionMessage, RecordMessage
from typing_extensions import override

from tap_toloka import dates, maps
from tap_toloka.errors import TolokaError
from tap_toloka.fitting import attribute_of
from tap_toloka.pages import as_json, as_objects

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from singer_sdk import Stream
    from singer_sdk.mapper import StreamMap

    from tap_toloka.fitting import Row
    from tap_toloka.output import LineWriter

_KINDS: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    Decimal: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_MOST_DIGITS = 100


class RecordWriter:
    """Writes the rows of one stream.

    Args:
        stream: The stream, with its maps and the mask of what is selected.
        writer: Where messages are printed.
        declared: JSON Schema of the selected fields, as the catalog has it.
        known: JSON Schema of the fields as they are read.
        version: The version of the table, if there is one.
    """

    def __init__(
        self,
        stream: Stream,
        writer: LineWriter,
        *,
        declared: Mapping[str, t.Any],
        known: Mapping[str, t.Any],
        version: int | None,
    ) -> None:
        self._stream = stream
        self._writer = writer
        self._fields = declared
        self._narrower = {n: d for n, d in declared.items() if is_narrower(known.get(n, {}), d)}
        self._ignored: set[str] = set()
        self.version = version

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows.

        Raises:
            TolokaError: If a stream map fails, or a value is not what the catalog declares.
        """
        now = datetime.now(timezone.utc)
        if self._prints_rows_as_read:
            name, extracted = self._stream.name, dates.from_datetime(now)
            self._writer.write_rows(name, rows, extracted, self.version)
            return
        for row in rows:
            for alias, record in self._mapped(row):
                message = RecordMessage(
                    stream=alias, record=record, version=self.version, time_extracted=now
                )
                try:
                    self._writer.write_message(message)
                except (TypeError, ValueError) as error:  # a value of a map that is no JSON
                    raise self._failed(row, error) from error

    def activate_version(self) -> None:
        """Let the target remove all rows of other versions."""
        for stream_map in self._stream.stream_maps:
            if self.version is not None and not isinstance(stream_map, RemoveRecordTransform):
                message = ActivateVersionMessage(stream_map.stream_alias, self.version)
                self._writer.write_message(message)

    @cached_property
    def _prints_rows_as_read(self) -> bool:
        """Whether nothing looks inside rows: no map, flattening, other type, partial selection."""
        stream_map, *others = self._stream.stream_maps
        mask = self._stream.mask
        return (
            not others
            and type(stream_map) is SameRecordTransform
            and not stream_map.flattening_enabled
            and not self._narrower
            and all(
                selected or not mask[breadcrumb[:2]]
                for breadcrumb, selected in mask.items()
                if len(breadcrumb) > 2  # noqa: PLR2004  # ("properties", field) is a field
            )
        )

    def _mapped(self, row: Row) -> list[tuple[str, dict[str, t.Any]]]:
        """Return the records that stream maps make of a row, each with the name of its stream."""
        try:
            (values,) = as_objects([row])
            for name in self._narrower.keys() & values.keys():
                values[name] = retyped(values[name], self._narrower[name], name)
            record = RecordForMaps(self._selected(values), self._fields)
            return [
                (stream_map.stream_alias, self._as_declared(mapped, stream_map))
                for stream_map in self._stream.stream_maps
                if (mapped := stream_map.transform(record)) is not None
            ]
        except Exception as error:  # an expression of a stream map can raise anything
            raise self._failed(row, error) from error

    def _failed(self, row: Row, error: Exception) -> TolokaError:
        keys = " ".join(str(getattr(row, attribute_of(key))) for key in self._stream.primary_keys)
        msg = f"row {keys} could not be transformed: {maps.why_failed(error)}"
        msg += ". Check `stream_maps` and the types in the catalog"
        if isinstance(error, TypeError) and "Decimal" in str(error):
            msg += "; write float(...) around amounts"
        return TolokaError(msg)

    def _as_declared(self, record: dict[str, t.Any], stream_map: StreamMap) -> dict[str, t.Any]:
        """Leave out what the printed schema does not have, and let the rest fit it.

        Flattening makes a field of everything within an object, also if the schema has it not.
        """
        properties = stream_map.transformed_schema["properties"]
        for name in record.keys() - properties.keys():
            del record[name]
            # An object that is null has one field in the record, and several in the schema.
            if name not in self._ignored and name not in self._fields:
                self._ignored.add(name)
                msg = "Ignoring unknown field %r in %s (not in the schema)"
                self._stream.logger.warning(msg, name, self._stream.name)
        if stream_map.flattening_enabled:
            # The SDK declares what can be of any type as text, and only turns objects and arrays
            # into one.
            for name, value in record.items():
                if isinstance(value, (int, Decimal)) and _kinds_of(properties[name]) == ["string"]:
                    record[name] = as_json(value).decode()
        return record

    def _selected(
        self, value: Mapping[str, t.Any], breadcrumb: tuple[str, ...] = ()
    ) -> dict[str, t.Any]:
        """Leave out what is deselected, at any depth."""
        inside = {name: (*breadcrumb, "properties", name) for name in value}
        return {
            name: self._selected(inner, inside[name]) if isinstance(inner, dict) else inner
            for name, inner in value.items()
            if self._stream.mask[inside[name]]
        }


class RecordForMaps(dict[str, t.Any]):
    """A record for expressions of stream maps: fields that Toloka left out read as null.

    `in` and `record.get(name, default)` still see that they are missing.

    Args:
        record: The record.
        fields: All fields of the stream.
    """

    def __init__(self, record: Mapping[str, t.Any], fields: Collection[str]) -> None:
        super().__init__(record)
        self._fields = fields

    def __missing__(self, name: str) -> None:
        if name not in self._fields:
            raise KeyError(name)

    @override
    def copy(self) -> RecordForMaps:
        """Return a copy: the SDK looks for the names of an expression in one."""
        return RecordForMaps(self, self._fields)


def is_narrower(ours: Mapping[str, t.Any], declared: Mapping[str, t.Any]) -> bool:
    """Tell whether values of our schema may not fit the one that a catalog declares."""
    kinds = _kinds_of(declared)
    if kinds and not all(_is_one_of(kind, kinds) for kind in _kinds_of(ours) or ["any"]):
        return True
    inner, inner_declared = ours.get("properties", {}), declared.get("properties", {})
    return any(is_narrower(inner[n], inner_declared[n]) for n in inner.keys() & inner_declared) or (
        "items" in declared and is_narrower(ours.get("items", {}), declared["items"])
    )


def retyped(
    value: t.Any,  # noqa: ANN401  # JSON
    declared: Mapping[str, t.Any],
    path: str,
) -> t.Any:  # noqa: ANN401  # JSON
    """Return a value in a type that a catalog declares, if it is of another one.

    Text takes everything: numbers with their digits, objects and arrays as JSON. A number takes
    text that is one.

    Raises:
        ValueError: If no declared type can hold it.
    """
    kinds = _kinds_of(declared)
    kind = _KINDS.get(type(value), "null")
    if not kinds or kind == "null" or _is_one_of(kind, kinds):
        return _inside_retyped(value, declared, path)
    if "string" in kinds:
        return as_json(value).decode()
    if kind in {"string", "integer", "number"} and (number := _finite(value)) is not None:
        if "number" in kinds:
            return number
        if "integer" in kinds and number == number.to_integral_value():
            return int(number)
    shown = as_json(value).decode()[:100]
    msg = f"{path}: {shown} does not fit the type in the catalog, {' or '.join(kinds)}"
    raise ValueError(msg)


def _finite(value: str | float | Decimal) -> Decimal | None:
    """Return a value as a number if it is one of reasonable size."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < _MOST_DIGITS else None


def _inside_retyped(
    value: t.Any,  # noqa: ANN401  # JSON
    declared: Mapping[str, t.Any],
    path: str,
) -> t.Any:  # noqa: ANN401  # JSON
    if isinstance(value, dict) and "properties" in declared:
        inner = declared["properties"]
        return {
            k: retyped(v, inner[k], f"{path}.{k}") if k in inner else v for k, v in value.items()
        }
    if isinstance(value, list) and "items" in declared:
        return [retyped(item, declared["items"], f"{path}[]") for item in value]
    return value


def _kinds_of(schema: Mapping[str, t.Any]) -> list[str]:
    """Return the types of a schema but for null; none: any type, or one that JSON has not."""
    declared = schema.get("type", [])
    kinds = {declared} if isinstance(declared, str) else {*declared}
    return sorted(kinds - {"null"}) if kinds <= {*_KINDS.values(), "null"} else []


def _is_one_of(kind: str, kinds: Collection[str]) -> bool:
    return kind in kinds or (kind == "integer" and "number" in kinds)
