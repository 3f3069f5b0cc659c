"""Whose rows a run reads, and whether its state is of the same account.

An account is what state keeps of it: `{"environment": "PRODUCTION", "requester_id": "566e..."}`,
without the id if it is not known. The key is no part of it, as it may be renewed, and neither is
the address, as there are proxies.

Nothing here knows of the Singer SDK.
"""

from __future__ import annotations

import logging
import typing as t

import msgspec

from tap_toloka.errors import FatalError, TolokaError, UnusableError
from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_toloka.api import TolokaApi

_LONGEST_ID = 100  # characters: it goes into the state of every stream
_MOST_NAMED = 5  # streams in one log line

logger = logging.getLogger("tap-toloka.account")


class _Requester(msgspec.Struct):
    id: t.Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ID)] | int


def account_of(api: TolokaApi, config: Mapping[str, t.Any]) -> dict[str, str]:
    """Return the account that is read, which takes one request unless `account_id` is set.

    Args:
        api: Toloka.
        config: The settings of the tap, with their defaults filled in.

    Raises:
        FatalError: If nothing else can be requested either.
    """
    account = {"environment": config["environment"]}
    if account_id := config.get("account_id"):
        # No reference tells whom `/v1/requester` answers with then: this one, or the key's own.
        return {**account, "requester_id": account_id}
    try:
        return {**account, "requester_id": api.get("/v1/requester", {}, _id_of)}
    except FatalError:
        raise
    except TolokaError as error:  # as this key may not read that
        logger.warning("Cannot check whether the state is of this account: %s", error)
        return account


def combined(known: Mapping[str, t.Any], account: Mapping[str, str]) -> dict[str, str]:
    """Return what state keeps of an account after a run.

    Args:
        known: What state had of it: the same, `environment` and `account_id` that were not the
            defaults (0.1.0), or nothing.
        account: The account of the run.
    """
    return {**_in_full(known), **account} if account else dict(known)


def account_of_all(accounts: Iterable[Mapping[str, t.Any]]) -> dict[str, str]:
    """Return the account that several entries of state are of; empty ones say nothing.

    Raises:
        ValueError: If they are of different ones.
    """
    found: dict[str, str] = {}
    for account in map(_in_full, filter(None, accounts)):
        if _differs(found, account, None):
            msg = f"one is of {_described(found)}, another one of {_described(account)}"
            raise ValueError(msg)
        found |= account
    return found


def problem_with_state(
    entries: Mapping[str, Mapping[str, t.Any]], account: Mapping[str, str], account_id: str | None
) -> str | None:
    """Tell of which other account a state is, if it is.

    Args:
        entries: The entries in state of the streams that are read, by their names.
        account: The account of this run.
        account_id: The setting.
    """
    others: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if not entry.get("account") and not entry.get("replication_key_value"):
            continue  # it says nothing
        known = _in_full(entry.get("account", {}))
        if _differs(known, account, account_id):
            others.setdefault(_described(known), []).append(name)
    if not others:
        return None
    whose, names = next(iter(others.items()))
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return (
        f"The state ({', '.join(names[:_MOST_NAMED])}{more}) is of {whose}, but this run reads "
        f"{_described(account)}: rows would be missing. Check `token`, `environment` and "
        "`account_id`. Another account needs a state of its own (in Meltano: "
        "`--state-id-suffix`). To start over with this one, use `--full-refresh`, or remove the "
        "state"
    )


def _differs(
    known: Mapping[str, t.Any], account: Mapping[str, str], account_id: str | None
) -> bool:
    if "requester_id" not in known and account_id:
        return True  # it is of the key's own account, which has not been read by its id
    return {**known, **account} != {**account, **known}


def _in_full(known: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return an account in state as this version writes it."""
    full = {"environment": known.get("environment") or "PRODUCTION"}
    requester_id = known.get("requester_id") or known.get("account_id")
    return {**full, "requester_id": requester_id} if requester_id else full


def _described(account: Mapping[str, t.Any]) -> str:
    requester_id = account.get("requester_id")
    who = f"requester {requester_id}" if requester_id else "the key's own account"
    return shortened(f"{who} in {account['environment']}")


def _id_of(body: bytes) -> str:
    """Read the id of a requester.

    Raises:
        UnusableError: If there is none in it.
        ValueError: If it is no JSON.
    """
    try:
        return str(msgspec.json.decode(body, type=_Requester).id)
    except msgspec.ValidationError as error:  # it would be the same another time
        msg = f"the requester has no ID: {error}"
        raise UnusableError(msg) from None
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None
