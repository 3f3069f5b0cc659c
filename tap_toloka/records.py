"""From rows to RECORD messages, by way of stream maps, flattening, and what a catalog declares.

Most runs need none of these: their rows are printed as they were read.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import cached_property, partial

from msgspec import UNSET
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.singerlib import ActivateVersionMessage, RecordMessage
from typing_extensions import override

from tap_toloka import dates, maps
from tap_toloka.errors import TolokaError, UnusableError
from tap_toloka.fitting import attribute_of
from tap_toloka.hiding import shortened
from tap_toloka.layout import fields_of
from tap_toloka.misfits import EXTRA, MISFITS, Misfit, MisfitLog, in_words, path_to, steps_of
from tap_toloka.pages import as_json, as_objects

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

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
_MISFITS = attribute_of(MISFITS)
_ADD_NULL = ". Add `null` to the type there to keep such values in `_misfits`"


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
        self._misfits = MisfitLog(partial(stream.logger.warning, "%s: %s", stream.name))
        self.version = version

    @property
    def misfits(self) -> int:
        """How many values were set aside, as no type that the catalog declares can hold them."""
        return self._misfits.count

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows.

        Raises:
            TolokaError: If a stream map fails; or if no type that the catalog declares can hold a
                value, and null is none of them, or it is a key, or `on_misfit` is `fail`.
        """
        self._check_nulls(rows)
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

    def content_of(self, row: Row) -> bytes:
        """Return what is selected of a row, before stream maps, as JSON."""
        if not self._selects_within_fields:
            return as_json(row)
        (read,) = as_objects([row])
        return as_json(self._selected(read))

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
        return (
            not others
            and type(stream_map) is SameRecordTransform
            and not stream_map.flattening_enabled
            and not self._narrower
            and not self._selects_within_fields
        )

    @cached_property
    def _selects_within_fields(self) -> bool:
        mask = self._stream.mask
        return not all(
            selected or not mask[breadcrumb[:2]]
            for breadcrumb, selected in mask.items()
            if len(breadcrumb) > 2  # noqa: PLR2004  # ("properties", field) is a field
        )

    def _mapped(self, row: Row) -> list[tuple[str, dict[str, t.Any]]]:
        """Return the records that stream maps make of a row, each with the name of its stream."""
        values = self._retyped(row)
        self._drop_deselected_misfits(values)
        record = RecordForMaps(values, self._fields)
        try:
            return [
                (stream_map.stream_alias, self._as_declared(mapped, stream_map))
                for stream_map in self._stream.stream_maps
                if (mapped := stream_map.transform(record)) is not None
            ]
        except Exception as error:  # an expression of a stream map can raise anything
            raise self._failed(row, error) from error

    def _retyped(self, row: Row) -> dict[str, t.Any]:
        """Return what is selected of a row, in the types that the catalog declares."""
        (read,) = as_objects([row])
        values = self._selected(read)
        if self._flattened_levels and EXTRA in self._fields:
            extra = {path_to(name): value for name, value in values.get(EXTRA, {}).items()}
            extra |= _unknown_within(values, self._fields, self._flattened_levels)
            if extra:
                values[EXTRA] = extra
        found: list[tuple[str, t.Any, str]] = []
        for name in self._narrower.keys() & values.keys() - {MISFITS}:
            values[name] = retyped(values[name], self._narrower[name], path_to(name), found)
        if found:
            self._set_aside(row, values, found)
        if MISFITS in self._narrower.keys() & values.keys():
            values[MISFITS] = retyped(values[MISFITS], self._narrower[MISFITS], MISFITS, [])
        return values

    def _set_aside(
        self, row: Row, values: dict[str, t.Any], found: Sequence[tuple[str, t.Any, str]]
    ) -> None:
        misfits = [Misfit(path, as_json(value), expected) for path, value, expected in found]
        name = self._name_of(row)
        needed = {*self._stream.primary_keys, self._stream.replication_key}
        keys = [misfit for misfit in misfits if misfit.path in needed]
        no_nulls = [misfit for misfit in misfits if not self._takes_null(misfit.path)]
        if keys or no_nulls or self._stream.config["on_misfit"] == "fail":
            wrong = [(name, misfit) for misfit in keys or no_nulls or misfits]
            advice = _ADD_NULL if no_nulls and not keys else ""
            msg = f"{in_words(wrong)} in the catalog{advice}"
            raise UnusableError(msg)
        self._misfits.note(lambda: name, misfits, kept=MISFITS in self._fields)
        if MISFITS in self._fields:
            kept = {path: value for path, value, _ in found}
            values[MISFITS] = {**values.get(MISFITS, {}), **kept}

    def _check_nulls(self, rows: Sequence[Row]) -> None:
        """Raise if a value was set to null, as our schema has it, where the catalog has no null."""
        for row in rows:
            if (misfits := getattr(row, _MISFITS, UNSET)) is not UNSET:
                wrong = [
                    (self._name_of(row), Misfit(path, bytes(value), self._expected_at(path)))
                    for path, value in fields_of(misfits).items()
                    if self._is_selected(path) and not self._takes_null(path)
                ]
                if wrong:
                    msg = f"{in_words(wrong)} in the catalog{_ADD_NULL}"
                    raise UnusableError(msg)

    def _takes_null(self, path: str) -> bool:
        declared = self._declared_at(path).get("type", "null")
        return "null" in ([declared] if isinstance(declared, str) else declared)

    def _expected_at(self, path: str) -> str:
        return " or ".join(_kinds_of(self._declared_at(path)))

    def _declared_at(self, path: str) -> Mapping[str, t.Any]:
        """Return what the catalog declares at a path; nothing if it has no such place."""
        schema: Mapping[str, t.Any] = {"properties": self._fields}
        for name in steps_of(path):
            place = schema.get("items") if name is None else schema.get("properties", {}).get(name)
            schema = place or {}
        return schema

    def _drop_deselected_misfits(self, values: dict[str, t.Any]) -> None:
        """Leave out misfits of what is deselected within a field; it was read all the same."""
        misfits = values.get(MISFITS)
        if isinstance(misfits, dict):
            for path in list(misfits):
                if not self._is_selected(path):
                    del misfits[path]

    def _is_selected(self, path: str) -> bool:
        """Tell whether nothing is deselected at a path, above it or within."""
        place = tuple(_breadcrumb(steps_of(path)))
        return not any(one[: len(place)] == place[: len(one)] for one in self._deselected)

    @cached_property
    def _deselected(self) -> list[tuple[str, ...]]:
        return [breadcrumb for breadcrumb, selected in self._stream.mask.items() if not selected]

    @cached_property
    def _flattened_levels(self) -> int:
        options = self._stream.stream_maps[0].flattening_options
        return options.max_level if options and options.enabled else 0

    def _name_of(self, row: Row) -> str:
        keys = (shortened(str(getattr(row, attribute_of(n)))) for n in self._stream.primary_keys)
        return f"row {' '.join(keys)}"

    def _failed(self, row: Row, error: Exception) -> TolokaError:
        msg = f"{self._name_of(row)} could not be transformed: {maps.why_failed(error)}"
        msg += ". Check `stream_maps`"
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
                self._stream.logger.warning(msg, shortened(name), self._stream.name)
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
    return any(is_narrower(inner.get(n, {}), inner_declared[n]) for n in inner_declared) or (
        "items" in declared and is_narrower(ours.get("items", {}), declared["items"])
    )


