"""Filters of a list: as settings, and as parameters of a request.

A stream names its filters by their kinds:

    filters = Filters(status=Choice("OPEN", "CLOSED"), project_id=Id(), created=DateRange())
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from typing_extensions import override

from tap_toloka import dates

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_toloka.splitting import Order

BOUNDS = ("gt", "gte", "lt", "lte")
"""What Toloka's range parameters end with: `id_gt`, `created_lte`."""

_NUMBER = re.compile("[0-9]+")
_TEXT_ID = re.compile("[0-9A-Za-z-]+")
_TEXT = {"type": "string", "minLength": 1}
_DECIMAL_ID = {"type": ["string", "integer"]}


class Kind:
    """A kind of filter: its parameters, their JSON Schema, their form in requests and state.

    Args:
        changing: Whether a row can come to match after it was created.
    """

    def __init__(self, *, changing: bool = False) -> None:
        self.changing = changing

    order: Order | None = str
    """What values in their normal form compare by; `None`: only Toloka knows."""
    ranges: t.ClassVar[bool] = False
    """Whether there is a parameter for each bound."""
    plain: t.ClassVar[bool] = True
    """Whether there is a parameter named as the field."""
    description = "Equal to this `{}`."
    bound_description = "Lower or upper bound of `{}`."

    @property
    def schema(self) -> dict[str, t.Any]:
        """The JSON Schema of a value."""
        return _TEXT

    def normal(self, value: t.Any) -> str:  # noqa: ANN401  # its schema was checked
        """Return a value as it is compared, kept in state and sent, dates in the canonical form.

        Raises:
            ValueError: If it is not of this kind, in a way that a schema cannot tell.
        """
        return str(value)

    def parameters(self, field: str) -> Iterator[str]:
        """Yield the names of the parameters for a field."""
        if self.plain:
            yield field
        if self.ranges:
            yield from (f"{field}_{bound}" for bound in BOUNDS)

    def json_schema(self, field: str, parameter: str) -> dict[str, t.Any]:
        """Return the JSON Schema of a parameter, with a description."""
        words = self.description if parameter == field else self.bound_description
        return {**self.schema, "description": words.format(field)}


class Text(Kind):
    """One text; ids that are not numbers are text, too."""


class Choice(Kind):
    """One value out of these."""

    def __init__(self, *values: str, changing: bool = False) -> None:
        super().__init__(changing=changing)
        self.values = values

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "string", "enum": list(self.values)}


class Texts(Kind):
    """One or several texts."""

    description = "One or more values of `{}`."

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "array", "items": _TEXT, "minItems": 1}

    @override
    def normal(self, value: t.Any) -> str:
        return ",".join(sorted(set(value)))


class Choices(Texts):
    """One or several values out of these."""

    def __init__(self, *values: str, changing: bool = False) -> None:
        super().__init__(changing=changing)
        self.values = values

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {**super().schema, "items": {"type": "string", "enum": list(self.values)}}


class Flag(Kind):
    """True or false."""

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "boolean"}

    @override
    def normal(self, value: t.Any) -> str:
        return str(value).lower()


class Id(Kind):
    """One id that is a decimal number."""

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return _DECIMAL_ID

    @override
    def normal(self, value: t.Any) -> str:
        return _decimal_id(value)


class IdRange(Kind):
    """A range of the ids that a list is sorted by.

    Args:
        order: What they compare by: `int` if they are decimal numbers, `str` if they are text,
            `None` if they are text and Toloka may sort them in an order of its own.
    """

    ranges, plain = True, False

    def __init__(self, order: Order | None) -> None:
        super().__init__()
        self.order = order

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return _DECIMAL_ID if self.order is int else _TEXT

    @override
    def normal(self, value: t.Any) -> str:
        return _decimal_id(value) if self.order is int else _text_id(value)


class Owners(IdRange):
    """Ids of the pools, projects, ... whose lists are read; not sent with every request."""

    ranges, plain = False, True
    description = "Only rows of these `{}`."

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "array", "items": super().schema, "minItems": 1}

    @override
    def normal(self, value: t.Any) -> str:
        return ",".join(sorted({super(Owners, self).normal(id_) for id_ in value}))


