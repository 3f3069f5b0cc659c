"""What a requester keeps on Tolokers: skills, bans, bonuses."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters


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
