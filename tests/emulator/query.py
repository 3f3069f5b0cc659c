"""The parameters of a list, read as strictly as the API reference allows."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulator import dates
from tests.emulator.errors import ApiError

if TYPE_CHECKING:
    from tests.emulator.resources import Resource

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
        limit: The most rows to answer with.
        sort: Fields to sort by, each with whether it descends; empty: in no order.
        ids: Limits of the id: the suffix of an operator and the key of an id.
        filters: Field, comparison and value, all of which have to hold; dates as `dates.instant`s.
    """

    limit: int
    sort: list[tuple[str, bool]] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)
    filters: list[tuple[str, Compare, str]] = field(default_factory=list)

    def admits(self, values: dict[str, str]) -> bool:
        """Tell whether a row with these values passes; a field it lacks never does."""
        for name, compare, wanted in self.filters:
            value = values.get(name)
            if value is None or not compare(value, wanted):
                return False
        return True


def read_query(resource: Resource, params: Iterable[tuple[str, str]]) -> Query:
    """Read the parameters of a request.

    Raises:
        ApiError: 400, with every parameter that is wrong in its payload.
    """
    query = Query(limit=resource.default_limit)
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
    if problems:
        payload = {
            name: {"code": code, "message": message} for name, (code, message) in problems.items()
        }
        raise ApiError(400, "Validation failed", payload)
    return query


def _read_param(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    """Put one parameter into the query, or tell what is wrong with it."""
    compared, _, suffix = name.rpartition("_")
    if name == "limit":
        return _read_limit(query, resource, value)
    if name == "sort":
        return _read_sort(query, resource, value)
    if name in resource.exact or name.removesuffix("_ne") in resource.members:
        return _read_exact(query, resource, name, value)
    if compared == "id" and suffix in OPERATORS:
        return _read_id(query, resource, suffix, value)
    if compared in resource.dates and suffix in OPERATORS:
        return _read_date(query, compared, suffix, value)
    return "VALUE_NOT_ALLOWED", "no such parameter"


def _read_limit(query: Query, resource: Resource, value: str) -> Problem | None:
    if not re.fullmatch("[0-9]{1,9}", value):
        return "INTEGER_EXPECTED", "not an integer"
    query.limit = int(value)
    if not 1 <= query.limit <= resource.cap:
        return "VALUE_OUT_OF_BOUNDS", f"not from 1 to {resource.cap}"
    return None


def _read_sort(query: Query, resource: Resource, value: str) -> Problem | None:
    query.sort = [(item.removeprefix("-"), item.startswith("-")) for item in value.split(",")]
    if not {name for name, _ in query.sort} <= {*resource.sort_by}:
        return "UNKNOWN_ENUM_VALUE", f"not of {', '.join(resource.sort_by)}"
    return None


def _read_exact(query: Query, resource: Resource, name: str, value: str) -> Problem | None:
    plain = name.removesuffix("_ne")
    several = plain in resource.members
    allowed = resource.values.get(plain)
    if allowed and not {*(value.split(",") if several else [value])} <= {*allowed}:
        return "UNKNOWN_ENUM_VALUE", f"not of {', '.join(allowed)}"
    if not several:
        query.filters.append((name, operator.eq, value))
    else:
        compare = _have_some_in_common if name == plain else _have_none_in_common
        query.filters.append((resource.members[plain], compare, value))
    return None


def _have_none_in_common(value: str, wanted: str) -> bool:
    return {*value.split(",")}.isdisjoint(wanted.split(","))


def _have_some_in_common(value: str, wanted: str) -> bool:
    return not _have_none_in_common(value, wanted)


def _read_id(query: Query, resource: Resource, suffix: str, value: str) -> Problem | None:
    try:
        query.ids.append((suffix, resource.key(value)))
    except ValueError as error:
        return "INVALID_VALUE", str(error)
    return None


def _read_date(query: Query, name: str, suffix: str, value: str) -> Problem | None:
    try:
        query.filters.append((name, OPERATORS[suffix], dates.instant(value, dates.IN_FILTER)))
    except ValueError as error:
        return "INVALID_DATE_TIME_SYNTAX", str(error)
    return None
