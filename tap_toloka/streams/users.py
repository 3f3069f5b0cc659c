"""Tolokers, and what a requester keeps on them: skills, bans, bonuses."""

from __future__ import annotations

import sys
import typing as t

from tap_toloka.client import TolokaStream, WholeAnswer
from tap_toloka.filters import Filters
from tap_toloka.streams.assignments import Assignments

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context


class Skills(TolokaStream):
    """Skills that the requester can assign, global ones among them."""

    name = "skills"
    path = "/v1/skills"
    page_cap = 100
    filters = Filters(
        texts=("name",),
        flags=("global",),
        dates=("created", "modified"),
        changing=("name", "modified"),
    )


class UserSkills(TolokaStream):
    """Values of skills, one for each skill of each Toloker."""

    name = "user_skills"
    path = "/v1/user-skills"
    page_cap = 1_000
    replication_key = "modified"
    change_dates = ("modified",)
    filters = Filters(
        texts=("user_id",),
        references=("skill_id",),
        dates=("created", "modified"),
    )


class UserRestrictions(TolokaStream):
    """Bans of Tolokers."""

    name = "user_restrictions"
    path = "/v1/user-restrictions"
    page_cap = 500
    filters = Filters(
        choices={"scope": ("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM")},
        texts=("user_id",),
        references=("pool_id", "project_id"),
    )


class UserBonuses(TolokaStream):
    """Bonuses that Tolokers got."""

    name = "user_bonuses"
    path = "/v1/user-bonuses"
    page_cap = 300
    filters = Filters(texts=("user_id", "assignment_id"))


class UserMetadata(WholeAnswer):
    """What Toloka tells of each Toloker that was given an assignment."""

    name = "user_metadata"
    path = "/v1/user-metadata/{user_id}"
    replication_key = None
    listed_by = "user_id"
    selected_by_default = False
    filters = Filters(lists={"pool_id": int, "project_id": int}, ids=(), dates=())

    @override
    def contexts(self) -> Iterator[Context]:
        seen = self.rows_of(Assignments, ("user_id",), self.filters_in_use)
        for user_id in dict.fromkeys(assignment["user_id"] for assignment in seen):
            if user_id:
                yield {"user_id": user_id}
