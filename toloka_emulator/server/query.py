"""The parameters of a list, read as strictly as the API reference allows."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toloka_emulator.server import dates
from toloka_emulator.server.errors import ApiError
from toloka_emulator.server.resources import as_number

if TYPE_CHECKING:
    from toloka_emulator.server.resources import Resource

Compare = Callable[[str, str], bool]
Problem = tuple[str, str]
"""What is wrong with a parameter: one of toloka-kit's ValidationErrorCodes, and a message."""

OPERATORS: dict[str, Compare] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass
class Query:
    """What a request asks of a list.

    Attributes:
        parent: The id of the row whose list is asked for; None: the list has no parent.
        limit: The most rows to answer with.
        sort: Fields to sort by, each with whether it descends; empty: in no order.
        ids: Limits of the id: the suffix of an operator and the key of an id.
        filters: Filter, comparison and value, all of which have to hold; dates as `dates.instant`s.
    """

    limit: int
    parent: str | None = None
    sort: list[tuple[str, bool]] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)
    filters: list[tuple[str, Compare, str]] = field(default_factory=list)


def read_query(
    resource: Resource, params: Iterable[tuple[str, str]], *, parent: str | None = None
) -> Query:
    """Read the parameters of a request for a list, of this parent.

    Raises:
        ApiError: 400, with every parameter that is wrong in its payload.
    """
    query = Query(limit=resource.default_limit, parent=parent)
    problems: dict[str, Problem] = {}
    pairs = list(params)
    times = Counter(name for name, _ in pairs)
    if resource.one_of and times.keys().isdisjoint(resource.one_of):
        message = f"needed: {' or '.join(resource.one_of)}"
        problems = dict.fromkeys(resource.one_of, ("VALUE_REQUIRED", message))
    for other, needed in resource.needed_with.items():
        if other in pairs and needed not in times:
            problems[needed] = ("VALUE_REQUIRED", "needed with {}={}".format(*other))
    for name, value in pairs:
        problem: Problem | None
        if times[name] > 1:
            problem = ("VALUE_NOT_ALLOWED", "given more than once")
        elif not value:
            problem = ("VALUE_REQUIRED", "empty")
        else:
            problem = _read_param(query, resource, name, value)
        if problem:
            problems[name] = problem
    _refuse(problems)
    return query


def refuse_params(resource: Resource, names: Iterable[str]) -> None:
    """Refuse all parameters of a request for one row, but those that have no effect.

    Raises:
        ApiError: 400, with every parameter in its payload.
    """
    wrong = {*names} - {*resource.without_effect}
    _refuse(dict.fromkeys(wrong, ("VALUE_NOT_ALLOWED", "no such parameter")))


def _refuse(problems: dict[str, Problem]) -> None:
    if problems:
        payload = {
            name: {"code": code, "message": message} for name, (code, message) in problems.items()
        }
        raise ApiError(400, "Validation failed", payload)


def _read_param(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    """Put one parameter into the query, or tell what is wrong with it."""
    for known, read in _READERS:
        if known(resource, name):
            return read(query, resource, name, value)
    return "VALUE_NOT_ALLOWED", "no such parameter"


def _read_limit(query: Query, resource: Resource, _name: str, value: str) -> Problem | None:
    if not re.fullmatch("[0-9]{1,9}", value):
        return "INTEGER_EXPECTED", "not an integer"
    query.limit = int(value)
    if not 1 <= query.limit <= resource.cap:
        return "VALUE_OUT_OF_BOUNDS", f"not from 1 to {resource.cap}"
    return None


def _read_sort(query: Query, resource: Resource, _name: str, value: str) -> Problem | None:
    query.sort = [(item.removeprefix("-"), item.startswith("-")) for item in value.split(",")]
    if not {name for name, _ in query.sort} <= {*resource.sort_by}:
        return "UNKNOWN_ENUM_VALUE", f"not of {', '.join(resource.sort_by)}"
    return None


def _read_values(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    """Read a filter by one value, or by several with commas between them."""
    plain = name.removesuffix("_ne")
    listed = plain in resource.members or plain in resource.several
    allowed = resource.values.get(plain)
    if allowed and not {*(value.split(",") if listed else [value])} <= {*allowed}:
        return "UNKNOWN_ENUM_VALUE", f"not of {', '.join(allowed)}"
    if name in resource.without_effect:
        return None
    compare: Compare = operator.eq
    if listed:
        compare = _have_some_in_common if name == plain else _have_none_in_common
    elif name in resource.holding:
        compare = _holds
    query.filters.append((plain, compare, value))
    return None


def _have_none_in_common(value: str, wanted: str) -> bool:
    return {*value.split(",")}.isdisjoint(wanted.split(","))


def _have_some_in_common(value: str, wanted: str) -> bool:
    return not _have_none_in_common(value, wanted)


def _holds(value: str, wanted: str) -> bool:
    return wanted in value.split(",")


def _read_id(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    # apps openapi: `after_id`, "used for cursor pagination"; toloka-kit pages by `id_gt` alike.
    suffix = "gt" if name == "after_id" else name.rpartition("_")[2]
    try:
        query.ids.append((suffix, resource.key(value)))
    except ValueError as error:
        return "INVALID_VALUE", str(error)
    return None


def _read_date(query: Query, _resource: Resource, name: str, value: str) -> Problem | None:
    plain, _, suffix = name.rpartition("_")
    try:
        query.filters.append((plain, OPERATORS[suffix], dates.instant(value, dates.IN_FILTER)))
    except ValueError as error:
        return "INVALID_DATE_TIME_SYNTAX", str(error)
    return None


def _read_number(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    plain, suffix = (name, "") if name in resource.numbers else name.rsplit("_", 1)
    try:
        query.filters.append((plain, OPERATORS.get(suffix, operator.eq), as_number(value)))
    except ValueError:
        return "INTEGER_EXPECTED", "not an integer"
    return None


def _read_text(query: Query, _resource: Resource, name: str, value: str) -> Problem | None:
    plain, _, suffix = name.rpartition("_")
    query.filters.append((plain, OPERATORS[suffix], value))
    return None


def _is_range(name: str, fields: Iterable[str]) -> bool:
    """Tell whether this is one of these fields with the suffix of an operator."""
    plain, _, suffix = name.rpartition("_")
    return plain in fields and suffix in OPERATORS


def _is_cursor(resource: Resource, name: str) -> bool:
    return _is_range(name, [resource.id_field]) or (
        name == "after_id" and resource.answers == "content"
    )


def _is_by_values(resource: Resource, name: str) -> bool:
    return (
        name in {*resource.exact, *resource.several, *resource.holding, *resource.without_effect}
        or name.removesuffix("_ne") in resource.members
    )


_READERS: tuple[
    tuple[Callable[[Resource, str], bool], Callable[[Query, Resource, str, str], Problem | None]],
    ...,
] = (
    (lambda resource, name: resource.in_pages and name == "limit", _read_limit),
    (lambda resource, name: resource.in_pages and name == "sort", _read_sort),
    (lambda resource, name: resource.in_pages and _is_cursor(resource, name), _read_id),
    (_is_by_values, _read_values),
    (lambda resource, name: _is_range(name, resource.dates), _read_date),
    (lambda resource, name: _is_range(name, resource.texts), _read_text),
    (
        lambda resource, name: name in resource.numbers or _is_range(name, resource.numbers),
        _read_number,
    ),
)
"""Which parameters a list takes, and what reads them; the first that applies does."""
