"""Filters of a list: which there are, as settings, and as parameters of a request."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from tap_toloka import dates

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
    references: Sequence[str] = ()
    """Fields that are compared with one id, a decimal number."""
    ids: Sequence[str] = ("id",)
    """Fields with a range of ids."""
    id_order: Callable[[str], t.Any] = int
    """What ids compare by: `int` if they are decimal numbers, `str` if they are texts."""
    dates: Sequence[str] = ("created",)
    """Fields with a range of dates."""
    changing: Sequence[str] = ()
    """Those of the above whose value can change after a row was created."""

    def json_schema(self) -> dict[str, t.Any]:
        """Return the JSON Schema of these filters as a setting."""
        number = {"type": ["string", "integer"]}
        text = {"type": "string", "minLength": 1}
        properties: dict[str, t.Any] = {
            **{
                name: {
                    "type": "string",
                    "enum": list(values),
                    "description": f"Only rows with this {name}.",
                }
                for name, values in self.choices.items()
            },
            **{
                name: {
                    "type": "array",
                    "items": {"type": "string", "enum": list(values)},
                    "minItems": 1,
                    "description": f"One or several values of {name}.",
                }
                for name, values in self.several.items()
            },
            **{
                name: {"type": "boolean", "description": f"Only rows with this {name}."}
                for name in self.flags
            },
            **{
                name: {**text, "description": f"Only rows with this {name}."} for name in self.texts
            },
            **{
                name: {**number, "description": f"Only rows with this {name}."}
                for name in self.references
            },
            **{
                name: {
                    **(number if self.id_order is int else text),
                    "description": f"Bound of the {name.rpartition('_')[0]}.",
                }
                for name in _ranges(self.ids)
            },
            **{
                name: {
                    "type": "string",
                    "description": (
                        f"Bound of the date `{name.rpartition('_')[0]}`: YYYY-MM-DD or "
                        "YYYY-MM-DDThh:mm:ss[.sss], UTC unless it carries a zone."
                    ),
                }
                for name in _ranges(self.dates)
            },
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
        decimal = self.id_order is int
        for name, value in sorted(setting.items()):
            try:
                if name in _ranges(self.dates):
                    normal[name] = dates.canonical(value)
                elif name in self.several:
                    normal[name] = ",".join(sorted(set(value)))
                elif name in self.flags:
                    normal[name] = str(value).lower()
                elif name in self.references:
                    normal[name] = _number(str(value))
                elif name in _ranges(self.ids):
                    normal[name] = _number(str(value)) if decimal else _text_id(value)
                else:
                    normal[name] = value
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from None
        return normal

    def parameters(self, normal: Mapping[str, str]) -> dict[str, str]:
        """Return normal filters as Toloka takes them."""
        ranges = set(_ranges(self.dates))
        return {
            name: dates.for_query(value) if name in ranges else value
            for name, value in normal.items()
        }

    def changing_in(self, normal: Mapping[str, str]) -> list[str]:
        """Name the filters in use that a row can come to pass after it was created."""
        return [name for name in normal if name in self.changing or name in _ranges(self.changing)]


def _ranges(names: Sequence[str]) -> Iterator[str]:
    return (f"{name}_{bound}" for name in names for bound in BOUNDS)


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        msg = f"{text!r} is not an id; ids are decimal numbers"
        raise ValueError(msg)
    return str(int(text))


def _text_id(text: str) -> str:
    if not _TEXT_ID.fullmatch(text):
        msg = f"{text!r} is not an id; ids hold digits, letters and hyphens"
        raise ValueError(msg)
    return text
