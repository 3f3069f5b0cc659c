"""Tolokers, and what a requester keeps on them: skills, bans, bonuses."""

from __future__ import annotations

import typing as t

from typing_extensions import override

from tap_toloka.client import TolokaStream
from tap_toloka.fetch import Listing
from tap_toloka.filters import Choice, DateRange, Filters, Flag, Id, IdRange, Owners, Text
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.pool_by_pool import matching_pools

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.lists import ListReader


class Skills(TolokaStream):
    """Skills that the requester can assign, including global ones."""

    name = "skills"
    path = "/v1/skills"
    page_cap = 100
    changes_without_date = True
    change_dates = ("created", "modified")
    filters = Filters(
        **{"global": Flag()},
        name=Text(),
        id=IdRange(int),
        created=DateRange(),
        modified=DateRange(),
    )


class UserSkills(TolokaStream):
    """Values of skills, one for each skill of each Toloker."""

    name = "user_skills"
    path = "/v1/user-skills"
    page_cap = 1_000
    replication_key = "modified"
    change_dates = ("modified",)
    filters = Filters(
        user_id=Text(),
        skill_id=Id(),
        id=IdRange(int),
        created=DateRange(),
        modified=DateRange(),
    )


class UserRestrictions(TolokaStream):
    """Bans of Tolokers."""

    name = "user_restrictions"
    path = "/v1/user-restrictions"
    page_cap = 500
    changes_without_date = True
    filters = Filters(
        scope=Choice("ALL_PROJECTS", "POOL", "PROJECT", "SYSTEM"),
        user_id=Text(),
        pool_id=Id(),
        project_id=Id(),
        id=IdRange(int),
        created=DateRange(),
    )


class UserBonuses(TolokaStream):
    """Bonuses that Tolokers got."""

    name = "user_bonuses"
    path = "/v1/user-bonuses"
    page_cap = 300
    filters = Filters(user_id=Text(), assignment_id=Text(), id=IdRange(int), created=DateRange())


class UserMetadata(TolokaStream):
    """What Toloka tells of each Toloker that was given an assignment."""

    name = "user_metadata"
    path = "/v1/user-metadata/{user_id}"
    replication_key = None
    listed_by = "user_id"
    sharded = True
    selected_by_default = False
    id_field = None
    rows_in = None
    filters = Filters(pool_id=Owners(int), project_id=Owners(int))

    @override
    def listings(self, lists: ListReader) -> Iterator[Listing]:
        pools = matching_pools(self, lists)
        listings = (Listing(params={"pool_id": pool.id}, owner=pool.id) for pool in pools)
        seen = lists.rows(Assignments, ("user_id",), listings=listings)
        found = {assignment["user_id"] for assignment in seen} - {None, ""}
        # One Toloker works in many pools, and must not be read by two shards.
        user_ids = sorted(filter(lists.shard.has, found))
        self.owners_found = len(user_ids)
        for user_id in user_ids:
            yield Listing(path={"user_id": user_id}, owner=user_id)
