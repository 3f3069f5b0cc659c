"""Tasks, and the suites that they are handed out in."""

from __future__ import annotations

from tap_toloka.filters import Filters
from tap_toloka.streams.pool_by_pool import PoolByPool


class Tasks(PoolByPool):
    """Tasks of pools."""

    name = "tasks"
    path = "/v1/tasks"
    page_cap = 100_000
    ended = ("ARCHIVED",)  # a closed pool can be given tasks
    filters = Filters(
        numbers=("overlap",),
        lists={"pool_id": int, "project_id": int},
        id_order=str,
        changing=("overlap",),
    )


class TaskSuites(PoolByPool):
    """Suites of tasks: those that the requester made, and those of smart mixing."""

    name = "task_suites"
    path = "/v1/task-suites"
    page_cap = 100_000
    ended = ("ARCHIVED",)  # a closed pool can be given suites
    filters = Filters(
        texts=("task_id",),
        numbers=("overlap",),
        lists={"pool_id": int, "project_id": int},
        id_order=str,
        changing=("overlap",),
    )
