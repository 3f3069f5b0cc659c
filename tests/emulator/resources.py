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
        path: Where the list is; a single row is at `path/{id}`.
        cap: The most rows that `limit` may ask for.
        default_limit: How many rows come without `limit`.
        ids: Whether ids are decimal numbers, ordered as such, or texts.
        dates: Fields that can be filtered with `_gt`, `_gte`, `_lt`, `_lte`.
        exact: Fields that can be filtered by one value; of an object, by its `id`.
        members: Fields that hold several values, by the filter that names some of them. Rows with
            any of these pass; with `_ne` behind the filter's name, rows with none of them.
        one_of: Filters of which at least one has to be there.
        needed_with: Filters that have to be there beside another one of this value.
        sort_by: Fields that `sort` may name.
        values: What a filter may be, if that is not free.
    """

    path: str
    cap: int
    default_limit: int
    ids: Literal["numbers", "texts"]
    dates: tuple[str, ...]
    exact: tuple[str, ...] = ()
    members: Mapping[str, str] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    needed_with: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sort_by: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def key(self, row_id: str) -> str:
        """Make an id comparable: numbers are filled up with zeros, so that texts order as they do.

        Raises:
            ValueError: The id should be a decimal number and is not.
        """
        if self.ids == "texts":
            return row_id
        if not re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", row_id):
            msg = f"not a decimal number: {row_id!r}"
            raise ValueError(msg)
        return row_id.zfill(_DIGITS)


# openapi: the GET of each list; default: "Filtering requests" of the introduction; caps that the
# openapi does not tell: toloka-kit 1.2.3.
RESOURCES = {
    "projects": Resource(
        path="/api/v1/projects",
        cap=300,
        default_limit=50,
        ids="numbers",
        dates=("created",),
        exact=("status", "owner"),
        sort_by=("id", "created", "public_name", "private_comment"),
        values={"status": ("ACTIVE", "ARCHIVED")},
    ),
    "pools": Resource(
        path="/api/v1/pools",
        cap=300,
        default_limit=50,
        ids="numbers",
        dates=("created", "last_started"),
        exact=("status", "project_id"),
        sort_by=("id", "created", "last_started"),
        values={"status": ("OPEN", "CLOSED", "LOCKED", "ARCHIVED")},
    ),
    "trainings": Resource(
        path="/api/v1/trainings",
        cap=300,
        default_limit=50,
        ids="numbers",
        dates=("created", "last_started"),
        exact=("status", "project_id"),
        sort_by=("id", "created", "last_started"),
        values={"status": ("OPEN", "CLOSED", "LOCKED", "ARCHIVED")},
    ),
    "skills": Resource(
        path="/api/v1/skills",
        cap=100,
        default_limit=50,
        ids="numbers",
        dates=("created", "modified"),  # rows do not show the latter
        exact=("name", "global"),
        sort_by=("id", "created"),
        values={"global": ("true", "false")},
    ),
    "user_skills": Resource(
        path="/api/v1/user-skills",
        cap=1_000,
        default_limit=50,
        ids="numbers",
        dates=("created", "modified"),
        exact=("user_id", "skill_id"),
        sort_by=("id", "created", "modified"),
    ),
    "user_restrictions": Resource(
        path="/api/v1/user-restrictions",
        cap=500,
        default_limit=50,
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
        default_limit=50,
        ids="numbers",
        dates=("created",),
        exact=("user_id", "assignment_id"),
        sort_by=("id", "created"),
    ),
    "message_threads": Resource(
        path="/api/v1/message-threads",
        cap=300,
        default_limit=50,
        ids="texts",
        dates=("created",),
        members={"folder": "folders"},
        sort_by=("id", "created"),
        values={"folder": ("AUTOMATIC_NOTIFICATION", "IMPORTANT", "INBOX", "OUTBOX", "UNREAD")},
    ),
    "webhook_subscriptions": Resource(
        path="/api/v1/webhook-subscriptions",
        cap=300,
        default_limit=50,
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
        default_limit=50,
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
}
"""The lists that the emulator serves, by the name that `/_emulator/{name}` takes."""
