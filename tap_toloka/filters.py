"""Filters of a list: which there are, as settings, and as parameters of a request."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from functools import partial

from tap_toloka import dates

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_toloka.ids import Order

BOUNDS = ("gt", "gte", "lt", "lte")
"""What Toloka's range parameters end with: `id_gt`, `created_lte`."""

_NUMBER = re.compile("[0-9]+")
_TEXT_ID = re.compile("[0-9A-Za-z-]+")


@dataclass(frozen=True)
class Filters:
    """The filters that one list of Toloka takes."""

    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fields that are compared with one value out of these."""
    several: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Fields that are compared with one or several values out of these."""
    flags: Sequence[str] = ()
    """Fields that are true or false."""
    texts: Sequence[str] = ()
    """Fields that are compared with one text; ids that are no numbers are texts, too."""
    many: Sequence[str] = ()
    """Fields that are compared with one or several texts."""
    names: Sequence[str] = ()
    """Fields with a range of texts."""
    references: Sequence[str] = ()
    """Fields that are compared with one id, a decimal number."""
    lists: Mapping[str, Order] = field(default_factory=dict)
    """Ids that choose which lists are read, of pools for one, and what they compare by; these are
    not sent with every request."""
    numbers: Sequence[str] = ()
    """Fields that are compared with one integer, and have a range."""
    ids: Sequence[str] = ("id",)
    """Fields with a range of ids."""
    id_order: Order = int
    """What ids compare by."""
    dates: Sequence[str] = ("created",)
    """Fields with a range of dates."""
    changing: Sequence[str] = ()
    """Those of the above whose value can change after a row was created."""

    def json_schema(self) -> dict[str, t.Any]:
        """Return the JSON Schema of these filters as a setting."""
        text = {"type": "string", "minLength": 1}
        number = {"type": ["string", "integer"]}
        texts = {"type": "array", "items": text, "minItems": 1}
        one, several = "Only rows with this {}.", "One or several values of {}."
        belongs = "One or several values of {}: only what belongs to these."
        id_ = number if self.id_order is int else text
        date = (
            "Bound of the date `{}`: YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.sss], UTC unless it "
            "carries a zone."
        )
        kinds: list[tuple[Iterable[str], dict[str, t.Any], str]] = [
            *(((name,), _enum(values), one) for name, values in self.choices.items()),
            *(
                ((name,), {**texts, "items": _enum(values)}, several)
                for name, values in self.several.items()
            ),
            (self.flags, {"type": "boolean"}, one),
            (self.texts, text, one),
            (self.many, texts, several),
            (self.references, number, one),
            *(
                ((name,), {**texts, "items": number if order is int else text}, belongs)
                for name, order in self.lists.items()
            ),
            (self.numbers, {"type": "integer"}, one),
            (_ranges(self.numbers), {"type": "integer"}, "Bound of {}."),
            (_ranges(self.names), text, "Bound of {}."),
            (_ranges(self.ids), id_, "Bound of {}."),
            (_ranges(self.dates), {"type": "string"}, date),
        ]
        properties = {
            name: {**kind, "description": words.format(_field_of(name))}
            for names, kind, words in kinds
            for name in names
        }
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def normal(self, setting: Mapping[str, t.Any]) -> dict[str, str]:
        """Return a setting in the one form in which it is compared and kept in state.

        Values are texts, as in a request: numbers are decimal digits, several values are sorted and
        joined by commas. Dates have the form of `tap_toloka.dates`.

        Raises:
            ValueError: If a value is no id or no date; names the filter.
        """
        normal = {}
        for name, value in sorted(setting.items()):
            try:
                normal[name] = self._normal(name, value)
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from None
        return normal

    def _normal(self, name: str, value: t.Any) -> str:  # noqa: ANN401  # checked by its schema
        as_id = _number if self.id_order is int else _text_id
        kinds: tuple[tuple[Iterable[str], Callable[[t.Any], str]], ...] = (
            (_ranges(self.dates), dates.canonical),
            (self.lists, partial(_joined, _number if self.lists.get(name) is int else _text_id)),
            ((*self.several, *self.many), partial(_joined, str)),
            (self.flags, lambda flag: str(flag).lower()),
            (self.references, _number),
            (_ranges(self.ids), as_id),
            ((*self.numbers, *_ranges(self.numbers)), lambda number: str(int(number))),
        )
        return next((convert(value) for names, convert in kinds if name in names), value)

    def parameters(
        self, normal: Mapping[str, str], context: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return normal filters as Toloka takes them.

        Args:
            normal: The filters of the settings.
            context: Parameters that single out a list, in the same form. Toloka ANDs parameters; of
                two bounds by the same name the stricter one goes out.
        """
        both = {name: value for name, value in normal.items() if name not in self.lists}
        for name, value in (context or {}).items():
            stricter = max if name.endswith(("_gt", "_gte")) else min
            both[name] = stricter(value, both.get(name, value))
        ranges = set(_ranges(self.dates))
        return {
            name: dates.for_query(value) if name in ranges else value
            for name, value in both.items()
        }

    def changing_in(self, normal: Mapping[str, str]) -> list[str]:
        """Name the filters in use that a row can come to pass after it was created."""
        return [name for name in normal if name in self.changing or name in _ranges(self.changing)]


def _ranges(names: Sequence[str]) -> Iterator[str]:
    return (f"{name}_{bound}" for name in names for bound in BOUNDS)


def _field_of(name: str) -> str:
    field, _, bound = name.rpartition("_")
    return field if bound in BOUNDS else name


def _enum(values: Sequence[str]) -> dict[str, t.Any]:
    return {"type": "string", "enum": list(values)}


def _joined(convert: Callable[[t.Any], str], values: Iterable[t.Any]) -> str:
    return ",".join(sorted(set(map(convert, values))))


def _number(id_: str | int) -> str:
    if not _NUMBER.fullmatch(str(id_)):
        msg = f"{str(id_)!r} is not an id; ids are decimal numbers"
        raise ValueError(msg)
    return str(int(id_))


def _text_id(text: str) -> str:
    if not _TEXT_ID.fullmatch(text):
        msg = f"{text!r} is not an id; ids hold digits, letters and hyphens"
        raise ValueError(msg)
    return text
