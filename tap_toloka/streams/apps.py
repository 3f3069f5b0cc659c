"""What the apps API has: ready-made solutions, and what they are used for."""

from __future__ import annotations

import sys
import typing as t

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context


class Apps(TolokaStream):
    """Solutions that projects can be made of."""

    name = "apps"
    path = "/app/v0/apps"
    page_cap = 1_000
    replication_key = None
    rows_in = "content"
    filters = Filters(texts=("lang",), id_order=str, dates=())


class AppProjects(TolokaStream):
    """Projects made of an app."""

    name = "app_projects"
    path = "/app/v0/app-projects"
    page_cap = 5_000
    rows_in = "content"
    filters = Filters(
        choices={
            "status": ("ARCHIVED", "CREATING", "ERROR", "READY"),
            "scope": ("COMPANY", "MY", "REQUESTER_LIST"),
        },
        texts=("app_id", "parent_app_project_id"),
        many=("requester_ids",),
        names=("name",),
        id_order=str,
        changing=("status", "name"),
    )


class AppByApp(TolokaStream):
    """Rows that Toloka lists by project of an app, any of which can have new ones."""

    page_cap = 1_000
    rows_in = "content"
    replication_key = "created_at"
    listed_by = "app_project_id"
    selected_by_default = False

    @override
    def contexts(self) -> Iterator[Context]:
        chosen = self.filters_in_use.get("app_project_id", "")
        ids = [project["id"] for project in self.rows_of(AppProjects, ("id",))]
        for id_ in ids:
            if not chosen or id_ in chosen.split(","):
                yield from self.changed_since({"app_project_id": id_})


class AppBatches(AppByApp):
    """Batches of items."""

    name = "app_batches"
    path = "/app/v0/app-projects/{app_project_id}/batches"
    filters = Filters(
        choices={
            "status": (
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
            )
        },
        names=("name",),
        lists={"app_project_id": str},
        id_order=str,
        changing=("status", "name"),
    )


class AppItems(AppByApp):
    """Items that are labelled, and their results."""

    name = "app_items"
    path = "/app/v0/app-projects/{app_project_id}/items"
    change_dates = ("created", "finished")
    filters = Filters(
        choices={
            "status": (
                "ARCHIVE",
                "CANCELLED",
                "COMPLETED",
                "ERROR",
                "NEW",
                "NO_MONEY",
                "PROCESSING",
                "STOPPED",
            )
        },
        texts=("batch_id",),
        lists={"app_project_id": str},
        id_order=str,
        dates=change_dates,
        changing=("status",),
    )