def retyped(
    value: t.Any,  # noqa: ANN401  # JSON
    declared: Mapping[str, t.Any],
    path: str,
    misfits: list[tuple[str, t.Any, str]],
) -> t.Any:  # noqa: ANN401  # JSON
    """Return a value in a type that a catalog declares, if it is of another one.

    Text takes everything: numbers with their digits, objects and arrays as JSON. A number takes
    text that is one.

    Args:
        value: The value.
        declared: The JSON Schema.
        path: Where the value is, as `tasks[0].id`.
        misfits: Takes what no declared type can hold, and what null stands for then: the path,
            the value, and the types.
    """
    kinds = _kinds_of(declared)
    kind = _KINDS.get(type(value), "null")
    if not kinds or kind == "null" or _is_one_of(kind, kinds):
        return _inside_retyped(value, declared, path, misfits)
    if "string" in kinds:
        return as_json(value).decode()
    if kind in {"string", "integer", "number"} and (number := _finite(value)) is not None:
        if "number" in kinds:
            return number
        if "integer" in kinds and number == number.to_integral_value():
            return int(number)
    misfits.append((path, value, " or ".join(kinds)))
    return None


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
    misfits: list[tuple[str, t.Any, str]],
) -> t.Any:  # noqa: ANN401  # JSON
    if isinstance(value, dict) and "properties" in declared:
        inner = declared["properties"]
        return {
            k: retyped(v, inner[k], path_to(k, path), misfits) if k in inner else v
            for k, v in value.items()
        }
    if isinstance(value, list) and "items" in declared:
        items = declared["items"]
        return [retyped(item, items, f"{path}[{n}]", misfits) for n, item in enumerate(value)]
    return value


def _unknown_within(
    values: dict[str, t.Any], properties: Mapping[str, t.Any], levels: int, path: str = ""
) -> Iterator[tuple[str, t.Any]]:
    """Take out of objects that become columns what has no column, each with its path."""
    for name, value in values.items():
        inner = properties.get(name, {}).get("properties")
        if inner and isinstance(value, dict) and levels:
            for unknown in value.keys() - inner.keys():
                yield path_to(unknown, path_to(name, path)), value.pop(unknown)
            yield from _unknown_within(value, inner, levels - 1, path_to(name, path))


def _breadcrumb(names: Iterable[str | None]) -> Iterator[str]:
    """Yield the breadcrumb of a path within a row."""
    for name in names:
        yield from ("items",) if name is None else ("properties", name)


def _kinds_of(schema: Mapping[str, t.Any]) -> list[str]:
    """Return the types of a schema but for null; none: any type, or one that JSON has not."""
    declared = schema.get("type", [])
    kinds = {declared} if isinstance(declared, str) else {*declared}
    return sorted(kinds - {"null"}) if kinds <= {*_KINDS.values(), "null"} else []


def _is_one_of(kind: str, kinds: Collection[str]) -> bool:
    return kind in kinds or (kind == "integer" and "number" in kinds)
