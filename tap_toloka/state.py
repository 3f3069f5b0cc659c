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

If several runs share an account, each with a state of its own, the bookmarks of streams that are
split have `"shard": "2/8"` (`tap_toloka.shards`): they count for that part only.
One without it counts for every part.

A run that was interrupted leaves `unfinished` beside the bookmark, which it does not move:

    "unfinished": {"bookmark": "2026-11-23T08:00:00.000Z", "since": "gt 2026-11-23T08:00:00.000Z",
                   "began": "2026-11-24T08:00:00.000Z", "greatest": "2026-11-24T07:58:13.000Z",
                   "begun": ["36502", 0], "left": [["36502", 0, "0000a1--01", ""]],
                   "skipped": [], "filters": [], "shard": "", "blocks": []}

Lists are read in an order that does not change, so what is left of that read are the lists after
`begun`, and the parts in `left` of those before. The next run reads these, with the same start,
and moves the bookmark to where that run would have moved it. If that run began long ago, it then
reads what is new since.

Of lists whose rows can change without a date, state holds what was printed, see `Blocks`:

    "blocks": ["b4e1a0c2d9f8 2026-11-24T08:00:00.000Z",
               "36502 300 Vq3ZbA0k", "37110 300 9fUQx-bC", "37450 212 0aSWmr1T"]
