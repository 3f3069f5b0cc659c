"""The parameters of a list, read as strictly as the API reference allows."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from toloka_emulator.server.dates import IN_FILTER, instant
from toloka_emulator.server.errors import ApiError
from toloka_emulator.server.resources import as_number

if TYPE_CHECKING:
    from toloka_emulator.server.resources import Resource

Compare = Callable[[str, str], bool]
"""Tells whether a value of a row passes the value of a parameter; lists have commas in them."""


def _have_none_in_common(value: str, wanted: str) -> bool:
    return {*value.split(",")}.isdisjoint(wanted.split(","))


def _have_some_in_common(value: str, wanted: str) -> bool:
    return not _have_none_in_common(value, wanted)


_RANGE: dict[str, Compare] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_COMPARISONS: dict[str, dict[str, Compare]] = {
    "date": _RANGE,
    "text": _RANGE,
    "number": {"": operator.eq, **_RANGE},
    "value": {"": operator.eq},
    "values": {"": _have_some_in_common},
    "members": {"": _have_some_in_common, "ne": _have_none_in_common},
    "holding": {"": lambda value, wanted: wanted in value.split(",")},
    "ignored": {"": operator.eq},
}
"""How a kind of filter compares, by what stands behind its name."""


@dataclass
class Query:
    """What a request asks of a list."""

    limit: int  # the most rows to answer with
    parent: str | None = None  # the id of the row whose list is asked for, if it has parents
    sort: list[tuple[str, bool]] = field(default_factory=list)  # fields, and whether they descend
    ids: list[tuple[str, str]] = field(default_factory=list)  # suffixes of operators, and keys
    filters: list[tuple[str, Compare, str]] = field(default_factory=list)  # all have to hold


class _ParamError(Exception):
    """A parameter is wrong: one of toloka-kit's ValidationErrorCodes, and a message."""

    def __init__(self, code: str = "VALUE_NOT_ALLOWED", message: object = "not known") -> None:
        super().__init__(code, message)
        self.problem = {"code": code, "message": str(message)}


def read_query(
    resource: Resource, params: Iterable[tuple[str, str]], *, parent: str | None = None
) -> Query:
    """Read the parameters of a request for a list, of this parent.

    Raises:
        ApiError: 400, with every parameter that is wrong in its payload.
    """
    query = Query(limit=resource.default_limit, parent=parent)
    pairs = list(params)
    times = Counter(name for name, _ in pairs)
    problems = {}
    missing = {*resource.one_of} if times.keys().isdisjoint(resource.one_of) else set()
    missing |= {name for other, name in resource.needed_with.items() if other in pairs}
    for name in missing - times.keys():
        problems[name] = _ParamError("VALUE_REQUIRED", "needed here").problem
    for name, value in pairs:
        try:
            _read_param(query, resource, name, value, times[name])
        except _ParamError as error:
            problems[name] = error.problem
    if problems:
        raise ApiError(400, "Validation failed", problems)
    return query


def refuse_params(resource: Resource, names: Iterable[str]) -> None:
    """Refuse all parameters of a request for one row, but those that have no effect.

    Raises:
        ApiError: 400, with every parameter in its payload.
    """
    ignored = {name for name, known in resource.filters.items() if known.kind == "ignored"}
    if wrong := {*names} - ignored:
        raise ApiError(400, "Validation failed", dict.fromkeys(wrong, _ParamError().problem))


def _read_param(query: Query, resource: Resource, name: str, value: str, times: int) -> None:
    plain, _, suffix = name.rpartition("_")
    if not resource.in_pages:
        raise _ParamError
    if times > 1:
        raise _ParamError(message="given more than once")
    if not value:
        raise _ParamError(code="VALUE_REQUIRED", message="empty")
    if name == "limit":
        query.limit = _read_limit(resource, value)
    elif name == "sort":
        query.sort = [(item.removeprefix("-"), item.startswith("-")) for item in value.split(",")]
        _check_enum({item for item, _ in query.sort}, resource.sorts)
    elif plain == resource.id_field and suffix in _RANGE:
        query.ids.append((suffix, _convert(resource.key, value, "INVALID_VALUE")))
    elif name == "after_id" and resource.answers == "content":
        # apps openapi: "used for cursor pagination"; toloka-kit pages by `id_gt` alike.
        query.ids.append(("gt", resource.key(value)))
    else:
        _read_filter(query, resource, name, value)


def _read_limit(resource: Resource, value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise _ParamError(code="INTEGER_EXPECTED", message="not an integer")
    if not 1 <= int(value) <= resource.cap:
        raise _ParamError(code="VALUE_OUT_OF_BOUNDS", message=f"not from 1 to {resource.cap}")
    return int(value)


def _read_filter(query: Query, resource: Resource, name: str, value: str) -> None:
    plain, suffix = name, ""
    if name not in resource.filters:
        plain, _, suffix = name.rpartition("_")
    known = resource.filters.get(plain)
    compare = _COMPARISONS[known.kind].get(suffix) if known else None
    if not known or not compare:
        raise _ParamError
    if known.values:
        listed = known.kind in {"values", "members"}
        _check_enum(value.split(",") if listed else [value], known.values)
    if known.kind == "date":
        value = _convert(partial(instant, form=IN_FILTER), value, "INVALID_DATE_TIME_SYNTAX")
    elif known.kind == "number":
        value = _convert(as_number, value, "INTEGER_EXPECTED")
    if known.kind != "ignored":
        query.filters.append((plain, compare, value))


def _check_enum(given: Iterable[str], allowed: Iterable[str]) -> None:
    if not {*given} <= {*allowed}:
        raise _ParamError(code="UNKNOWN_ENUM_VALUE", message=f"not of {', '.join(allowed)}")


def _convert(convert: Callable[[str], str], value: str, code: str) -> str:
    try:
        return convert(value)
    except ValueError as error:
        raise _ParamError(code, error) from error
