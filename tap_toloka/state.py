"""What state says has been read, and from which date the next run reads.

State holds one bookmark per stream:

    {"bookmarks": {"pools": {"replication_key": "created",
                             "replication_key_value": "2026-11-24T08:00:00.000Z",
                             "account": {"environment": "PRODUCTION", "requester_id": "566e..."},
                             "filters": {"project_id": "81776"},
                             "skipped": {"36502": "2026-11-01T08:00:00.000Z"}}}}

A bookmark says that all rows up to its date were read *among those that its filters let through*,
so it holds its filters (if there are any), and is not used with other ones. Likewise it holds the
account whose rows they are, see `tap_toloka.account`; a stream that is read whole holds that alone.

It also says so *but for the lists that were skipped*: those of pools, operations, ... that Toloka
refused. Each has the date from which it still has to be read (`""`: from the beginning), until it
can be read, or until Toloka does not list its pool, operation, ... any more.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from tap_toloka import dates
from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

LAG_SECONDS = 60
"""Rows may be listed as late as this after their date (toloka-kit 1.2.0)."""

MOST_SKIPPED = 100
"""Skipped lists that a bookmark holds, so that state stays small; with more it does not move."""

_KEYS = frozenset({"replication_key", "replication_key_value", "filters", "account", "skipped"})
_MARKERS = frozenset({"progress_markers", "replication_key_signpost", "starting_replication_value"})
"""What the SDK leaves in state while a run is under way, for this tap or an older one."""


@dataclass(frozen=True)
class Start:
    """The date from which a stream is read.

    Attributes:
        bound: `gt` if rows of exactly that date were read before, else `gte`.
        date: The date, in the canonical form of `tap_toloka.dates`.
    """

    bound: t.Literal["gt", "gte"]
    date: str

    def includes(self, date: str | None) -> bool:
        """Tell whether a date of a row is read from here on; `None` is no date, and is not."""
        if not date:
            return False
        return date > self.date or (date == self.date and self.bound == "gte")


@dataclass(frozen=True)
class Bookmark:
    """What has been read of a stream.

    Attributes:
        replication_key: The field whose values are compared.
        value: Its greatest value that was read, in the canonical form; `None`: nothing was read.
        filters: The filters that it was made with, in their normal form.
        account: The account whose rows were read, as `tap_toloka.account` has it.
        skipped: Owners of lists that could not be read, and the date from which each still has to
            be; `""`: from the beginning.
    """

    replication_key: str
    value: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    account: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, t.Any], replication_key: str) -> Bookmark:
        """Read the entry of a stream in a state that `checked` has returned."""
        others = {name: state.get(name, {}) for name in ("filters", "account", "skipped")}
        return cls(replication_key, state.get("replication_key_value"), **others)

    def start(self, start_date: str | None, lookback_days: int) -> Start | None:
        """Return the date from which the next run reads; `None`: from the beginning.

        Args:
            start_date: Where a stream without a bookmark starts; the look-back does not go further.
            lookback_days: Days before the bookmark that are read again.
        """
        if self.value is None:
            return Start("gte", start_date) if start_date else None
        looked_back = dates.shifted(self.value, days=-lookback_days)
        return Start("gt", max(looked_back, min(start_date or "", self.value)))

    def latest(self, run_began: str) -> str:
        """Return the latest value that a run may move the bookmark to.

        A row that is younger than `LAG_SECONDS` may be listed before one that is older still, so
        the bookmark stays that far behind the start of the run; young rows are read again.
        """
        return max(dates.shifted(run_began, seconds=-LAG_SECONDS), self.value or "")

    def moved(self, greatest: str, run_began: str, skipped: Mapping[str, str]) -> Bookmark:
        """Return the bookmark after a run that read everything else, never further back.

        Args:
            greatest: The greatest value of the replication key that was read; `""`: none.
            run_began: When the run began.
            skipped: The lists that could not be read, and from which date.
        """
        greatest = max(greatest, self.value or "")
        if not greatest:
            return self  # the next run starts where this one did, for all lists
        return replace(self, value=min(greatest, self.latest(run_began)), skipped=skipped)

    def write(self, state: MutableMapping[str, t.Any]) -> None:
        """Write it into the entry of its stream in state."""
        state["replication_key"] = self.replication_key
        state["replication_key_value"] = self.value
        for name in ("filters", "account", "skipped"):
            state.pop(name, None)
            if entries := getattr(self, name):
                state[name] = dict(entries)


def checked(
    state: Mapping[str, t.Any], replication_keys: Mapping[str, str | None]
) -> dict[str, t.Any]:
    """Return a state with its dates in the canonical form that they are compared in.

    Args:
        state: A state as it was given to the tap.
        replication_keys: The replication key of each stream that the tap has. Entries of other
            streams are left as they are, but for those that the SDK cannot carry: they are left
            out.

    Raises:
        ValueError: If it cannot be right. With such a state Toloka might return nothing, for ever,
            and every run would look fine.
    """
    bookmarks = state.get("bookmarks", {})
    if not isinstance(bookmarks, dict) or state.keys() - {"bookmarks"}:
        msg = "expected an object with the single key `bookmarks`"
        raise ValueError(msg)
    return {
        "bookmarks": {
            name: _checked_entry(name, entry, replication_keys[name])
            if name in replication_keys
            else entry
            for name, entry in bookmarks.items()
            if name in replication_keys or _can_be_carried(entry)
        }
    }


def _can_be_carried(entry: t.Any) -> bool:  # noqa: ANN401  # from a file
    """Tell whether the SDK can take over an entry of a stream that it does not know."""
    if not isinstance(entry, dict) or not isinstance(entry.get("partitions", []), list):
        return False
    parts = [entry, *entry.get("partitions", [])]
    return all(
        isinstance(part, dict) and isinstance(part.get("progress_markers", {}), dict)
        for part in parts
    )


def _checked_entry(
    name: str,
    entry: t.Any,  # noqa: ANN401  # from a file
    replication_key: str | None,
) -> dict[str, t.Any]:
    if not isinstance(entry, dict) or (wrong := entry.keys() - _KEYS - _MARKERS):
        found = f"holds {sorted(wrong)}" if isinstance(entry, dict) else f"is {entry!r}"
        found = shortened(found)
        msg = f"the bookmark of {name} {found}; it may hold `{'`, `'.join(sorted(_KEYS))}`"
        raise ValueError(msg)
    if entry.get("replication_key", replication_key) != replication_key:
        found = shortened(repr(entry["replication_key"]))
        msg = f"the bookmark of {name} has the replication key {found}"
        raise ValueError(msg)
    for key in ("filters", "account", "skipped"):
        if not isinstance(entry.get(key, {}), dict):
            msg = f"the bookmark of {name} has `{key}` that are not an object"
            raise ValueError(msg)  # noqa: TRY004  # callers turn it into one line
    kept = {key: value for key, value in entry.items() if key in _KEYS}
    if "skipped" in kept:
        kept["skipped"] = {
            owner: date if date == "" else _checked_date(name, date)
            for owner, date in kept["skipped"].items()
        }
    if (value := kept.get("replication_key_value")) is None:
        return kept
    return {**kept, "replication_key_value": _checked_date(name, value)}


def _checked_date(name: str, value: t.Any) -> str:  # noqa: ANN401  # from a file
    if not isinstance(value, str):
        msg = f"the bookmark of {name} is {shortened(repr(value))}, which is not a date"
        raise ValueError(msg)  # noqa: TRY004  # as above
    try:
        return dates.canonical(value)
    except ValueError as error:
        msg = f"the bookmark of {name}: {shortened(str(error))}"
        raise ValueError(msg) from None
