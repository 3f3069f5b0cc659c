"""What is known of each list of Toloka. A further list is one more `Resource`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 20  # as many as the largest number of 64 bits has


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The facts of a list that decide how it answers.

    Attributes:
        path: Where the list is; `{…}` stands for the id of its parent, and names the field of a row
            that holds it. A single row is at `path/{id}`.
        parent: Which list the parent is of.
        answers: The form: `items` or `content` in pages, a bare `array` of all, `rows` one by one
            by their ids only, or the `one` row that there is.
        cap: The most rows that `limit` may ask for.
        default_limit: How many rows come without `limit`.
        ids: Whether ids are decimal numbers, ordered as such, or texts; `positions` are integers.
        id_field: The field that holds the id, and that names the filters of it.
        within_parent: Whether ids are only unique within a parent.
        single: Whether there is a path for a single row.
        unanswered: Fields that are given to the emulator, and kept from its answers.
        dates: What can be filtered by date with `_gt`, `_gte`, `_lt`, `_lte`.
        texts: What can be filtered so, compared as text.
        numbers: What can be filtered so and by one value, as integers.
        exact: What can be filtered by one value; of an object, by its `id`.
        several: What can be filtered by several values, of which a row has one.
        members: Filters that name some values, of which a row may hold several. Rows with any of
            these pass; with `_ne` behind the filter's name, rows with none of them.
        holding: Filters by one value, of which a row may hold several.
        without_effect: Parameters that are taken, and decide nothing that the emulator knows of.
        fields: Where in a row the values of filters are, if not in a field of the filter's name.
        apart_by: The filter, or the field of the parent, by which rows are kept apart: what has the
            same value is found in time that does not grow with the rest.
        one_of: Filters of which at least one has to be there.
        needed_with: Filters that have to be there beside another one of this value.
        sort_by: What `sort` may name.
        values: What a filter may be, if that is not free.
    """

    path: str
    parent: str | None = None
    answers: Literal["items", "content", "array", "rows", "one"] = "items"
    cap: int = 0
    default_limit: int = 50
    ids: Literal["numbers", "texts", "positions"]
    id_field: str = "id"
    within_parent: bool = False
    single: bool = True
    unanswered: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    holding: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    apart_by: str | None = None
    one_of: tuple[str, ...] = ()
    needed_with: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sort_by: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def parent_field(self) -> str:
        """The field of a row that holds the id of its parent."""
        return self.path.partition("{")[2].partition("}")[0]

    @property
    def in_pages(self) -> bool:
        """Whether the list takes filters, a limit and an order."""
        return self.answers in {"items", "content"}

    def key(self, row_id: str) -> str:
        """Make an id comparable: numbers are filled up with zeros, so that texts order as they do.

        Raises:
            ValueError: The id should be a decimal number and is not.
        """
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