class Number(Kind):
    """One integer, or a range of them."""

    order = int
    ranges = True

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "integer"}

    @override
    def normal(self, value: t.Any) -> str:
        return str(int(value))


class TextRange(Kind):
    """A range of texts."""

    order = None
    ranges, plain = True, False


class DateRange(Kind):
    """A range of dates."""

    ranges, plain = True, False
    bound_description = (
        "Bound of the date `{}`: YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.sss], in UTC unless it has a "
        "time zone."
    )

    @property
    @override
    def schema(self) -> dict[str, t.Any]:
        return {"type": "string"}

    @override
    def normal(self, value: t.Any) -> str:
        return dates.canonical(value)


@dataclass(frozen=True)
class _Parameter:
    field: str
    kind: Kind


class Filters:
    """The filters that one list of Toloka takes.

    Args:
        **kinds: The kind of filter for each field.
    """

    def __init__(self, **kinds: Kind) -> None:
        self.kinds = kinds
        self._parameters = {
            name: _Parameter(field, kind)
            for field, kind in kinds.items()
            for name in kind.parameters(field)
        }

    def json_schema(self) -> dict[str, t.Any]:
        """Return the JSON Schema of these filters as a setting."""
        properties = {
            name: parameter.kind.json_schema(parameter.field, name)
            for name, parameter in self._parameters.items()
        }
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def normal(self, setting: Mapping[str, t.Any]) -> dict[str, str]:
        """Return a setting in the canonical form in which it is compared and kept in state.

        Values are texts, as in a request: numbers are decimal digits, several values are sorted and
        joined by commas. Dates have the form of `tap_toloka.dates`.

        Raises:
            ValueError: If a value is not an id or not a date; names the filter.
        """
        normal = {}
        for name, value in sorted(setting.items()):
            try:
                normal[name] = self._parameters[name].kind.normal(value)
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from None
        return normal

    def empty_ranges(self, normal: Mapping[str, str]) -> Iterator[str]:
        """Name the ranges of ids, numbers and dates that no row can be in."""
        for field, kind in self.kinds.items():
            if kind.ranges and kind.order:
                yield from _empty_ranges(field, normal, kind.order)

    def parameters(
        self, normal: Mapping[str, str], listing: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return normal filters as Toloka takes them.

        Args:
            normal: The filters of the settings.
            listing: Parameters that single out a list, in the same form. Toloka ANDs parameters; of
                two bounds of one name the stricter one is sent.
        """
        both = {
            name: value
            for name, value in normal.items()
            if not isinstance(self._parameters[name].kind, Owners)
        }
        for name, value in (listing or {}).items():
            stricter = max if name.endswith(("_gt", "_gte")) else min
            both[name] = stricter(value, both.get(name, value))
        return {
            name: dates.for_query(value) if self.is_date(name) else value
            for name, value in both.items()
        }

    def changing_in(self, normal: Mapping[str, str]) -> list[str]:
        """Name the filters in use that a row can come to match after it was created."""
        return [name for name in normal if self._parameters[name].kind.changing]

    def is_date(self, name: str) -> bool:
        """Tell whether a parameter is a bound of a date."""
        return name in self._parameters and isinstance(self._parameters[name].kind, DateRange)


def _empty_ranges(field: str, normal: Mapping[str, str], order: Order) -> Iterator[str]:
    for low in ("gt", "gte"):
        for high in ("lt", "lte"):
            names = f"{field}_{low}", f"{field}_{high}"
            if names[0] in normal and names[1] in normal:
                least, most = (order(normal[name]) for name in names)
                if least > most or (least == most and (low, high) != ("gte", "lte")):
                    yield f"{names[0]} and {names[1]} leave nothing between them"


def _decimal_id(id_: str | int) -> str:
    if not _NUMBER.fullmatch(str(id_)):
        msg = f"{str(id_)!r} is not an id; ids are decimal numbers"
        raise ValueError(msg)
    return str(int(id_))


def _text_id(text: str) -> str:
    if not _TEXT_ID.fullmatch(text):
        msg = f"{text!r} is not an id; ids hold digits, letters and hyphens"
        raise ValueError(msg)
    return text
