"""What is wrong with a catalog as such, whatever it asks for.

The SDK reads a catalog without looking, and what does not fit is an error of any kind, at any time.
"""

from __future__ import annotations

import typing as t
from itertools import chain

from singer_sdk.singerlib import Catalog

from tap_toloka.hiding import LONGEST_SHOWN, shortened

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TYPES = ("null", "boolean", "integer", "number", "string", "object", "array")  # JSON Schema's


def checked(catalog: Mapping[str, t.Any]) -> Catalog:
    """Read a catalog.

    Raises:
        ValueError: If it is not one.
    """
    entries: t.Any = catalog.get("streams")
    if not _are(dict, entries):
        msg = "expected an object with a list of `streams`, as written by --discover"
        raise ValueError(msg)
    names = [entry.get("tap_stream_id") for entry in entries]
    for number, (name, entry) in enumerate(zip(names, entries, strict=True)):
        if not isinstance(name, str):
            msg = f"`streams[{number}]` has no `tap_stream_id`"
            raise ValueError(msg)  # noqa: TRY004  # callers turn it into one line
        if names.count(name) > 1:
            msg = f"`streams` has {shortened(repr(name))} twice"
            raise ValueError(msg)
        problems = chain(_problems_with_entry(entry), _problems_with_schema(entry.get("schema")))
        if problem := next(problems, None):
            msg = shortened(f"{name}: {problem}", 5 * LONGEST_SHOWN)
            raise ValueError(msg)
    return Catalog.from_dict(
        {"streams": [{k: v for k, v in entry.items() if v is not None} for entry in entries]}
    )


def _problems_with_entry(entry: Mapping[str, t.Any]) -> Iterator[str]:
    name = entry["tap_stream_id"]
    if entry.get("stream") not in (None, name):
        yield f"`stream` is {shortened(repr(entry['stream']))}; to rename it, use `stream_maps`"
    yield from _problems_with_keys(entry, "key_properties", "replication_key", "replication_method")
    metadata = entry.get("metadata")
    if not (metadata is None or _are(dict, metadata)):
        yield "`metadata` is not a list of objects"
        return
    for item in metadata or []:
        if not _are(str, item.get("breadcrumb")):
            yield "an item of `metadata` has a `breadcrumb` that is not a list of names"
        elif not isinstance(of := item.get("metadata"), dict):
            yield f"`metadata` of {item['breadcrumb']} has no object `metadata`"
        else:
            where = f"`metadata` of {item['breadcrumb']}: "
            for key in ("selected", "selected-by-default"):
                if not isinstance(found := of.get(key), bool | None):
                    shown = shortened(repr(found))
                    yield f"{where}`{key}` is {shown}; it can be true, false or null"
            keys = "table-key-properties", "replication-key", "forced-replication-method"
            yield from (where + problem for problem in _problems_with_keys(of, *keys))


def _problems_with_keys(
    found: Mapping[str, t.Any], keys: str, replication_key: str, replication_method: str
) -> Iterator[str]:
    if not (found.get(keys) is None or _are(str, found[keys])):
        yield f"`{keys}` is not a list of names"
    for name in (replication_key, replication_method):
        if not isinstance(found.get(name), str | None):
            yield f"`{name}` is not text"


def _problems_with_schema(schema: object, where: str = "`schema`") -> Iterator[str]:
    """Yield what the SDK could not read of a JSON Schema; null is not there, as elsewhere."""
    if schema is None:
        return
    if not isinstance(schema, dict):
        yield f"{where} is not an object"
        return
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types
    if not (types is None or (_are(str, types) and sorted({*types} & {*_TYPES}) == sorted(types))):
        shown = shortened(repr(schema["type"]))
        yield f"{where}: there is no type {shown}; valid are {', '.join(_TYPES)}"
    if not (schema.get("required") is None or _are(str, schema["required"])):
        yield f"{where}: `required` is not a list of names"
    for key in ("anyOf", "allOf", "oneOf"):
        if not (schema.get(key) is None or _are(dict, schema[key])):
            yield f"{where}: `{key}` is not a list of objects"
    properties = schema.get("properties")
    if not isinstance(properties, dict | None):
        yield f"{where}: `properties` is not an object"
        return
    for name, inner in (properties or {}).items():
        if inner is None:
            yield f"{where}: the property {name!r} is null"
        yield from _problems_with_schema(inner, f"{where}.{name}")
    yield from _problems_with_schema(schema.get("items"), f"{where}[]")


def _are(kind: type, values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)
