"""Settings with each filter that a list takes."""

from __future__ import annotations

from typing import Any

from tap_toloka import filters as kinds
from toloka_emulator import APP_PROJECT_IDS, POOL_IDS

LOWER, UPPER = "2024-05-06", "2024-05-08"
_OWNERS = {"pool_id": POOL_IDS[0], "project_id": "81776", "app_project_id": APP_PROJECT_IDS[0]}


def every_filter(filters: kinds.Filters) -> dict[str, Any]:
    """Make a setting with each filter that there is, each with a value that is right."""
    return {
        name: _value(field, name, kind)
        for field, kind in filters.kinds.items()
        for name in kind.parameters(field)
    }


def _value(field: str, name: str, kind: kinds.Kind) -> Any:
    lower = name == field or name.endswith(("_gt", "_gte"))
    number = 17 if lower else 19
    values: list[tuple[type[kinds.Kind], Any]] = [
        (kinds.Owners, [_OWNERS.get(field, "0af-17")]),
        (kinds.Choices, [*getattr(kind, "values", ())[1:], *getattr(kind, "values", ())[1:2]]),
        (kinds.Choice, [*getattr(kind, "values", ()), ""][0]),
        (kinds.Texts, ["b1", "a1"]),
        (kinds.Flag, True),
        (kinds.DateRange, LOWER if lower else UPPER),
        (kinds.Number, 3 if lower else 5),
        (kinds.IdRange, str(number) if getattr(kind, "order", int) is int else f"0af-{number}"),
        (kinds.Id, 81776),
        (kinds.Kind, "a1b0 №"),
    ]
    return next(value for type_, value in values if isinstance(kind, type_))


def as_parameter(value: Any) -> str:
    """Write the value of a filter as it is sent."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(sorted({*value}))
    return f"{value}T00:00:00.000" if value in {LOWER, UPPER} else str(value)


def owners_in(filters: kinds.Filters) -> set[str]:
    """Return the filters that choose which lists are read, and are not sent."""
    return {field for field, kind in filters.kinds.items() if isinstance(kind, kinds.Owners)}
