"""What is known of each list of Toloka. A further list is one more `Resource`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 20  # as many as the largest number of 64 bits has


@dataclass(frozen=True)
class Filter:
    """A filter of a list.

    Kinds: `date`, `text` and `number` compare, with `_gt`, `_gte`, `_lt`, `_lte` behind the name of
    the filter; `number` is also given as it is, as a `value` is. Of an object, the value is its
    `id`. Several `values` may be given, of which a row has one. Of `members` too, of which a row
    may hold several: rows with any of these pass, or with `_ne` rows with none. Of what it is
    `holding`, a row has several, and one is given. `ignored` decides nothing.
    """

    kind: Literal["date", "text", "number", "value", "values", "members", "holding", "ignored"]
    values: tuple[str, ...] = ()  # what may be given, if that is not free
    field: str = ""  # where in a row the value is, if not in a field of the filter's name


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The facts of a list that decide how it answers.

    A list answers with pages of `items`, or in the apps API of `content`; with a bare `array` of
    all; `rows` come one by one by their ids only; or there is `one` row alone. Ids are decimal
    numbers, ordered as such, or texts, or integers that are positions. Texts are ordered by code
    point, or collated: by letters first, and by case only where these are the same.
    """

    path: str  # {…} stands for the id of a parent; a single row is at `path/{id}`
    answers: Literal["items", "content", "array", "rows", "one"] = "items"
    cap: int = 0  # the most rows that `limit` may ask for
    ids: Literal["numbers", "texts", "collated", "positions"] = "texts"
    id_field: str = "id"  # holds the id, and names the filters of it
    single: bool = True  # whether there is a path for a single row
    # Fields that are given to the emulator, and kept from its answers: what tells the parent, and
    # the position; a date that rows do not show.
    unanswered: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)  # beside those of the id
    one_of: tuple[str, ...] = ()  # filters of which at least one has to be there
    # Filters that have to be there beside another one of this value.
    needed_with: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sort_by: tuple[str, ...] = ()  # what `sort` may name, if not the id and the dates

    @cached_property
    def parent_field(self) -> str:
        """The field of a row that holds the id of its parent, if the list has one."""
        return self.path.partition("{")[2].partition("}")[0]

    @property
    def ids_by_parent(self) -> bool:
        """Whether ids are only unique within a parent, which rows do not tell."""
        return self.parent_field in self.unanswered

    @property
    def parent(self) -> str:
        """Which list the parent is of."""
        return f"{self.parent_field.removesuffix('_id')}s" if self.parent_field else ""

    @cached_property
    def group_by(self) -> str:
        """The filter, or the field of the parent, by which rows are kept in groups.

        A page of a group is found in time that does not grow with the other groups.
        """
        return self.parent_field or ("pool_id" if "pool_id" in self.one_of else "")

    @cached_property
    def dates(self) -> list[str]:
        """The filters by date; the first is when a row came to be."""
        return [name for name, known in self.filters.items() if known.kind == "date"]

    @cached_property
    def sorts(self) -> tuple[str, ...]:
        """What `sort` may name."""
        return self.sort_by or (self.id_field, *self.dates)

    @property
    def default_limit(self) -> int:
        """How many rows come without `limit`."""
        return 100 if self.answers == "content" else 50

    @property
    def in_pages(self) -> bool:
        """Whether the list takes filters, a limit and an order."""
        return self.answers in {"items", "content"}

    def field_of(self, name: str) -> str:
        """Say where in a row the value of a filter is, as `created` or `details.pool_id`."""
        return self.filters[name].field or name if name in self.filters else name

    def kind_of(self, name: str) -> str:
        """Say how the values of a filter, or of what rows are sorted by, compare."""
        return self.filters[name].kind if name in self.filters else "value"

    def key(self, row_id: str) -> str:
        """Make an id comparable: numbers are filled up with zeros, so that texts order as they do.

        Raises:
            ValueError: The id should be a decimal number and is not.
        """
        if self.ids == "collated":
            return f"{row_id.casefold()} {row_id}"
        return row_id if self.ids == "texts" else as_number(row_id)