"""

from __future__ import annotations

import base64
import typing as t
from dataclasses import dataclass, field, replace

from tap_toloka import dates
from tap_toloka.hiding import shortened
from tap_toloka.shards import WHOLE, Shard

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

LAG_SECONDS = 60
"""Rows may be listed as late as this after their date (toloka-kit 1.2.0)."""

MOST_SKIPPED = 100
"""Skipped lists that a bookmark holds, so that state stays small; with more it does not move."""

HASH_BYTES = 6
"""Bytes of a hash: one in 10^14 changes would go unnoticed."""

_HASHES = 2 ** (8 * HASH_BYTES)

_KEYS = frozenset(
    {
        "replication_key",
        "replication_key_value",
        "filters",
        "shard",
        "account",
        "skipped",
        "unfinished",
        "blocks",
    }
)
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


class Part(t.NamedTuple):
    """A part of a list that was not written yet.

    Attributes:
        owner: The pool, operation, ... of the list; `""`: the account.
        number: Which of its lists, from 0.
        after: Its ids are greater than this one; `""`: from the beginning.
        until: And no greater than this one; `""`: to the end.
    """

    owner: str
    number: int
    after: str
    until: str


class Block(t.NamedTuple):
    """What was printed of a part of a list: the rows after the block before it, up to an id.

    Attributes:
        last_id: The id of its last row, or of a row that was there once.
        rows: How many rows it has.
        hash: The sum of the hashes of these rows, so that they can be added in any order.
    """

    last_id: str
    rows: int = 0
    hash: int = 0

    @classmethod
    def of(cls, text: str) -> Block:
        """Read what `str` returned.

        Raises:
            ValueError: If it is not that.
        """
        last_id, rows, hash_ = _text(text).rsplit(" ", 2)
        digest = base64.urlsafe_b64decode(hash_)
        if not last_id or not rows.isdecimal() or len(digest) != HASH_BYTES:
            msg = f"{text!r} is no block"
            raise ValueError(msg)
        return cls(last_id, int(rows), int.from_bytes(digest, "big"))

    def __str__(self) -> str:
        digest = self.hash.to_bytes(HASH_BYTES, "big")
        return f"{self.last_id} {self.rows} {base64.urlsafe_b64encode(digest).decode()}"

    def plus(self, rows: int, hash_: int) -> Block:
        """Return the block with so many more rows, and the sum of their hashes."""
        return self._replace(rows=self.rows + rows, hash=(self.hash + hash_) % _HASHES)


class Blocks(t.NamedTuple):
    """What was printed of a list whose rows can change without a date.

    It takes some 25 bytes for 300 rows, or 80 to 160 if ids are text.

    Attributes:
        signature: What is read and printed of a row, and by what settings, as a short text: blocks
            of another one tell nothing. Empty if there are none.
        blocks: The blocks, in the order of ids.
        bookmark: The bookmark up to which their rows were created; `""`: none.
    """

    signature: str = ""
    blocks: tuple[Block, ...] = ()
    bookmark: str = ""

    @classmethod
    def of(cls, found: Sequence[str]) -> Blocks:
        """Read what `as_json` returned.

        Raises:
            ValueError: If it is not that. (Also TypeError, as Python has it.)
        """
        if not isinstance(found, list):
            msg = "it is no list"
            raise ValueError(msg)  # noqa: TRY004  # callers turn it into one line
        first, *blocks = map(_text, found) if found else [""]
        signature, _, bookmark = first.partition(" ")
        return cls(signature, tuple(map(Block.of, blocks)), bookmark)

    def as_json(self) -> list[str]:
        """Return it as state holds it: a list, so that merging two states replaces it."""
        first = f"{self.signature} {self.bookmark}".rstrip()
        return [first, *map(str, self.blocks)] if self.signature else []


@dataclass(frozen=True)
class Unfinished:
    """What a read that was interrupted has left.

    Attributes:
        bookmark: The bookmark that it started from; `None`: none. If state has another one, someone
            changed it, and nothing is left to finish.
        since: The date from which it read; `None`: from the beginning.
        began: When it began, by Toloka's clock.
        greatest: The greatest value of the replication key that was written; `""`: none.
        begun: The last list that was begun: its owner, and which of the owner's lists.
        left: What is left of this list and of those before it.
        skipped: Owners of lists that could not be read.
        filters: The filters that it read with, in their normal form.
        shard: The shard that it read; `""`: all.
        blocks: What it has printed that is not in the blocks of the entry of the stream.
    """

    bookmark: str | None
    since: Start | None
    began: str
    greatest: str
    begun: tuple[str, int]
    left: tuple[Part, ...]
    skipped: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""
    blocks: tuple[Block, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, t.Any]) -> Unfinished:
        """Read what `as_json` returned.

        Raises:
            ValueError: If it is not that. (Also KeyError and TypeError, as Python has them.)
        """
        bound, _, date = found["since"].partition(" ")
        if bound not in {"gt", "gte", ""}:
            msg = f"{bound!r} is no bound"
            raise ValueError(msg)
        owner, number = found["begun"]
        return cls(
            bookmark=found["bookmark"] and dates.canonical(found["bookmark"]),
            since=Start(bound, dates.canonical(date)) if bound else None,
            began=dates.canonical(found["began"]),
            greatest=_text(found["greatest"]) and dates.canonical(found["greatest"]),
            begun=(_text(owner), int(number)),
            left=tuple(
                Part(_text(owner), int(number), _text(after), _text(until))
                for owner, number, after, until in found["left"]
            ),
            skipped=tuple(map(_text, found["skipped"])),
            filters={_text(name): _text(value) for name, value in found["filters"]},
            shard=_shard(found.get("shard", "")),
            blocks=tuple(map(Block.of, found.get("blocks", []))),
        )

    def for_shard(self, shard: str) -> Unfinished:
        """Return what a shard has to read of it; `""`: all."""
        part = Shard.of(shard) if shard else WHOLE
        return replace(self, left=tuple(one for one in self.left if part.has(one.owner)))

    def as_json(self) -> dict[str, t.Any]:
        """Return it as state holds it."""
        return {
            "bookmark": self.bookmark,
            "since": f"{self.since.bound} {self.since.date}" if self.since else "",
            "began": self.began,
            "greatest": self.greatest,
            "begun": list(self.begun),
            "left": list(map(list, self.left)),
            # Always there, and no object, so that merging two states replaces them.
            "skipped": list(self.skipped),
            "filters": list(map(list, self.filters.items())),
            "shard": self.shard,
            "blocks": list(map(str, self.blocks)),
        }


def _text(value: t.Any) -> str:  # noqa: ANN401  # from a file
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise ValueError(msg)  # noqa: TRY004  # callers turn it into one line
    return value


def _shard(value: t.Any) -> str:  # noqa: ANN401  # from a file
    text = _text(value)
    return text and str(Shard.of(text))


@dataclass(frozen=True)
class Bookmark:
    """What has been read of a stream.

    Attributes:
        replication_key: The field whose values are compared.
        value: Its greatest value that was read, in the canonical form; `None`: nothing was read.
        filters: The filters that it was made with, in their normal form.
        shard: The shard that was read; `""`: all.
        account: The account whose rows were read, as `tap_toloka.account` has it.
        skipped: Owners of lists that could not be read, and the date from which each still has to
            be; `""`: from the beginning.
    """

    replication_key: str
    value: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""
    account: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, t.Any], replication_key: str) -> Bookmark:
        """Read the entry of a stream in a state that `checked` has returned."""
        others = {name: state.get(name, {}) for name in ("filters", "account", "skipped")}
        value, shard = state.get("replication_key_value"), state.get("shard", "")
        return cls(replication_key, value, shard=shard, **others)

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
        for name in ("filters", "shard", "account", "skipped"):
            state.pop(name, None)
            if value := getattr(self, name):
                state[name] = value if name == "shard" else dict(value)


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
    bookmarks = state.get("bookmarks", {}) if isinstance(state, dict) else None
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
    for key, read in _READERS.items():
        try:
            if key in kept:
                kept[key] = read(kept[key])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found = shortened(f"{type(error).__name__}: {error}")
            # Without its shard, a bookmark would count for every one.
            what = "the stream from the state" if key == "shard" else "it"
            msg = f"`{key}` of {name} is not what this tap writes ({found}). Remove {what}"
            raise ValueError(msg) from None
    if (value := kept.get("replication_key_value")) is None:
        return kept
    return {**kept, "replication_key_value": _checked_date(name, value)}


_READERS: Mapping[str, Callable[[t.Any], t.Any]] = {
    "shard": _shard,
    "unfinished": lambda found: Unfinished.of(found).as_json(),
    "blocks": lambda found: Blocks.of(found).as_json(),
}


def _checked_date(name: str, value: t.Any) -> str:  # noqa: ANN401  # from a file
    if not isinstance(value, str):
        msg = f"the bookmark of {name} is {shortened(repr(value))}, which is not a date"
        raise ValueError(msg)  # noqa: TRY004  # as above
    try:
        return dates.canonical(value)
    except ValueError as error:
        msg = f"the bookmark of {name}: {shortened(str(error))}"
        raise ValueError(msg) from None
