"""Loads a Toloka account every night: its lists, then shards of it side by side, dbt, freshness.

Copy this file and `meltano_process.py`, which runs Meltano and names the variables of the project.
More are read here:

- `TOLOKA_SHARDS` (3), and `TOLOKA_MAX_CONCURRENT` (3), how many of them are loaded at a time;
- `TOLOKA_RETRIES` (3), `TOLOKA_RETRY_MINUTES` (6);
- `TOLOKA_ON_FAILURE`: a function that is called with a text if a run fails, as `alerts.page`.
"""

import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

sys.path.extend(map(str, Path(__file__).resolve().parents[:2]))  # beside this file, or above

from meltano_process import MeltanoError, account_run, run_dbt, shard_run

RETRY = dg.RetryPolicy(
    max_retries=int(os.environ.get("TOLOKA_RETRIES", "3")),  # from the last checkpoint on
    # A Meltano that was killed looks alive for five minutes, and so a retry would be refused.
    delay=60 * float(os.environ.get("TOLOKA_RETRY_MINUTES", "6")),
)

SHARDS = int(os.environ.get("TOLOKA_SHARDS", "3"))
AT_ONCE = {"max_concurrent": int(os.environ.get("TOLOKA_MAX_CONCURRENT", "3"))}
UNDER_WAY = [
    dg.DagsterRunStatus[name]
    for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
]


class Options(dg.ConfigurableResource):
    """What can be chosen for each run.

    Attributes:
        full_refresh: Whether to read everything again.
    """

    full_refresh: bool = False


@contextmanager
def clear_failure() -> Iterator[None]:
    """Let a step fail with what the tap said last, without a traceback."""
    try:
        yield
    except MeltanoError as error:
        raise dg.Failure(str(error)) from None


@dg.op(out=dg.DynamicOut(int), retry_policy=RETRY)
def account(context: dg.OpExecutionContext, options: Options) -> Iterator[dg.DynamicOutput[int]]:
    """Load the streams of the account, alone; then number the shards."""
    with clear_failure():
        account_run(SHARDS, context.log, full_refresh=options.full_refresh)
    for number in range(1, SHARDS + 1):
        yield dg.DynamicOutput(number, mapping_key=str(number))


@dg.op(retry_policy=RETRY)
def shard(context: dg.OpExecutionContext, options: Options, number: int) -> None:
    """Load a part of the pools, and of what else is split."""
    with clear_failure():
        shard_run(number, SHARDS, context.log, full_refresh=options.full_refresh)


@dg.op(ins={"shards": dg.In(dg.Nothing)})
def dbt_build(context: dg.OpExecutionContext) -> None:
    """Build and test the models."""
    with clear_failure():
        run_dbt("build", context.log)


@dg.op(ins={"built": dg.In(dg.Nothing)})
def freshness(context: dg.OpExecutionContext) -> None:
    """Fail if the last run is too long ago."""
    with clear_failure():
        run_dbt("freshness", context.log)


@dg.job(
    executor_def=dg.multiprocess_executor.configured(AT_ONCE),
    resource_defs={"options": Options()},
)
def toloka() -> None:
    """Load, transform, check."""
    freshness(dbt_build(account().map(shard).collect()))


@dg.schedule(job=toloka, cron_schedule="0 3 * * *", execution_timezone="UTC")
def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run, unless one is under way."""
    filters = dg.RunsFilter(job_name=toloka.name, statuses=UNDER_WAY)
    if context.instance.get_run_records(filters, limit=1):
        return dg.SkipReason("A run is still under way")
    return dg.RunRequest()


@dg.run_failure_sensor(monitored_jobs=[toloka])
def on_failure(context: dg.RunFailureSensorContext) -> None:
    """Tell what failed, to a function of yours."""
    failed = [event.step_failure_data for event in context.get_step_failure_events()]
    texts = [data.user_failure_data.description for data in failed if data.user_failure_data]
    text = "\n".join([f"Toloka: run {context.dagster_run.run_id} failed", *filter(None, texts)])
    context.log.error(text)
    if tell := os.environ.get("TOLOKA_ON_FAILURE"):
        pkgutil.resolve_name(tell)(text)


definitions = dg.Definitions(jobs=[toloka], schedules=[nightly], sensors=[on_failure])
