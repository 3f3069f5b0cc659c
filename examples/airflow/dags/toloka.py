"""Loads Toloka every night: the streams of the account, then shards side by side, then dbt.

Settings are environment variables, see README.md. Airflow runs Meltano by its path, so the two need
not be installed together.
"""

from __future__ import annotations

import logging
import os
import pkgutil
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Param, dag, task
from meltano_process import account_run, run_dbt, shard_run

logger = logging.getLogger("toloka")


SHARDS = int(os.environ.get("TOLOKA_SHARDS", "3"))
on_failure = os.environ.get("TOLOKA_ON_FAILURE")


@dag(
    dag_id="toloka",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,  # Meltano refuses a second run with the same state ID
    default_args={
        "retries": int(os.environ.get("TOLOKA_RETRIES", "3")),  # from the last checkpoint on
        # A Meltano that was killed looks alive for five minutes, and so a retry would be refused.
        "retry_delay": timedelta(minutes=float(os.environ.get("TOLOKA_RETRY_MINUTES", "6"))),
        # Without one, a task that hangs would keep out all later nights.
        "execution_timeout": timedelta(hours=float(os.environ.get("TOLOKA_TIMEOUT_HOURS", "6"))),
        "on_failure_callback": pkgutil.resolve_name(on_failure) if on_failure else None,
    },
    params={
        "full_refresh": Param(default=False, type="boolean", description="Read everything again"),
    },
)
def toloka() -> None:
    """Load Toloka, then build and check what is made of it."""

    @task
    def account(params: dict[str, Any]) -> list[int]:
        """Load the streams of the account, and return the numbers of the shards."""
        account_run(SHARDS, logger, full_refresh=params["full_refresh"])
        return list(range(1, SHARDS + 1))

    @task(pool="toloka", map_index_template="{{ task.op_kwargs['shard'] }}")
    def load(shard: int, params: dict[str, Any]) -> None:
        """Load a shard."""
        shard_run(shard, SHARDS, logger, full_refresh=params["full_refresh"])

    @task
    def build() -> None:
        """Build and test the models."""
        run_dbt("build", logger)

    @task(retries=0)
    def freshness() -> None:
        """Fail if the account has not been read for long."""
        run_dbt("freshness", logger)

    load.expand(shard=account()) >> build() >> freshness()


toloka()
