"""What the apps API has: ready-made solutions, and the projects that use them.

Their ids are letters and digits. No reference tells whether `A` comes before or after `a`.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from typing_extensions import override

from tap_toloka.client import TolokaStream, warn_of_missing, with_any_date_in
from tap_toloka.fetch import Listing
from tap_toloka.filters import (
    Choice,
    DateRange,
    Filters,
    IdRange,
    Owners,
    Text,
    TextRange,
    Texts,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_toloka.fitting import Row
    from tap_toloka.lists import ListReader


class Apps(TolokaStream):
    """Solutions that projects can be made of."""

    name = "apps"
    path = "/app/v0/apps"
    page_cap = 1_000
    replication_key = None
    rows_in = "content"
    filters = Filters(lang=Text(), id=IdRange(None))


class AppProjects(TolokaStream):
    """Projects made of an app."""

    name = "app_projects"
    path = "/app/v0/app-projects"
    page_cap = 5_000
    changes_without_date = True
    rows_in = "content"
    filters = Filters(
        status=Choice("ARCHIVED", "CREATING", "ERROR", "READY", changing=True),
        scope=Choice("COMPANY", "MY", "REQUESTER_LIST"),
        app_id=Text(),
        parent_app_project_id=Text(),
        requester_ids=Texts(),
        name=TextRange(changing=True),
        id=IdRange(None),
        created=DateRange(),
    )


class AppByApp(TolokaStream):
    """Rows that Toloka lists by app project, any of which can have new ones."""

    page_cap = 1_000
    rows_in = "content"
    replication_key = "created_at"
    listed_by = "app_project_id"
    sharded = True
    selected_by_default = False

    @override
    def listings(self, lists: ListReader) -> Iterator[Listing]:
        wanted = self.owners("app_project_id")
        ids = lists.parents(
            "app projects",
            {},
            lambda: [project["id"] for project in lists.rows(AppProjects, ("id",))],
        )
        if lists.limit is None:
            warn_of_missing(self, "app_project_id", wanted.difference(ids))
        ids = sorted(id_ for id_ in ids if lists.shard.has(id_) and (not wanted or id_ in wanted))
        self.owners_found = len(ids)
        for id_ in ids:
            yield from self.changed_since(Listing(path={"app_project_id": id_}, owner=id_))


class AppBatches(AppByApp):
    """Batches of items."""

    name = "app_batches"
    path = "/app/v0/app-projects/{app_project_id}/batches"
    filters = Filters(
        status=Choice(
            "ARCHIVE",
            "CANCELLED",
            "COMPLETED",
            "ERROR",
            "LOADING",
            "NEW",
            "NO_MONEY",
            "PROCESSING",
            "QUEUED",
            "STOPPED",
            "STOPPING",
            changing=True,
        ),
        name=TextRange(changing=True),
        app_project_id=Owners(str),
        id=IdRange(None),
        created=DateRange(),
    )
    ended_at = "finished_at"

    @override
    def changed_since(self, listing: Listing) -> Iterator[Listing]:
        """Read all batches but those that had ended, as Toloka filters by `created` only."""
        start, earliest = self.progress.start_of(listing.owner), self.progress.start_date or ""
        if start is None or self.progress.is_first or not self.config["detect_changes"]:
            yield from super().changed_since(listing)
            return
        has_changed = with_any_date_in(("created_at", "finished_at"), start)

        def leave_out(row: Row) -> bool:
            had_ended = row.finished_at and not has_changed(row)
            return had_ended or (row.created_at or "") < earliest

        yield replace(self.filtered(listing, {}), leave_out=leave_out)


class AppItems(AppByApp):
    """Items that are labelled, and their results."""

    name = "app_items"
    path = "/app/v0/app-projects/{app_project_id}/items"
    change_dates = ("created", "finished")
    filters = Filters(
        status=Choice(
            "ARCHIVE",
            "CANCELLED",
            "COMPLETED",
            "ERROR",
            "NEW",
            "NO_MONEY",
            "PROCESSING",
            "STOPPED",
            changing=True,
        ),
        batch_id=Text(),
        app_project_id=Owners(str),
        id=IdRange(None),
        created=DateRange(),
        finished=DateRange(),
    )
