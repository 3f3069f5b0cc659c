"""The maker of rows, for all lists: fields and ranges of the views of the openapi."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from toloka_emulator.data import apps, people, pools, values, work
from toloka_emulator.data.values import LOGGED_IDS, AnyFormDice, Dice, Json
from toloka_emulator.server.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FIRST_DATE = datetime(2019, 3, 1, tzinfo=timezone.utc)
LAST_DATE = datetime(2026, 10, 31, tzinfo=timezone.utc)

# Makes what is not given of a row, from when it came to be and what is known of it.
MAKERS: dict[str, Callable[[Dice, datetime, Json], Json]]
MAKERS = {**pools.MAKERS, **people.MAKERS, **work.MAKERS, **apps.MAKERS}

# What the first rows of a list are, as others refer to them.
_FIRST: dict[str, Sequence[Json]] = {
    "apps": [{"id": known} for known in values.APP_IDS],
    "app_projects": [{"id": known} for known in values.APP_PROJECT_IDS],
    "app_batches": [{"id": known} for known in values.BATCH_IDS],
    "user_metadata": [{"id": known} for known in values.USER_IDS],
    "operations": [
        *({"id": known, "type": "SOLUTION.AGGREGATE"} for known in values.AGGREGATION_IDS),
        *({"id": known, "type": kind} for known, kind in LOGGED_IDS.items()),
    ],
}

# Fields that no row lacks, beside ids and dates: what the openapi requires, what toloka-kit 1.2.3
# cannot do without, and what tells of other fields.
_REQUIRED = {
    "pools": {*pools.make_pool("", "")},
    "projects": {"assignments_issuing_type", "assignments_issuing_view_config"},
    "user_restrictions": {"scope"},
    "user_skills": {"skill_id", "user_id", "value"},
    "user_bonuses": {"user_id", "amount"},
    "operations": {"type"},
    "operation_logs": {"type"},
    "assignments": {"status"},
    "tasks": {"overlap", "infinite_overlap"},
    "task_suites": {"tasks", "overlap", "infinite_overlap"},
    "attachments": {"attachment_type"},
    "app_items": {"input_data"},
}


def make_row(name: str, dice: Dice, at: datetime, /, **fields: object) -> Json:
    """Make a row of a list with all fields that such a row can have.

    Args:
        name: Which list, by the names of `RESOURCES`.
        dice: Decides what is not given.
        at: When the row came to be, with a zone. Other dates of it come later.
        fields: What is given; what the maker makes goes with a `pool_id`, `status`, `type` and
            the like that are.
    """
    resource = RESOURCES[name]
    facts: Json = {}
    if resource.ids == "numbers":
        facts["id"] = str(dice.randrange(900_000, 10**12))
    for date in resource.dates[:1]:
        facts[resource.field_of(date)] = dice.print_date(at)
    facts |= fields
    return {**facts, **MAKERS[name](dice, at, facts), **fields}


def make_rows(name: str, count: int, *, seed: int = 0) -> Iterator[Json]:
    """Make rows of a list, the same ones for the same arguments.

    Numbers as ids rise with gaps, from six digits to seven. Dates rise with them, if not always, in
    all the forms that Toloka prints, and now and then two rows have the same. All fields of the
    reference are there in some rows; what is no key and no date is also null or absent in some.
    Rows that belong to others refer to a few: those of `POOL_IDS`, `USER_IDS`, `AGGREGATION_IDS`,
    `LOGGED_IDS`, `APP_PROJECT_IDS`; operations, app projects and the like begin with these.

    Args:
        name: Which list, by the names of `RESOURCES`.
        count: How many; of the list that has one row alone, that one whole.
        seed: Other rows for another seed.
    """
    dice = AnyFormDice(f"{name} {seed}")
    resource, first, always = RESOURCES[name], _FIRST.get(name, ()), _never_missing(name)
    if resource.answers == "one":
        yield from [make_row(name, dice, FIRST_DATE)][:count]
        return
    number = max(10**6 - 4 * count, 0)  # in the middle the numbers get a digit more
    at = FIRST_DATE
    for place in range(count):
        number += dice.randrange(1, 16)
        if dice.chance(0.95):
            share = (place + dice.uniform(-3, 3)) / count
            at = FIRST_DATE + (LAST_DATE - FIRST_DATE) * min(max(share, 0), 1)
        fields = dict(first[place]) if place < len(first) else {}
        if resource.ids == "numbers":
            fields["id"] = str(number)
        if name == "operation_logs":
            fields |= {"operation_id": [*LOGGED_IDS][place % 3], "number": place // 3}
        row = make_row(name, dice, at, **fields)
        for field in [field for field in row if field not in always]:
            if dice.chance(0.1):
                row[field] = None
            elif dice.chance(0.1):
                del row[field]
        yield row


def make_pools(count: int, *, seed: int = 0) -> Iterator[Json]:
    """Make pools, some 2.3 KB of JSON each; one in twenty is a training's."""
    return make_rows("pools", count, seed=seed)


def _never_missing(name: str) -> set[str]:
    resource = RESOURCES[name]
    filters = (*resource.dates, resource.group_by)
    fields = {resource.field_of(name).partition(".")[0] for name in filters}
    return {resource.id_field, *resource.unanswered, *fields, *_REQUIRED.get(name, ())}
