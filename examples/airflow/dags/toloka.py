"""Loads Toloka every night: the account's lists, then shards side by side, then dbt.

Settings are environment variables, see README.md. Airflow runs Meltano by its path, so the two need
not be installed together.
"""

from __future__ import annotations

import importlib
import logging
import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, dag, task
from meltano_process import account_run, run_dbt, shard_run

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("toloka")


def function_at(path: str) -> Callable[..., Any]:
    """Import a function by its path, as `alerts.page`."""
    module, _, name = path.rpartition(".")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


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
        "on_failure_callback": function_at(on_failure) if on_failure else None,
    },
    params={
        "full_refresh": Param(default=False, type="boolean", description="Read everything again"),
        "shards": Param(
            int(os.environ.get("TOLOKA_SHARDS", "3")), type="integer", minimum=1, maximum=300
        ),
    },
)
def toloka() -> None:
    """Load Toloka, then build and check what is made of it."""

    @task
    def account(params: dict[str, Any]) -> list[str]:
        """Load the lists of the account, and return the shards of the rest."""
        account_run(logger, full_refresh=params["full_refresh"])
        count = params["shards"]
        return [f"{number}/{count}" for number in range(1, count + 1)]

    @task(pool="toloka", map_index_template="{{ task.op_kwargs['shard'] }}")
    def load(shard: str, params: dict[str, Any]) -> None:
        """Load a shard."""
        shard_run(shard, logger, full_refresh=params["full_refresh"])

    @task
    def build() -> None:
        """Build and test the models."""
        run_dbt("build", logger=logger)

    @task(retries=0)
    def freshness() -> None:
        """Fail if the account has not been read for long."""
        run_dbt("source", "freshness", logger=logger)

    load.expand(shard=account()) >> build() >> freshness()


toloka()