# openapi: the GET of each list; default: "Filtering requests" of the introduction; caps that the
# openapi does not tell: toloka-kit 1.2.3.
RESOURCES = {
    "projects": Resource(
        path="/api/v1/projects",
        cap=300,
        ids="numbers",
        dates=("created",),
        exact=("status", "owner"),
        sort_by=("id", "created", "public_name", "private_comment"),
        values={"status": ("ACTIVE", "ARCHIVED")},
    ),
    "pools": Resource(
        path="/api/v1/pools",
        cap=300,
        ids="numbers",
        dates=("created", "last_started"),
        exact=("status", "project_id"),
        sort_by=("id", "created", "last_started"),
        values={"status": ("OPEN", "CLOSED", "LOCKED", "ARCHIVED")},
    ),
    "trainings": Resource(
        path="/api/v1/trainings",
        cap=300,
        ids="numbers",
        dates=("created", "last_started"),
        exact=("status", "project_id"),
        sort_by=("id", "created", "last_started"),
        values={"status": ("OPEN", "CLOSED", "LOCKED", "ARCHIVED")},
    ),
    "skills": Resource(
        path="/api/v1/skills",
        cap=100,
        ids="numbers",
        dates=("created", "modified"),  # rows do not show the latter
        exact=("name", "global"),
        sort_by=("id", "created"),
        values={"global": ("true", "false")},
    ),
    "user_skills": Resource(
        path="/api/v1/user-skills",
        cap=1_000,
        ids="numbers",
        dates=("created", "modified"),
        exact=("user_id", "skill_id"),
        sort_by=("id", "created", "modified"),
    ),
    "user_restrictions": Resource(
        path="/api/v1/user-restrictions",
        cap=500,
        ids="numbers",
        dates=("created",),
        exact=("scope", "user_id", "pool_id", "project_id"),
        needed_with={("scope", "POOL"): "pool_id", ("scope", "PROJECT"): "project_id"},
        sort_by=("id", "created"),
        values={"scope": ("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM")},
    ),
    "user_bonuses": Resource(
        path="/api/v1/user-bonuses",
        cap=300,
        ids="numbers",
        dates=("created",),
        exact=("user_id", "assignment_id"),
        sort_by=("id", "created"),
    ),
    "message_threads": Resource(
        path="/api/v1/message-threads",
        single=False,
        cap=300,
        ids="texts",
        dates=("created",),
        members=("folder",),
        fields={"folder": "folders"},
        sort_by=("id", "created"),
        values={"folder": ("AUTOMATIC_NOTIFICATION", "IMPORTANT", "INBOX", "OUTBOX", "UNREAD")},
    ),
    "webhook_subscriptions": Resource(
        path="/api/v1/webhook-subscriptions",
        cap=300,
        ids="texts",
        dates=("created",),
        exact=("event_type", "pool_id"),
        sort_by=("id", "created"),
        values={
            "event_type": (
                "ASSIGNMENT_APPROVED",
                "ASSIGNMENT_CREATED",
                "ASSIGNMENT_EXPIRED",
                "ASSIGNMENT_REJECTED",
                "ASSIGNMENT_SKIPPED",
                "ASSIGNMENT_SUBMITTED",
                "DYNAMIC_OVERLAP_COMPLETED",
                "POOL_CLOSED",
                "TEST_EVENT",
            )
        },
    ),
    "operations": Resource(
        path="/api/v1/operations",
        cap=500,
        ids="texts",
        dates=("submitted", "finished"),
        exact=("type", "status"),
        sort_by=("id", "submitted", "finished"),
        values={
            "type": (
                "ANALYTICS",
                "POOL.ARCHIVE",
                "POOL.CLONE",
                "POOL.CLOSE",
                "POOL.OPEN",
                "PROJECT.ARCHIVE",
                "SOLUTION.AGGREGATE",
                "TASK_SUITE.BATCH_CREATE",
                "TASK.BATCH_CREATE",
                "TRAINING.ARCHIVE",
                "TRAINING.CLONE",
                "TRAINING.CLOSE",
                "TRAINING.OPEN",
                "USER_BONUS.BATCH_CREATE",
            ),
            "status": ("PENDING", "RUNNING", "SUCCESS", "FAIL"),
        },
    ),
    "assignments": Resource(
        path="/api/v1/assignments",
        cap=100_000,
        ids="texts",
        dates=("created", "submitted", "accepted", "rejected", "skipped", "expired"),
        exact=("pool_id", "task_suite_id", "user_id"),
        several=("status",),
        holding=("task_id",),
        fields={"task_id": "tasks[].id"},
        apart_by="pool_id",
        one_of=("pool_id", "task_suite_id", "task_id"),
        sort_by=("id", "created", "submitted", "accepted", "rejected", "skipped", "expired"),
        values={
            "status": ("ACTIVE", "SUBMITTED", "ACCEPTED", "REJECTED", "SKIPPED", "EXPIRED"),
        },
    ),
    "tasks": Resource(
        path="/api/v1/tasks",
        cap=100_000,
        ids="texts",
        dates=("created",),
        numbers=("overlap",),
        exact=("pool_id",),
        apart_by="pool_id",
        one_of=("pool_id",),
        sort_by=("id", "created"),
    ),
    "task_suites": Resource(
        path="/api/v1/task-suites",
        cap=100_000,
        ids="texts",
        dates=("created",),
        numbers=("overlap",),
        exact=("pool_id",),
        holding=("task_id",),
        fields={"task_id": "tasks[].id"},
        apart_by="pool_id",
        one_of=("pool_id", "task_id"),
        sort_by=("id", "created"),
    ),
    "attachments": Resource(
        path="/api/v1/attachments",
        cap=100,
        ids="texts",
        dates=("created",),
        exact=("pool_id", "assignment_id", "name", "type", "user_id"),
        fields={
            "pool_id": "details.pool_id",
            "assignment_id": "details.assignment_id",
            "type": "attachment_type",
            "user_id": "details.user_id",
        },
        apart_by="pool_id",
        one_of=("pool_id", "assignment_id"),
        sort_by=("id", "created"),
        values={"type": ("ASSIGNMENT_ATTACHMENT",)},
    ),
    "aggregated_solutions": Resource(
        path="/api/v1/aggregated-solutions/{operation_id}",
        parent="operations",
        cap=100_000,
        ids="texts",
        id_field="task_id",
        within_parent=True,
        single=False,
        unanswered=("operation_id",),
        apart_by="operation_id",
        sort_by=("task_id",),
    ),
    "operation_logs": Resource(
        path="/api/v1/operations/{operation_id}/log",
        parent="operations",
        answers="array",
        ids="positions",
        id_field="number",
        within_parent=True,
        single=False,
        unanswered=("operation_id", "number"),
        apart_by="operation_id",
    ),
    "requester": Resource(path="/api/v1/requester", answers="one", ids="texts", single=False),
    "user_metadata": Resource(path="/api/v1/user-metadata", answers="rows", ids="texts"),
    # The openapi of the apps API.
    "apps": Resource(
        path="/api/app/v0/apps",
        answers="content",
        cap=1_000,
        default_limit=100,
        ids="texts",
        without_effect=("lang",),
        sort_by=("id",),
    ),
    "app_projects": Resource(
        path="/api/app/v0/app-projects",
        answers="content",
        cap=5_000,
        default_limit=100,
        ids="texts",
        dates=("created",),
        texts=("name",),
        exact=("app_id", "parent_app_project_id", "status"),
        without_effect=("scope", "requester_ids"),  # rows do not tell who made a project
        sort_by=("id", "created", "name"),
        values={
            "status": ("ARCHIVED", "CREATING", "ERROR", "READY"),
            "scope": ("COMPANY", "MY", "REQUESTER_LIST"),
        },
    ),
    "app_items": Resource(
        path="/api/app/v0/app-projects/{app_project_id}/items",
        parent="app_projects",
        answers="content",
        cap=1_000,
        default_limit=100,
        ids="texts",
        dates=("created", "finished"),
        exact=("batch_id", "status"),
        fields={"created": "created_at", "finished": "finished_at"},
        apart_by="app_project_id",
        sort_by=("id", "created", "finished", "status"),
        values={
            "status": (
                "NEW",
                "PROCESSING",
                "COMPLETED",
                "ERROR",
                "CANCELLED",
                "ARCHIVE",
                "NO_MONEY",
                "STOPPED",
            )
        },
    ),
    "app_batches": Resource(
        path="/api/app/v0/app-projects/{app_project_id}/batches",
        parent="app_projects",
        answers="content",
        cap=1_000,
        default_limit=100,
        ids="texts",
        dates=("created",),
        texts=("name",),
        exact=("status",),
        fields={"created": "created_at"},
        apart_by="app_project_id",
        sort_by=("id", "created", "name", "status"),
        values={
            "status": (
                "NEW",
                "QUEUED",
                "PROCESSING",
                "COMPLETED",
                "ERROR",
                "CANCELLED",
                "NO_MONEY",
                "ARCHIVE",
                "LOADING",
                "STOPPING",
                "STOPPED",
            )
        },
    ),
}
"""The lists that the emulator serves, by the name that `/_emulator/{name}` takes."""
