"""Tasks, and the suites that they are handed out in."""

from __future__ import annotations

from tap_toloka.filters import DateRange, Filters, IdRange, Number, Owners, Text
from tap_toloka.streams.pool_by_pool import PoolByPool


class Tasks(PoolByPool):
    """Tasks of pools."""

    name = "tasks"
    path = "/v1/tasks"
    page_cap = 100_000
    ended = ("ARCHIVED",)  # tasks can be added to a closed pool
    filters = Filters(
        overlap=Number(changing=True),
        pool_id=Owners(int),
        project_id=Owners(int),
        id=IdRange(str),
        created=DateRange(),
    )


class TaskSuites(PoolByPool):
    """Suites of tasks: those that the requester made, and those of smart mixing."""

    name = "task_suites"
    path = "/v1/task-suites"
    page_cap = 100_000
    ended = ("ARCHIVED",)  # suites can be added to a closed pool
    filters = Filters(
        task_id=Text(),
        overlap=Number(changing=True),
        pool_id=Owners(int),
        project_id=Owners(int),
        id=IdRange(str),
        created=DateRange(),
    )
