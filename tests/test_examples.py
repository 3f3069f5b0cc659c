"""What orchestrators call Meltano with, and what they say of it, without an orchestrator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from examples import meltano_process
from examples.meltano_process import BY_SHARDS, MeltanoError, run_meltano, shard_run
from tap_toloka.streams import STREAMS

if TYPE_CHECKING:
    from pathlib import Path

LOGGER = logging.getLogger("night")

LINES = {
    "tap": '{"level": "error", "name": "tap-toloka", "event": "%s"}',
    "target": '{"level": "error", "name": "target-postgres", "event": "%s"}',
    "meltano": '{"level": "error", "event": "%s"}',
    "warning": '{"level": "warning", "name": "tap-toloka", "event": "%s"}',
    "dbt": '{"info": {"level": "error", "msg": "%s"}}',
    "plain": "%s",
}


@pytest.fixture
def meltano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a program that is called in place of Meltano, to be written."""
    program = tmp_path / "meltano"
    program.touch(0o755)
    monkeypatch.setenv("MELTANO", str(program))
    return program


def test_the_streams_that_shards_share_are_those_of_the_tap() -> None:
    sharded = {stream.name for stream in STREAMS if stream.sharded}
    assert {*BY_SHARDS} == {*sharded, "aggregated_solutions"}


@pytest.mark.parametrize(
    ("logged", "told"),
    [
        (
            [
                ("tap", "An unhandled error occurred while syncing 'a'"),
                ("tap", "a failed because x"),
                ("tap", "b failed because y"),
                ("tap", "a  0 rows  failed because x"),
                ("tap", "1 of 3 streams read, 2 failed (a, b)"),
                ("meltano", "Extraction failed"),
            ],
            "a failed because x\nb failed because y\n1 of 3 streams read, 2 failed (a, b)",
        ),
        ([("tap", "the key is not valid"), ("meltano", "ELT failed")], "the key is not valid"),
        ([("warning", "w"), ("target", "no database"), ("meltano", "ELT failed")], "no database"),
        ([("tap", "the target has gone"), ("target", "t")], "the target has gone\nt"),
        ([("meltano", "it is running\\nSee the docs"), ("plain", "help")], "it is running"),
        ([("dbt", "test 1 failed"), ("plain", "bye")], "test 1 failed"),
        ([("plain", "Traceback"), ("plain", "Error: x")], "Traceback\nError: x"),
        ([], "Meltano ended with status 3"),
    ],
)
def test_a_run_that_fails_says_why_in_the_words_of_the_tap_if_there_are_any(
    logged: list[tuple[str, str]], told: str, meltano: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "\n".join(LINES[who] % what for who, what in logged)
    meltano.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 3\n")
    caplog.set_level(logging.INFO)
    with pytest.raises(MeltanoError) as failure:
        run_meltano("el", logger=LOGGER)
    assert str(failure.value).strip() == told
    errors = [who for who, _ in logged if who not in {"warning", "plain"}]
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == len(errors)


def test_a_meltano_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MELTANO", str(tmp_path / "nowhere"))
    with pytest.raises(MeltanoError, match=r"nowhere.*Set MELTANO"):
        run_meltano("el", logger=LOGGER)


def test_shards_divide_the_rate_and_have_states_of_their_own_that_name_the_schema(
    meltano: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    meltano.write_text(
        '#!/bin/sh\necho "$@"\nenv | grep -E "^TAP_TOLOKA_|_SCHEMA=|_ENVIRONMENT=" | sort\n'
    )
    monkeypatch.setenv("TAP_TOLOKA_MAX_REQUESTS_PER_SECOND", "200")
    monkeypatch.setenv("TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA", "raw")
    caplog.set_level(logging.INFO)
    shard_run(2, 3, LOGGER, full_refresh=True)
    command, *variables = caplog.messages
    assert "--state-id=dev:tap-toloka-to-target-postgres:raw:shard-2-of-3 --full-refresh" in command
    assert variables == [
        "MELTANO_ENVIRONMENT=dev",
        "TAP_TOLOKA_MAX_REQUESTS_PER_SECOND=66",
        "TAP_TOLOKA_SHARD=2/3",
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA=raw",
    ]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("", {}),
        (
            "postgresql://us%40er:p%2Fw%C3%A4@db:6432/ware?sslmode=verify-full&sslrootcert=/r.crt",
            {
                "HOST": "db",
                "PORT": "6432",
                "USER": "us@er",
                "PASSWORD": "p/w\u00e4",
                "DATABASE": "ware",
                "SSL_MODE": "verify-full",
                "ROOT": "/r.crt",
            },
        ),
        (
            "postgresql+psycopg://postgres:@/db?host=/run/pg",
            {"HOST": "/run/pg", "USER": "postgres", "DATABASE": "db"},
        ),
    ],
)
def test_dbt_gets_the_parts_of_the_address(
    url: str, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_POSTGRES_SQLALCHEMY_URL", url)
    names = {"ROOT": "PGSSLROOTCERT"}
    expected = {names.get(name, f"DBT_POSTGRES_{name}"): part for name, part in parts.items()}
    assert meltano_process._database_for_dbt() == expected