def as_number(text: str) -> str:
    """Fill a decimal number up with zeros.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", text):
        msg = f"not a decimal number: {text!r}"
        raise ValueError(msg)
    return text.zfill(_DIGITS)


_DATE, _VALUE, _NUMBER = Filter("date"), Filter("value"), Filter("number")
_CREATED = {"created": _DATE}
_POOL_FILTERS = {
    **_CREATED,
    "last_started": _DATE,
    "status": Filter("value", ("OPEN", "CLOSED", "LOCKED", "ARCHIVED")),
    "project_id": _VALUE,
}
_TASK_FILTERS = {**_CREATED, "overlap": _NUMBER, "pool_id": _VALUE}
_HOLDING_TASK = Filter("holding", field="tasks[].id")
_FOLDERS = ("AUTOMATIC_NOTIFICATION", "IMPORTANT", "INBOX", "OUTBOX", "UNREAD")
_SCOPES = ("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM")
_OPERATIONS = (
    "ANALYTICS",
    "KNOWN_SOLUTIONS.GENERATE",  # toloka-kit 1.2.3
    *(f"POOL.{action}" for action in ("ARCHIVE", "CLONE", "CLOSE", "OPEN")),
    "PROJECT.ARCHIVE",
    "SOLUTION.AGGREGATE",
    *(f"{made}.BATCH_CREATE" for made in ("TASK", "TASK_SUITE", "USER_BONUS")),
    *(f"TRAINING.{action}" for action in ("ARCHIVE", "CLONE", "CLOSE", "OPEN")),
)
_ASSIGNMENT_STATUSES = ("ACTIVE", "SUBMITTED", "ACCEPTED", "REJECTED", "SKIPPED", "EXPIRED")
_STEPS = ("APPROVED", "CREATED", "EXPIRED", "REJECTED", "SKIPPED", "SUBMITTED")
_EVENTS = (
    *(f"ASSIGNMENT_{step}" for step in _STEPS),
    "DYNAMIC_OVERLAP_COMPLETED",
    "POOL_CLOSED",
    "TEST_EVENT",
)
_FAILED_STATUSES = ("ERROR", "CANCELLED", "ARCHIVE", "NO_MONEY", "STOPPED")
_ITEM_STATUSES = ("NEW", "PROCESSING", "COMPLETED", *_FAILED_STATUSES)
_BATCH_STATUSES = ("LOADING", "QUEUED", "STOPPING", *_ITEM_STATUSES)

# openapi: the GET of each list; default: "Filtering requests" of the introduction; caps that the
# openapi does not tell: toloka-kit 1.2.3.
RESOURCES = {
    "projects": Resource(
        path="/api/v1/projects",
        cap=300,
        ids="numbers",
        filters={**_CREATED, "status": Filter("value", ("ACTIVE", "ARCHIVED")), "owner": _VALUE},
        sort_by=("id", "created", "public_name", "private_comment"),
    ),
    "pools": Resource(path="/api/v1/pools", cap=300, ids="numbers", filters=_POOL_FILTERS),
    "trainings": Resource(path="/api/v1/trainings", cap=300, ids="numbers", filters=_POOL_FILTERS),
    "skills": Resource(
        path="/api/v1/skills",
        cap=100,
        ids="numbers",
        filters={
            **_CREATED,
            "modified": _DATE,
            "name": _VALUE,
            "global": Filter("value", ("true", "false")),
        },
        sort_by=("id", "created"),
        unanswered=("modified",),
    ),
    "user_skills": Resource(
        path="/api/v1/user-skills",
        cap=1_000,
        ids="numbers",
        filters={**_CREATED, "modified": _DATE, "user_id": _VALUE, "skill_id": _VALUE},
    ),
    "user_restrictions": Resource(
        path="/api/v1/user-restrictions",
        cap=500,
        ids="numbers",
        filters={
            **_CREATED,
            "scope": Filter("value", _SCOPES),
            "user_id": _VALUE,
            "pool_id": _VALUE,
            "project_id": _VALUE,
        },
        needed_with={("scope", "POOL"): "pool_id", ("scope", "PROJECT"): "project_id"},
    ),
    "user_bonuses": Resource(
        path="/api/v1/user-bonuses",
        cap=300,
        ids="numbers",
        filters={**_CREATED, "user_id": _VALUE, "assignment_id": _VALUE},
    ),
    "message_threads": Resource(
        path="/api/v1/message-threads",
        single=False,
        cap=300,
        filters={**_CREATED, "folder": Filter("members", _FOLDERS, field="folders")},
    ),
    "webhook_subscriptions": Resource(
        path="/api/v1/webhook-subscriptions",
        cap=300,
        filters={**_CREATED, "event_type": Filter("value", _EVENTS), "pool_id": _VALUE},
    ),
    "operations": Resource(
        path="/api/v1/operations",
        cap=500,
        filters={
            "submitted": _DATE,
            "finished": _DATE,
            "type": Filter("value", _OPERATIONS),
            "status": Filter("value", ("PENDING", "RUNNING", "SUCCESS", "FAIL")),
        },
    ),
    "assignments": Resource(
        path="/api/v1/assignments",
        cap=100_000,
        filters={
            **_CREATED,
            **{status.lower(): _DATE for status in _ASSIGNMENT_STATUSES[1:]},
            "pool_id": _VALUE,
            "task_suite_id": _VALUE,
            "task_id": _HOLDING_TASK,
            "user_id": _VALUE,
            "status": Filter("values", _ASSIGNMENT_STATUSES),
        },
        one_of=("pool_id", "task_suite_id", "task_id"),
    ),
    "tasks": Resource(
        path="/api/v1/tasks", cap=100_000, filters=_TASK_FILTERS, one_of=("pool_id",)
    ),
    "task_suites": Resource(
        path="/api/v1/task-suites",
        cap=100_000,
        filters={**_TASK_FILTERS, "task_id": _HOLDING_TASK},
        one_of=("pool_id", "task_id"),
    ),
    "attachments": Resource(
        path="/api/v1/attachments",
        cap=100,
        filters={
            **_CREATED,
            "name": _VALUE,
            "type": Filter("value", ("ASSIGNMENT_ATTACHMENT",), field="attachment_type"),
            **{
                name: Filter("value", field=f"details.{name}")
                for name in ("pool_id", "assignment_id", "user_id")
            },
        },
        one_of=("pool_id", "assignment_id"),
    ),
    "aggregated_solutions": Resource(
        path="/api/v1/aggregated-solutions/{operation_id}",
        cap=100_000,
        id_field="task_id",
        single=False,
        unanswered=("operation_id",),
    ),
    "operation_logs": Resource(
        path="/api/v1/operations/{operation_id}/log",
        answers="array",
        ids="positions",
        id_field="number",
        single=False,
        unanswered=("operation_id", "number"),
    ),
    "requester": Resource(path="/api/v1/requester", answers="one", single=False),
    "user_metadata": Resource(path="/api/v1/user-metadata", answers="rows"),
    # The openapi of the apps API. It does not tell how ids are ordered: as a database may do it
    # that is not the one of the other lists.
    "apps": Resource(
        path="/api/app/v0/apps",
        answers="content",
        cap=1_000,
        ids="collated",
        filters={"lang": Filter("ignored")},
    ),
    "app_projects": Resource(
        path="/api/app/v0/app-projects",
        answers="content",
        cap=5_000,
        ids="collated",
        filters={
            **_CREATED,
            "name": Filter("text"),
            "app_id": _VALUE,
            "parent_app_project_id": _VALUE,
            "status": Filter("value", ("ARCHIVED", "CREATING", "ERROR", "READY")),
            # Rows do not tell who made a project.
            "scope": Filter("ignored", ("COMPANY", "MY", "REQUESTER_LIST")),
            "requester_ids": Filter("ignored"),
        },
        sort_by=("id", "created", "name"),
    ),
    "app_items": Resource(
        path="/api/app/v0/app-projects/{app_project_id}/items",
        answers="content",
        cap=1_000,
        ids="collated",
        filters={
            "created": Filter("date", field="created_at"),
            "finished": Filter("date", field="finished_at"),
            "batch_id": _VALUE,
            "status": Filter("value", _ITEM_STATUSES),
        },
        sort_by=("id", "created", "finished", "status"),
    ),
    "app_batches": Resource(
        path="/api/app/v0/app-projects/{app_project_id}/batches",
        answers="content",
        cap=1_000,
        ids="collated",
        filters={
            "created": Filter("date", field="created_at"),
            "name": Filter("text"),
            "status": Filter("value", _BATCH_STATUSES),
        },
        sort_by=("id", "created", "name", "status"),
    ),
}
"""The lists that the emulator serves, by the name that `/_emulator/{name}` takes."""
