"""A state is of one account, and is not used for another one."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka.account import problem_with_state
from tap_toloka.errors import TolokaError
from tests.runner import (
    POOLS_PATH,
    REQUESTER_PATH,
    catalog_of_all,
    config_for,
    no_waiting,
    requests_for_rows,
    run_inside,
    run_process,
)
from toloka_emulator import REQUESTER, Emulator, Fault, make_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OURS, THEIRS = str(REQUESTER["id"]), "6c6e20dc86cca2ae787afcb2629de162"
ACCOUNT = {"environment": "PRODUCTION", "requester_id": OURS}
BOOKMARK = "2024-05-06T08:00:00.000Z"
NEW, OLD = "2024-06-01T00:00:00", "2024-01-01T00:00:00"


def state_of(account: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return a state with a bookmark of pools that is of an account; `None`: it does not say."""
    entry = {"replication_key": "created", "replication_key_value": BOOKMARK, **more}
    return {"bookmarks": {"pools": entry if account is None else {**entry, "account": account}}}


def account_in(state: Any, stream: str = "pools") -> Any:
    """Return the account that a state has for a stream."""
    return state["bookmarks"][stream].get("account")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Give an emulator with a pool before the bookmark and one after it."""
    with Emulator([make_pool("1", OLD), make_pool("2", NEW)], accounts=[OURS, THEIRS]) as emulator:
        yield emulator


def test_state_keeps_whose_it_is_also_of_streams_without_a_bookmark(emulator: Emulator) -> None:
    emulator.tables["apps"].add([{"id": "a1"}])
    assert account_in(run_inside(config_for(emulator)).state) == ACCOUNT
    apps = run_inside(config_for(emulator), stream="apps").state
    assert apps == {"bookmarks": {"apps": {"account": ACCOUNT}}}
    sandbox = run_inside(config_for(emulator, environment="SANDBOX")).state
    assert account_in(sandbox) == {**ACCOUNT, "environment": "SANDBOX"}
    shared = run_inside(config_for(emulator, account_id=THEIRS)).state
    assert account_in(shared) == {**ACCOUNT, "requester_id": THEIRS}


OTHERS: dict[str, tuple[Mapping[str, Any] | None, dict[str, Any], str]] = {
    "state of the sandbox": (
        {"environment": "SANDBOX", "requester_id": THEIRS},
        {},
        f"requester {THEIRS} in SANDBOX, but this run reads requester {OURS} in PRODUCTION",
    ),
    "key of the sandbox": (
        ACCOUNT,
        {"environment": "SANDBOX"},
        f"requester {OURS} in PRODUCTION, but this run reads requester {OURS} in SANDBOX",
    ),
    "key of another account": (
        {**ACCOUNT, "requester_id": THEIRS},
        {},
        f"requester {THEIRS} in PRODUCTION, but this run reads requester {OURS} in PRODUCTION",
    ),
    "account_id set": (
        ACCOUNT,
        {"account_id": THEIRS},
        f"requester {OURS} in PRODUCTION, but this run reads requester {THEIRS} in PRODUCTION",
    ),
    "old state of the sandbox": (
        {"environment": "SANDBOX"},
        {},
        f"the key's own account in SANDBOX, but this run reads requester {OURS} in PRODUCTION",
    ),
    "old state, key of the sandbox": (
        None,
        {"environment": "SANDBOX"},
        f"the key's own account in PRODUCTION, but this run reads requester {OURS} in SANDBOX",
    ),
    "old state, account_id set": (
        None,
        {"account_id": THEIRS},
        f"the key's own account in PRODUCTION, but this run reads requester {THEIRS} in PROD",
    ),
    "old state, account_id changed": (
        {"account_id": OURS},
        {"account_id": THEIRS},
        f"requester {OURS} in PRODUCTION, but this run reads requester {THEIRS} in PRODUCTION",
    ),
    "old state, account_id removed": (
        {"account_id": THEIRS},
        {},
        f"requester {THEIRS} in PRODUCTION, but this run reads requester {OURS} in PRODUCTION",
    ),
}


@pytest.mark.parametrize(("account", "settings", "said"), OTHERS.values(), ids=OTHERS)
def test_a_state_of_another_account_is_refused_and_says_whose_it_is(
    emulator: Emulator, account: Mapping[str, Any] | None, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(TolokaError) as error:
        run_inside(config_for(emulator, **settings), state_of(account))
    assert f"The state (pools) is of {said}" in str(error.value)
    assert not requests_for_rows(emulator)


def test_a_refused_state_is_one_line_a_status_and_no_output(emulator: Emulator) -> None:
    state = state_of({**ACCOUNT, "requester_id": THEIRS})
    run = run_process(config=config_for(emulator), state=state)
    assert (run.status, run.output) == (1, b"")
    assert [request.path for request in emulator.requests] == [REQUESTER_PATH]
    (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
    assert line == run.log.splitlines()[-1]
    for said in ("`environment`", "`account_id`", "`--state-id-suffix`", "`--full-refresh`"):
        assert said in line
    assert "Traceback" not in run.log


SAME: dict[str, tuple[Mapping[str, Any] | None, dict[str, Any]]] = {
    "the same": (ACCOUNT, {}),
    "old state": (None, {}),
    "old state of the sandbox": ({"environment": "SANDBOX"}, {"environment": "SANDBOX"}),
    "old state with account_id": ({"account_id": THEIRS}, {"account_id": THEIRS}),
    "account_id is the key's own": (ACCOUNT, {"account_id": OURS}),
    "old state, account_id was the key's own": ({"account_id": OURS}, {}),
    "refused so far": ({"environment": "PRODUCTION"}, {}),
}


@pytest.mark.parametrize(("account", "settings"), SAME.values(), ids=SAME)
def test_a_state_of_the_same_account_is_used_and_names_it_from_now_on(
    emulator: Emulator, account: Mapping[str, Any] | None, settings: dict[str, Any]
) -> None:
    config = config_for(emulator, detect_changes=False, **settings)
    run = run_inside(config, state_of(account))
    assert run.ids == ["2"]
    environment = settings.get("environment", "PRODUCTION")
    requester_id = settings.get("account_id", OURS)
    wanted = {"environment": environment, "requester_id": requester_id}
    assert account_in(run.state) == wanted


def test_a_renewed_key_and_another_address_are_of_the_same_account(emulator: Emulator) -> None:
    first = run_inside(config_for(emulator))
    with Emulator([make_pool("1", OLD), make_pool("2", NEW)]) as other:
        other.key = "RenewedKeyOfTolokaApi01.EmulatorOfToloka.NoSecretAtAll0123456789"
        again = run_inside(config_for(other), first.state)
    assert again.ids == []
    assert again.state == first.state


def test_other_filters_start_over_with_the_same_account(emulator: Emulator) -> None:
    config = config_for(emulator, filters={"pools": {"status": "CLOSED"}})
    run = run_inside(config, state_of(ACCOUNT))
    assert run.ids == ["1", "2"]
    assert account_in(run.state) == ACCOUNT


def test_streams_that_are_not_read_may_be_of_another_account(emulator: Emulator) -> None:
    theirs = {**ACCOUNT, "requester_id": THEIRS}
    state = state_of(theirs)
    run = run_inside(config_for(emulator), state, stream="projects")
    assert account_in(run.state) == theirs
    with pytest.raises(TolokaError, match=r"The state \(pools\) is of"):
        run_inside(config_for(emulator), state, catalog_of_all())


# What Toloka answers


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_account_that_cannot_be_found_out_is_read_with_a_warning(
    emulator: Emulator, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.faults.add(Fault(path=REQUESTER_PATH, status=status, times=None))
    with caplog.at_level(logging.WARNING):
        config = config_for(emulator, max_retries=0, detect_changes=False)
        run = run_inside(config, state_of({**ACCOUNT, "requester_id": THEIRS}))
    assert run.ids == ["2"]
    assert account_in(run.state) == {**ACCOUNT, "requester_id": THEIRS}, "as it was"
    (line,) = [line for line in caplog.messages if "whether the state is of this" in line]
    assert str(status) in line
    assert account_in(run_inside(config).state) == {"environment": "PRODUCTION"}
    with pytest.raises(TolokaError, match=r"in PRODUCTION, but .* the key's own .* in SANDBOX"):
        run_inside({**config, "environment": "SANDBOX"}, run.state)


def test_the_id_of_a_requester_may_be_a_number(emulator: Emulator) -> None:
    emulator.faults.add(Fault(path=REQUESTER_PATH, body={"id": 17}))
    assert account_in(run_inside(config_for(emulator)).state) == {**ACCOUNT, "requester_id": "17"}


def test_an_account_that_is_named_is_not_asked_for(emulator: Emulator) -> None:
    run_inside(config_for(emulator, account_id=THEIRS))
    assert [request.path for request in emulator.requests] == [POOLS_PATH]


@pytest.mark.parametrize("token", ["wrong", "AQVNwrongwrongwrongwro.x.SECRET"])
def test_a_wrong_key_ends_the_run_at_the_first_request(emulator: Emulator, token: str) -> None:
    with pytest.raises(TolokaError, match=r"401 AUTHENTICATION_ERROR.*production and sandbox"):
        run_inside(config_for(emulator, token=token))
    assert [request.path for request in emulator.requests] == [REQUESTER_PATH]


@pytest.mark.parametrize("body", ["<html></html>", ""], ids=str)
def test_what_is_not_json_is_asked_for_again(emulator: Emulator, body: str) -> None:
    emulator.faults.add(Fault(path=REQUESTER_PATH, body=body, times=5))
    with no_waiting() as waits:
        assert account_in(run_inside(config_for(emulator)).state) == ACCOUNT
    assert len(waits) == 5


WITHOUT_ID: list[object] = [
    "[" * 100_000,
    [],
    {},
    {"id": None},
    {"id": ""},
    {"id": 1.5},
    {"id": "x" * 101},
]


@pytest.mark.parametrize("body", WITHOUT_ID, ids=lambda body: repr(body)[:20])
def test_a_requester_without_an_id_is_not_asked_for_again(emulator: Emulator, body: object) -> None:
    emulator.faults.add(Fault(path=REQUESTER_PATH, body=body, times=None))
    with no_waiting() as waits:
        run = run_inside(config_for(emulator))
    assert account_in(run.state) == {"environment": "PRODUCTION"}
    assert waits == []


@pytest.mark.parametrize("args", [("--discover",), ("--about",), ("--test",)], ids=str)
def test_only_a_run_asks_whose_account_it_is(emulator: Emulator, args: tuple[str, ...]) -> None:
    assert run_process(*args, config=config_for(emulator)).status == 0
    paths = Counter(request.path for request in emulator.requests)
    assert paths[REQUESTER_PATH] == (1 if args == ("--test",) else 0), "the stream"


# In words


def test_the_line_names_few_streams_and_nothing_that_acts_on_a_terminal() -> None:
    names = [f"stream_{number}" for number in range(9)]
    account = {"environment": "PRODUCTION", "requester_id": "x\x1b[2J" * 1_000}
    entries = {name: {"account": account} for name in names}
    line = problem_with_state(entries, ACCOUNT, None)
    assert line is not None
    assert line.isprintable()
    assert len(line) < 1_000
    assert "(stream_0, stream_1, stream_2, stream_3, stream_4, ...)" in line


@pytest.mark.parametrize("entry", [{}, {"account": {}}, {"replication_key": "created"}], ids=str)
def test_an_entry_without_a_bookmark_is_of_any_account(entry: dict[str, Any]) -> None:
    sandbox = {**ACCOUNT, "environment": "SANDBOX"}
    assert problem_with_state({"pools": entry}, sandbox, THEIRS) is None


@pytest.mark.parametrize("odd", [{"environment": 5}, {"requester_id": ["x"]}, {"account_id": {}}])
def test_an_odd_account_in_state_is_another_one_or_none(odd: dict[str, Any]) -> None:
    problem = problem_with_state({"pools": {"account": odd}}, ACCOUNT, None)
    assert (problem is None) == (odd == {"account_id": {}})
