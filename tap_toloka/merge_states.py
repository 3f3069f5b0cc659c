"""The command `tap-toloka-merge-states`: makes one state of the states of all shards.

That is for another number of shards, or for none: the state that it writes counts for every shard.
"""

from __future__ import annotations

import sys
import typing as t

import click
import simplejson

from tap_toloka import files
from tap_toloka.account import account_of_all
from tap_toloka.shards import Shard
from tap_toloka.state import Bookmark, checked
from tap_toloka.streams import STREAMS

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_toloka.client import TolokaStream

_IN_MELTANO = "singer_state"
"""What `meltano state get` wraps a state into, and `meltano state set` expects."""

_ORDER = "Give the states of all shards, that of shard 1 first"

_KEYS = {stream.name: stream.replication_key for stream in STREAMS}

_Entries = t.Sequence[t.Mapping[str, t.Any]]
"""What the state of each shard has of one stream; empty: nothing."""


@click.command(epilog="See docs/scaling.md.")
@click.argument(
    "states",
    nargs=-1,
    required=True,
    metavar="STATE_1 STATE_2 ...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
def main(states: Sequence[str]) -> None:
    """Merge the states of all N shards into one, for another number of shards or for none.

    Give the file of each state, that of shard 1/N first and that of shard N/N last. The merged
    state is written to standard output; give it to every new shard.
    """
    try:
        found = [files.read("state", name) for name in states]
        state = merged(list(map(_usable, states, found)))
    except ValueError as error:
        click.echo(f"Nothing merged: {error}", err=True)
        sys.exit(1)
    # Of a state that does not exist, Meltano prints `{}`.
    is_meltano = any(_IN_MELTANO in one for one in found)
    click.echo(simplejson.dumps({_IN_MELTANO: state} if is_meltano else state))


def _usable(name: str, found: Mapping[str, t.Any]) -> dict[str, t.Any]:
    try:
        return checked(found.get(_IN_MELTANO, found), _KEYS)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from None


def merged(states: Sequence[Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return a state that counts for every shard, whatever their number.

    Args:
        states: The states of all shards, in their order, as `checked` returns them.

    Raises:
        ValueError: If they are anything else.
    """
    if len(states) == 1:
        msg = f"there is only one state. {_ORDER}"
        raise ValueError(msg)
    empty = [n for n, state in enumerate(states, 1) if not state.get("bookmarks")]
    if len(empty) == len(states):
        msg = "the states are empty. Check the state IDs"
        raise ValueError(msg)
    for number in empty:
        _log(f"State {number} is empty: check its state ID, unless this shard has never run")
    bookmarks = {}
    for stream in STREAMS:
        entries = [state.get("bookmarks", {}).get(stream.name, {}) for state in states]
        _check(stream.name, entries)
        # Lists of the account are read by the first shard alone.
        entry = _of_all_shards(stream, entries) if stream.sharded else entries[0]
        if entry:
            bookmarks[stream.name] = dict(entry)
    return {"bookmarks": bookmarks}


def _check(name: str, entries: _Entries) -> None:
    for number, entry in enumerate(entries, 1):
        expected = str(Shard(number, len(entries)))
        for found in (entry.get("shard"), entry.get("unfinished", {}).get("shard")):
            if found and found != expected:
                msg = (
                    f"state {number} of {len(entries)} has {name} of shard {found}. {_ORDER}. If "
                    f"another number of shards has left it there, remove {name} from that state"
                )
                raise ValueError(msg)


def _of_all_shards(stream: type[TolokaStream], entries: _Entries) -> dict[str, t.Any]:
    """Merge what the shards have of a stream that they share.

    What a new shard reads was read by these, so the earliest of their bookmarks is right for it.
    What interrupted runs have left is dropped: their bookmarks have not moved yet.
    """
    account = account_of_all(entry.get("account", {}) for entry in entries)
    of_all: dict[str, t.Any] = {"account": account} if account else {}
    key = stream.replication_key
    bookmarks = [Bookmark.of(entry, key or "") for entry in entries]
    values = [one.value for one in bookmarks if one.value is not None]
    filters = bookmarks[0].filters
    if key is None or not any(entries):
        return of_all
    count = len(bookmarks)
    missing = [Shard(n, count) for n, one in enumerate(bookmarks, 1) if one.value is None]
    if missing or any(one.filters != filters for one in bookmarks):
        why = f"shard {missing[0]} has none" if missing else "their filters differ"
        _log(f"{stream.name}: no bookmark, so the next runs read it from the beginning: {why}")
        return of_all
    skipped: dict[str, str] = {}
    for one in bookmarks:
        for owner, date in one.skipped.items():
            skipped[owner] = min(date, skipped.get(owner, date))
    Bookmark(key, min(values), filters, account=account, skipped=skipped).write(of_all)
    _log(f"{stream.name}: bookmark {min(values)}")
    return of_all


def _log(line: str) -> None:
    click.echo(line, err=True)
