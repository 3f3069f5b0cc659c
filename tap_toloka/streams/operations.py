"""Operations that Toloka carries out on its own time."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Filters


class Operations(TolokaStream):
    """Operations that the requester started."""

    name = "operations"
    path = "/v1/operations"
    page_cap = 500
    replication_key = "submitted"
    filters = Filters(
        choices={
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
        dates=("submitted", "finished"),
        id_order=str,
        changing=("status", "finished"),
    )
