"""From where a run reads a stream, and what it may say afterwards that it has read."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from functools import cached_property

from tap_toloka import dates
from tap_toloka.account import combined
from tap_toloka.errors import TolokaError
from tap_toloka.fingerprints import Fingerprints
from tap_toloka.state import MOST_SKIPPED, Blocks, Bookmark, Start, Unfinished

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Collection, Mapping, MutableMapping

    from tap_toloka.clock import Clock
    from tap_toloka.fingerprints import Comparison
    from tap_toloka.remaining import Remaining
    from tap_toloka.splitting import Order


PAUSE_SECONDS = 15 * 60
"""A run that resumes one that began no longer ago does not read what is new since; the next one
does, as after a run that takes so long without an interruption."""


class Progress:
    """The bookmark of one stream in one read of it.

    A run reads a stream once, or twice: what an interrupted run left, and, if that began long ago,
    what is new since.

    Args:
        name: The name of the stream.
        state: The entry of the stream in state, which is written to.
        replication_key: Its replication key; `None` if it is read whole, without a bookmark.
        filters: The filters of this run, in their normal form.
        shard: The shard that this run reads of the stream; `""`: all of it.
        account: The account that is read, as `tap_toloka.account` has it. Whether the state is of
            the same one has been checked.
        start_date: Where a stream without a bookmark starts, in the canonical form of dates.
        lookback_days: Days before the bookmark that are read again, unless rows are compared.
        comparison: How rows are compared with what was printed of them, if they can change without
            a date.
        detect_changes: Whether they are.
        logger: The logger of the stream.
    """

    def __init__(  # noqa: PLR0913  # they go by name
        self,
        *,
        name: str,
        state: MutableMapping[str, t.Any],
        replication_key: str | None,
        filters: Mapping[str, str],
        shard: str,
        account: Mapping[str, str],
        start_date: str | None,
        lookback_days: int,
        comparison: Comparison | None,
        detect_changes: bool,
        logger: logging.Logger,
    ) -> None:
        self._name = name
        self._state = state
        self._is_incremental = replication_key is not None
        given = Bookmark.of(state, replication_key or "")
        self._given = replace(given, account=combined(given.account, account))
        self._filters = filters
        self._shard = shard
        self.start_date = start_date
        self._comparison = comparison
        self._compares = self._is_incremental and detect_changes and comparison is not None
        self._lookback_days = 0 if self._compares else lookback_days
        self._logger = logger

    @cached_property
    def _bookmark(self) -> Bookmark:
        """The bookmark that counts: none for a full table, other filters, or another shard."""
        if self._is_incremental and self._given.value and not self._why_not_used:
            return replace(self._given, shard=self._shard)
        key, account = self._given.replication_key, self._given.account
        return Bookmark(key, filters=self._filters, shard=self._shard, account=account)

    @property
    def _why_not_used(self) -> str:
        """Why the bookmark in state does not count for this run; `""`: it does."""
        if self._given.value is not None and self._given.filters != self._filters:
            return f"Filters of {self._name} changed since the last run"
        if self._given.value is not None and self._given.shard not in {"", self._shard}:
            ours = f"shard {self._shard}" if self._shard else "the whole account"
            return f"State of {self._name} is of shard {self._given.shard}, not of {ours}"
        return ""

    @cached_property
    def unfinished(self) -> Unfinished | None:
        """What an interrupted run left, if this one resumes it."""
        found = self._state.get("unfinished")
        if not self._is_incremental or found is None:
            return None
        unfinished = Unfinished.of(found)
        is_usable = (
            unfinished.bookmark == self._given.value
            and unfinished.filters == self._filters
            and unfinished.shard in {"", self._shard}
            # Without a bookmark it was the settings that said from where.
            and (not self.is_first or unfinished.since == self._start_of_bookmark)
        )
        return unfinished.for_shard(self._shard) if is_usable else None

    @cached_property
    def fingerprints(self) -> Fingerprints | None:
        """What was printed of the rows; `None`: they are not compared.

        Raises:
            TolokaError: If state holds something else.
        """
        if self._comparison is None or not self._compares:
            return None
        stored = Blocks.of(self._state.get("blocks", []))
        if stored.signature != self._comparison.signature:
            return Fingerprints(self._comparison)
        if self.is_first:  # all rows are new
            stored = Blocks()
        new = self.unfinished.blocks if self.unfinished else ()
        return Fingerprints(self._comparison, stored, new, bookmark=self._given.value)

    @property
    def has_blocks(self) -> bool:
        """Whether state holds what was printed of the rows."""
        return bool(self._state.get("blocks"))

    def compares_since(self, start: Start) -> bool:
        """Tell whether rows that are older than a start are compared."""
        is_within = (self.start_date or "") <= start.date
        return is_within and self.fingerprints is not None and not self.is_first

    @cached_property
    def owners_left(self) -> Collection[str]:
        """Owners of whose lists the interrupted run has left a part."""
        return {part.owner for part in self.unfinished.left} if self.unfinished else ()

    def first_owner_left(self, order: Order) -> str | None:
        """Return the first owner whose lists may have to be read; `None`: that is not known.

        Args:
            order: What owners compare by.
        """
        if self.unfinished is None:
            return None
        owners = {self.unfinished.begun[0], *self.owners_left}
        return None if "" in owners else min(owners, key=order)

    def is_outdated(self, run_began: str) -> bool:
        """Tell whether it resumes a run that began so long ago that more may be new.

        Args:
            run_began: When this run began, by Toloka's clock.
        """
        return self.unfinished is not None and self.unfinished.began < dates.shifted(
            run_began, seconds=-PAUSE_SECONDS
        )

    @property
    def _start_of_bookmark(self) -> Start | None:
        return self._bookmark.start(self.start_date, self._lookback_days)

    @property
    def is_first(self) -> bool:
        """Whether there is no bookmark to start from."""
        return self._bookmark.value is None

    @cached_property
    def start(self) -> Start | None:
        """The date from which rows are read; `None`: from the beginning."""
        if not self._is_incremental:
            return None
        return self.unfinished.since if self.unfinished else self._start_of_bookmark

    @property
    def skipped_before(self) -> Mapping[str, str]:
        """Owners whose lists could not be read in earlier runs, as `Bookmark.skipped`."""
        return self._bookmark.skipped

    def start_of(self, owner: str | None) -> Start | None:
        """Return the date from which the list of an owner is read: earlier if it was skipped."""
        date = self.skipped_before.get(owner or "")
        if date is None or self.start is None:
            return self.start
        return Start("gte", min(date, self.start.date)) if date else None

    def log_start(self) -> None:
        """Log from where the stream is read."""
        if not self._is_incremental:
            msg = "Reading %s from the beginning, as each run of a FULL_TABLE stream does"
            self._logger.info(msg, self._name)
            return
        if self.unfinished:
            msg = "Resuming %s: reading what the run of %s did not finish"
            self._logger.info(msg, self._name, self.unfinished.began)
            return
        since = f"since {self.start.date}" if self.start else "from the beginning"
        if self.fingerprints and not self.is_first:
            since += ", and comparing older rows"
        if self._why_not_used:
            self._logger.warning("%s: starting over, reading %s", self._why_not_used, since)
        else:
            self._logger.info("Reading %s %s", self._name, since)
        if self.fingerprints and not self.is_first and not self.fingerprints.stored.blocks:
            msg = "Printing all rows of %s once: settings or schema have changed, or the tap is new"
            self._logger.info(msg, self._name)

    def check(self, clock: Clock) -> None:
        """Refuse a bookmark in the future: rows created before it would never be read.

        Raises:
            TolokaError: If it is later than now by Toloka's clock, known once it has answered.
        """
        bookmark = self._bookmark.value
        if bookmark and bookmark > (now := clock.latest()):
            msg = (
                f"the bookmark in state, {bookmark}, is in the future ({now} by {clock.whose}): "
                "rows before it would never be read. Set `replication_key_value` to an earlier "
                "date, or remove the stream from the state"
            )
            raise TolokaError(msg)

    def latest(self, run_began: str) -> str:
        """Return the latest date that the bookmark can move to.

        Args:
            run_began: When this run began, by Toloka's clock.
        """
        began = self.unfinished.began if self.unfinished else run_began
        return self._bookmark.latest(began)

    def checkpoint(
        self, remaining: Remaining, greatest: str, run_began: str, refused: Mapping[str, bool]
    ) -> None:
        """Keep in state what is left, for the case that nothing more is read.

        Args:
            remaining: What was not written yet.
            greatest: The greatest value of the replication key that was written; `""`: none.
            run_began: When the run began, by Toloka's clock.
            refused: Owners of lists that could not be read, and whether rows are missing.
        """
        if not self._is_incremental:
            self._replace_blocks(Blocks())
        if not self._is_incremental or remaining.begun is None:
            return
        missing = [owner for owner, is_missing in refused.items() if is_missing]
        greatest, began, skipped = self._as_one_read(greatest, run_began, missing)
        unfinished = Unfinished(
            bookmark=self._given.value,
            since=self.start,
            began=began,
            greatest=greatest,
            begun=remaining.begun,
            left=tuple(part for part in remaining.parts() if part.owner not in refused),
            skipped=tuple(skipped[: MOST_SKIPPED + 1]),
            filters=self._filters,
            shard=self._shard,
            blocks=self.fingerprints.new if self.fingerprints else (),
        )
        self._keep_account()
        self._replace_blocks(self.fingerprints.stored if self.fingerprints else Blocks())
        # Meltano merges the state of a full refresh into the one before: a bookmark that is not
        # there would be the old one.
        self._state.setdefault("replication_key_value", None)
        self._state["replication_key"] = self._given.replication_key
        self._state["unfinished"] = unfinished.as_json()

    def move(self, greatest: str, run_began: str, skipped: Collection[str]) -> None:
        """Move the bookmark after everything was read, and keep which lists could not be.

        Args:
            greatest: The greatest value of the replication key that was read; `""`: none.
            run_began: When the run began, by Toloka's clock.
            skipped: Owners of lists that could not be read.
        """
        if not self._is_incremental:
            self._keep_account()
            self._replace_blocks(Blocks())
            return
        self._state.pop("unfinished", None)
        greatest, began, skipped = self._as_one_read(greatest, run_began, skipped)
        if len(skipped) > MOST_SKIPPED:
            self._logger.warning(
                "Bookmark of %s not advanced: %d lists were skipped, more than the %d that state "
                "can hold. The next run reads everything since the old bookmark again",
                self._name,
                len(skipped),
                MOST_SKIPPED,
            )
            return
        starts = {owner: self.start_of(owner) for owner in skipped}
        unread = {owner: start.date if start else "" for owner, start in starts.items()}
        moved = self._bookmark.moved(greatest, began, unread)
        if moved.value:
            moved.write(self._state)
            blocks = Blocks()
            if self.fingerprints:
                blocks = self.fingerprints.finished(moved.value)
            self._replace_blocks(blocks)

    def _replace_blocks(self, blocks: Blocks) -> None:
        """Replace what state holds. A read that does not compare empties it, as it prints too."""
        if self._comparison is not None:
            self._state["blocks"] = blocks.as_json()

    def _keep_account(self) -> None:
        if self._given.account:
            self._state["account"] = dict(self._given.account)

    def _as_one_read(
        self, greatest: str, run_began: str, skipped: Collection[str]
    ) -> tuple[str, str, list[str]]:
        """Return what counts of this read and the one that it resumes, if it does."""
        before = self.unfinished
        if before is None:
            return greatest, run_began, list(skipped)
        together = dict.fromkeys([*before.skipped, *skipped])
        return max(greatest, before.greatest), before.began, list(together)
