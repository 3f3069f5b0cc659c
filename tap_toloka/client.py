"""The base of all streams: rows of lists of Toloka, in the order of their ids."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from functools import cached_property, partial
from hashlib import blake2b
from operator import attrgetter

from singer_sdk import Stream, metrics
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.schema.source import StreamSchema
from singer_sdk.singerlib import StateMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_toloka import dates
from tap_toloka.clock import monotonic
from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Listing
from tap_toloka.fingerprints import Comparison
from tap_toloka.fitting import attribute_of
from tap_toloka.lists import SCHEMAS, ListReader, TolokaList
from tap_toloka.pages import IdCursor, as_objects
from tap_toloka.passes import Pass
from tap_toloka.progress import Progress
from tap_toloka.records import RecordWriter
from tap_toloka.remaining import Remaining
from tap_toloka.report import StreamReport, counted
from tap_toloka.shards import Shard
from tap_toloka.state import Start

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, CatalogEntry

    from tap_toloka.api import TolokaApi
    from tap_toloka.fetch import Reading, Source
    from tap_toloka.fitting import Row
    from tap_toloka.lists import ParentCache
    from tap_toloka.output import LineWriter
    from tap_toloka.pages import LeaveOut, PageReader

_RECORD_SETTINGS = ("stream_map", "faker_", "flattening_")
"""How the settings begin that change what is printed of a row."""

_UNTIL: Mapping[str, str] = {"gt": "lte", "gte": "lt"}
"""The bound that lets through what the other does not."""

# It has their verbs, and knows nothing of the SDK, so that pages can be read without it.
BaseAPIPaginator.register(IdCursor)


class TolokaStream(TolokaList, Stream):
    """Rows of lists of Toloka. A stream is a handful of facts: those of `TolokaList`.

    Args:
        tap: The tap that it belongs to, for the SDK.
        connect: Returns the client of Toloka's API; not called for discovery.
        writer: Where rows are printed.
        account: Returns the account that is read, as `tap_toloka.account` has it; empty if state
            is not kept.
        parents: Parents that the streams of the run list by.
    """

    primary_keys: tuple[str, ...] = ("id",)
    replication_key: str | None = "created"
    schema: t.ClassVar[StreamSchema[str]] = StreamSchema(SCHEMAS)

    def __init__(
        self,
        tap: Tap,
        connect: Callable[[], TolokaApi],
        writer: LineWriter,
        account: Callable[[], Mapping[str, str]],
        parents: ParentCache,
    ) -> None:
        super().__init__(tap)
        self._connect = connect
        self._writer = writer
        self._account = account
        self._lists = partial(ListReader, connect, self.config, self.logger, parents=parents)
        self._began = monotonic()
        self.warned_of_missing = False
        """Whether nothing was found of a pool, project, ... that a filter names."""
        self.report = StreamReport(self.name, self.logger)
        self.owners_found = 0
        """How many pools, operations, ... there are lists of."""
        self.answered = False
        """Whether Toloka answered a request for rows in this run."""

    # What is read

    @property
    def run_began(self) -> str:
        """When the run began, by Toloka's clock if it answered, in the canonical form of dates."""
        return self._connect().clock.at(self._began)

    @cached_property
    def filters_in_use(self) -> dict[str, str]:
        """The filters that the settings have for this stream, in their normal form."""
        return self.filters.normal(self.config.get("filters", {}).get(self.name, {}))

    def listings(self, lists: ListReader) -> Iterator[Listing]:
        """Yield the lists that are to be read, in the order of their owners.

        Args:
            lists: Reads rows of other streams, to find what there are lists for.
        """
        del lists  # there is one list, of the account
        yield from self.changed_since(Listing())

    def changed_since(self, listing: Listing) -> Iterator[Listing]:
        """Split a list into what is new, and what is older and changed, by each of `change_dates`.

        Toloka can filter by each date, but not by the latest of them: a row that changed twice is
        in two of these lists, and is left out of the second one. (If it changed between the two
        requests it may be in none; then its date is after the bookmark of this run.)

        If older rows are compared, they are in one list, but for those before `start_date`.
        """
        first, *others = self.change_dates
        start, earliest = self.progress.start_of(listing.owner), self.progress.start_date
        if start is None:
            yield self.filtered(listing, {})
            return
        older = until(first, start)
        if self.progress.compares_since(start):
            yield from _compared(self, listing, start)
            if earliest is None:
                return
            older = {f"{first}_lt": earliest}
        else:
            yield self.filtered(listing, since(first, start))
        for place, other in enumerate(others):
            leave_out = with_any_date_in(others[:place], start) if place else None
            one = replace(listing, leave_out=leave_out)
            yield self.filtered(one, {**since(other, start), **older})

    def filtered(self, listing: Listing, more: Mapping[str, str]) -> Listing:
        """Add parameters to a list: the filters of the settings, and more in their normal form."""
        params = {**listing.params, **more}
        return replace(listing, params=self.filters.parameters(self.filters_in_use, params))

    def owners(self, name: str) -> set[str]:
        """Return the pools, projects, ... that a filter of the settings names; empty: any."""
        return set(filter(None, self.filters_in_use.get(name, "").split(",")))

    @cached_property
    def progress(self) -> Progress:
        """From where the stream is read, and how far it was."""
        start_date = self.config.get("start_date")
        return Progress(
            name=self.name,
            state=self.stream_state,
            replication_key=None if self.is_full_table else self.replication_key,
            filters=self.filters_in_use,
            shard=_shard_in_state(self),
            account=self._account(),
            start_date=dates.canonical(start_date) if start_date else None,
            lookback_days=self.config["lookback_days"],
            comparison=self._comparison if self.changes_without_date else None,
            detect_changes=self.config["detect_changes"],
            logger=self.logger,
        )

    @override  # the SDK hands over the catalog here, and lets streams refuse what they cannot do
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from a catalog.

        Raises:
            ConfigurationError: If it asks for a replication that Toloka's filters cannot serve, or
                leaves out a key.
        """
        super().apply_catalog(catalog)
        self.replication_key = self.replication_key or type(self).replication_key
        if problem := problem_with_catalog(self, catalog.get_stream(self.name)):
            raise ConfigurationError(problem)

    # How it is read

    def get_new_paginator(self) -> IdCursor:
        """Return the cursor that a list is read by, as the SDK's paginators are used."""
        start = self.filters_in_use.get(f"{self.id_field}_gt")
        return IdCursor(self._reader.read, start, order=self.id_order())

    @cached_property
    def _source(self) -> Source:
        return self.source(self.get_new_paginator, self.config.get("batch_size"))

    @cached_property
    def _reader(self) -> PageReader:
        """Reads what is selected, before any stream map, and what added fields are made of."""
        compute = self.compute_fields if self.added_fields else None
        on_misfit = self.config["on_misfit"]
        return self.reader(self._selected_properties, self.logger, compute, on_misfit=on_misfit)

    @cached_property
    def _selected_properties(self) -> Mapping[str, t.Any]:
        """The JSON Schema of each selected field, as the catalog has it."""
        properties = self.effective_schema["properties"]
        return {name: kind for name, kind in properties.items() if self.mask["properties", name]}

    @property
    def _comparison(self) -> Comparison:
        return Comparison(
            signature=_signature(self, self._selected_properties),
            order=self.id_order(),
            page_size=self._source.params["limit"],
            created=self.change_dates[0],
            # Made with the first page.
            content_of=lambda row: self._records.content_of(row),  # noqa: PLW0108
        )

    @cached_property
    def _records(self) -> RecordWriter:
        wanted = self.config.get("emit_activate_version_messages")
        versions = wanted and self.is_full_table and self.keeps_rows
        return RecordWriter(
            self,
            self._writer,
            declared=self._selected_properties,
            known=self.known_properties(),
            version=self._connect().clock.seconds_at(self._began) if versions else None,
        )

    def compute_fields(self, rows: list[Row]) -> None:
        """Compute added fields that `Listing.fields` does not hold.

        Raises:
            ValueError: If a row does not have what they are computed from.
        """

    # How it is written

    @override  # abstract in the SDK, whose own loop over records is replaced below
    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Yield the rows as Python objects."""
        lists = self._lists()
        for read in lists.read(type(self), self._source, self.listings(lists)).pages():
            yield from as_objects(read.page.rows)

    @override  # the SDK would note a date in state that caps its own bookmark; ours is in state.py
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None

    @property
    @override  # the SDK would send ACTIVATE_VERSION before the first row is read
    def emit_activate_version_messages(self) -> bool:
        return False

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        """Write all rows, then move the bookmark.

        The SDK's own loop costs several times what reading and writing a row does, and moves the
        bookmark by each row, also back. This is the only private method of `Stream` that is
        replaced, and one is used, in `tap.py`. A test fails when they change.
        """
        try:
            self.read_and_write(self.ABORT_AT_RECORD_COUNT)
        except TolokaError as error:
            error.stream = error.stream or self.name
            raise
        yield from ()

    def read_and_write(self, limit: int | None) -> None:
        """Write the rows of all lists, then move the bookmark and write state.

        What an interrupted run left comes first, and may be all.

        Args:
            limit: For a test of the connection: most rows to write, of one page, and no more.

        Raises:
            TolokaError: If they could not be read.
        """
        try:
            with (
                metrics.http_request_counter(self.name, endpoint=self.path) as requests,
                self.get_record_counter() as rows,
                self.get_sync_timer(),
            ):
                self._read_once(limit, requests.increment, rows.increment)
                if limit is None and self.progress.is_outdated(self.run_began):
                    del self.progress  # made anew, of what state holds now
                    self._read_once(limit, requests.increment, rows.increment)
            _log_missing(self)
        finally:
            self.report.misfits = self._reader.misfits + self._records.misfits

    def _read_once(
        self, limit: int | None, on_request: Callable[[], None], on_rows: Callable[[int], None]
    ) -> None:
        if limit is None:
            self.progress.log_start()
            _warn_of_changing_filters(self)
        lists = self._lists(limit=limit, on_request=self.report.request)
        remaining = Remaining(self.owner_order(), self.progress.unfinished)
        listings = remaining.listings(self.listings(lists))
        reading = lists.read(type(self), self._source, listings, self.progress.skipped_before)
        one = Pass(
            reading=reading,
            remaining=remaining,
            progress=self.progress,
            replication_key=self.replication_key,
            began=lambda: self.run_began,
            clock=self._connect().clock,
            # Made with the first page: only then Toloka's clock is known, for its version.
            write_rows=lambda rows: self._records.write(rows),  # noqa: PLW0108
            write_state=self._write_state,
            report=self.report,
            listed_by=self.listed_by,
            owners=lambda: self.owners_found,
            limit=limit,
        )
        one.run(on_request, on_rows)
        self.answered = reading.answered
        if limit is None:
            complete = lists.complete and not reading.skipped
            if not one.rows and complete:
                _warn_of_nothing(self)
            self._conclude(one, reading, complete=complete)

    def _conclude(self, one: Pass, reading: Reading, *, complete: bool) -> None:
        """Say what was read, now that all of it is written: ACTIVATE_VERSION, bookmark, STATE.

        Args:
            one: What was written.
            reading: What was read, and which lists could not be.
            complete: Whether nothing was skipped, here or where lists were found.

        Raises:
            RefusedError: If this key may read none of the lists, and that is new.
        """
        reading.warn_of_skipped()
        if self._records.version is not None and _can_activate_version(self, complete=complete):
            self._records.activate_version()
        with self._writer.uninterrupted():
            self.progress.move(one.greatest, one.began, reading.skipped)
            self._write_state()
        if reading.denied:
            raise reading.denied  # the next run knows of these lists, and reads the others

    def _write_state(self) -> None:
        self._writer.write_message(StateMessage(value=self.tap_state))

    @property
    def is_full_table(self) -> bool:
        """Whether all rows are read in each run."""
        return self.replication_method != REPLICATION_INCREMENTAL


def _shard_in_state(stream: TolokaStream) -> str:
    """Return the part of a stream that the run reads, as state has it; `""`: all of it."""
    shard = Shard.in_settings(stream.config)
    return str(shard) if stream.sharded and not shard.is_whole else ""


def since(date: str, start: Start | None) -> dict[str, str]:
    """Return a start as a filter by a date; empty: from the beginning."""
    return {} if start is None else {f"{date}_{start.bound}": start.date}


def until(date: str, start: Start, earliest: str | None = None) -> dict[str, str]:
    """Return what is before a start as a filter by a date, from the earliest that counts."""
    before = {f"{date}_{_UNTIL[start.bound]}": start.date}
    return {f"{date}_gte": earliest, **before} if earliest else before


def _compared(stream: TolokaStream, listing: Listing, start: Start) -> Iterator[Listing]:
    """Split a list into what is new, and what is older and compared, if anything can be."""
    date, earliest = stream.change_dates[0], stream.progress.start_date
    fingerprints = stream.progress.fingerprints
    if fingerprints and fingerprints.stored.blocks:
        yield stream.filtered(listing, since(date, start))
        older = replace(listing, cut=fingerprints.cut)
        yield stream.filtered(older, until(date, start, earliest))
    else:  # all rows are printed, as by a first run
        all_since = Start("gte", earliest) if earliest else None
        yield stream.filtered(listing, since(date, all_since))


def _signature(stream: TolokaStream, properties: Mapping[str, t.Any]) -> str:
    """Return a short text that changes with what is printed of a row, and with which rows are read.

    Args:
        stream: The stream.
        properties: The JSON Schema of each selected field.
    """
    facts = (
        properties,
        sorted("/".join(place) for place, is_selected in stream.mask.items() if is_selected),
        {n: value for n, value in stream.config.items() if n.startswith(_RECORD_SETTINGS)},
        stream.filters_in_use,
        stream.config.get("start_date"),
    )
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=6).hexdigest()


def warn_of_missing(stream: TolokaStream, name: str, missing: AbstractSet[str]) -> None:
    """Log that there is nothing to read of pools, projects, ... that a filter names."""
    if missing:
        stream.warned_of_missing = True
        stream.logger.warning(
            "`filters.%s.%s`: nothing found in this account for %s. Check the IDs",
            stream.name,
            name,
            ", ".join(sorted(missing, key=lambda id_: (len(id_), id_))),
        )


def _log_missing(stream: TolokaStream) -> None:
    if stream.report.missing:
        stream.logger.info(
            "%s: %s of earlier runs no longer listed, and kept by the target: %s",
            stream.name,
            counted(stream.report.missing, "row"),
            "deleted, or they do not match the filters any more"
            if stream.filters_in_use
            else "deleted. FULL_TABLE with `emit_activate_version_messages` marks such rows",
        )


def _warn_of_changing_filters(stream: TolokaStream) -> None:
    changing = stream.filters.changing_in(stream.filters_in_use)
    if changing and not stream.is_full_table and not stream.progress.fingerprints:
        stream.logger.warning(
            "%s is filtered by values that can change (%s): rows that match only after the "
            "bookmark has passed are not read. Use `lookback_days` or FULL_TABLE",
            stream.name,
            ", ".join(changing),
        )


def _warn_of_nothing(stream: TolokaStream) -> None:
    """Warn that no row was read, unless that is usual: there is a bookmark, or no filter."""
    if stream.progress.is_first and stream.filters_in_use and not stream.warned_of_missing:
        stream.logger.warning(
            "No rows of %s match its filters%s: %s. Check the filter values",
            stream.name,
            f" since {start.date}" if (start := stream.progress.start) else "",
            ", ".join(f"{name}={value}" for name, value in stream.filters_in_use.items()),
        )


def _can_activate_version(stream: TolokaStream, *, complete: bool) -> bool:
    """Tell whether a row that was not read cannot exist; if it may, log why."""
    why = None if complete else "some lists could not be read"
    if stream.filters_in_use:
        why = "the stream has `filters`, and rows outside them would be removed"
    if why:
        msg = "%s: ACTIVATE_VERSION not sent, so deleted rows stay in the target: %s"
        stream.logger.warning(msg, stream.name, why)
    return why is None


def with_any_date_in(names: Sequence[str], start: Start) -> LeaveOut:
    """Return what tells whether a row has one of these dates from a start on."""
    dates_of = [attrgetter(attribute_of(name)) for name in names]

    def leave_out(row: Row) -> bool:
        return any(start.includes(date_of(row)) for date_of in dates_of)

    return leave_out


def problem_with_catalog(stream: TolokaStream, entry: CatalogEntry | None) -> str | None:
    """Tell what a catalog asks of a stream that cannot be done, if anything."""
    keys = type(stream).primary_keys
    if entry is not None and sorted(entry.key_properties or ()) != sorted(keys):
        return (
            f"The catalog has the `key_properties` {list(entry.key_properties or ())} for "
            f"{stream.name}; rows would be lost or duplicated. They must be {list(keys)}"
        )
    ours = type(stream).replication_key
    if stream.replication_method != REPLICATION_FULL_TABLE and (
        stream.replication_method != REPLICATION_INCREMENTAL
        or ours is None
        or stream.replication_key != ours
    ):
        return (
            f"The catalog wants {stream.name} {stream.replication_method} by "
            f"{stream.replication_key!r}; it can be "
            f"{f'INCREMENTAL by {ours!r}, or ' if ours else ''}FULL_TABLE"
        )
    properties = stream.effective_schema.get("properties", {})
    for key in {*keys, *([ours] if ours else [])}:
        if stream.selected and not (key in properties and stream.mask["properties", key]):
            return f"The catalog deselects {key!r} of {stream.name}, a key or replication key"
    return None
