"""The base of all streams: rows of lists of Toloka, in the order of their ids."""

from __future__ import annotations

import typing as t
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property

from singer_sdk import Stream, metrics
from singer_sdk.exceptions import ConfigurationError
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.schema.source import StreamSchema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_toloka import dates, maps
from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Listing
from tap_toloka.lists import SCHEMAS, ListReader, TolokaList
from tap_toloka.pages import IdCursor, as_objects, greatest_date
from tap_toloka.state import Bookmark, Start

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, CatalogEntry

    from tap_toloka.api import TolokaApi
    from tap_toloka.fetch import Reading, Source
    from tap_toloka.fitting import Row
    from tap_toloka.output import LineWriter
    from tap_toloka.pages import PageReader

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
    """

    primary_keys: tuple[str, ...] = ("id",)
    replication_key: str | None = "created"
    schema: t.ClassVar[StreamSchema[str]] = StreamSchema(SCHEMAS)

    def __init__(self, tap: Tap, connect: Callable[[], TolokaApi], writer: LineWriter) -> None:
        super().__init__(tap)
        self._connect = connect
        self._writer = writer
        began = datetime.fromtimestamp(tap.initialized_at / 1000, timezone.utc)
        self.run_began = dates.from_datetime(began)
        """When the run began, in the one form of dates."""
        self._warned_of_missing = False
        self.answered = False
        """Whether Toloka answered a request for rows in this run."""

    # What is read

    @cached_property
    def filters_in_use(self) -> dict[str, str]:
        """The filters that the settings have for this stream, in their normal form."""
        return self.filters.normal(self.config.get("filters", {}).get(self.name, {}))

    def listings(self, lists: ListReader) -> Iterator[Listing]:
        """Yield the lists that are to be read.

        Args:
            lists: Reads rows of other streams, to find what there are lists for.
        """
        del lists  # there is one list, of the account
        yield from self.changed_since(Listing())

    def changed_since(self, listing: Listing) -> Iterator[Listing]:
        """Split a list into what is new, and what is older and changed, by each of `change_dates`.

        Toloka can filter by each date, but not by the latest of them: a row that changed twice is
        in two of these lists.
        """
        first, *others = self.change_dates
        yield self.filtered(listing, self.since(first))
        if self.start is not None:
            older = {f"{first}_{_UNTIL[self.start.bound]}": self.start.date}
            listing = replace(listing, overlaps=len(others) > 1)
            for other in others:
                yield self.filtered(listing, {**self.since(other), **older})

    def filtered(self, listing: Listing, more: Mapping[str, str]) -> Listing:
        """Add parameters to a list: the filters of the settings, and more in their normal form."""
        params = {**listing.params, **more}
        return replace(listing, params=self.filters.parameters(self.filters_in_use, params))

    def since(self, date: str) -> dict[str, str]:
        """Return `start` as a filter by a date; empty: from the beginning."""
        return {} if self.start is None else {f"{date}_{self.start.bound}": self.start.date}

    def owners(self, name: str) -> set[str]:
        """Return the pools, projects, ... that a filter of the settings names; empty: any."""
        return set(filter(None, self.filters_in_use.get(name, "").split(",")))

    def warn_of_missing(self, name: str, missing: AbstractSet[str]) -> None:
        """Log that there is nothing to read of pools, projects, ... that a filter names."""
        if missing:
            self._warned_of_missing = True
            self.logger.warning(
                "`filters.%s.%s` contains ids with nothing to read in this account: %s",
                self.name,
                name,
                ", ".join(sorted(missing, key=lambda id_: (len(id_), id_))),
            )

    @cached_property
    def start(self) -> Start | None:
        """The date from which rows are read; `None`: from the beginning."""
        if self.replication_method != REPLICATION_INCREMENTAL:
            return None
        start_date = self.config.get("start_date")
        return self._valid_bookmark.start(
            dates.canonical(start_date) if start_date else None, self.config["lookback_days"]
        )

    @cached_property
    def _bookmark(self) -> Bookmark:
        return Bookmark.of(self.stream_state, self.replication_key or "")

    @property
    def _valid_bookmark(self) -> Bookmark:
        if self._bookmark.filters == self.filters_in_use:
            return self._bookmark
        return Bookmark(self._bookmark.replication_key, filters=self.filters_in_use)

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
        """Reads what is selected, and what added fields are computed from."""
        properties = self.effective_schema["properties"]
        printed = {n: p for n, p in properties.items() if self.mask["properties", n]}
        compute = self.compute_fields if self.added_fields else None
        return self.reader(printed, self.logger, compute)

    def compute_fields(self, rows: list[Row]) -> None:
        """Compute added fields that `Listing.fields` does not hold.

        Raises:
            ValueError: If a row does not have what they are computed from.
        """

    # How it is written

    @override  # abstract in the SDK, whose own loop over records is replaced below
    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Yield the rows as Python objects."""
        lists = ListReader(self._connect, self.config, self.logger)
        for page in lists.read(type(self), self._source, self.listings(lists)).pages():
            yield from as_objects(page.rows)

    @override  # the SDK would note a date in state that caps its own bookmark; ours is in state.py
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        return None

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        """Write all rows, then move the bookmark.

        The SDK's own loop costs several times what reading and writing a row does, and moves the
        bookmark by each row, also back. This is the one private method that is replaced; what it
        calls of the SDK's own is `_write_record_message`. A test fails when these change.
        """
        try:
            self.read_and_write(self.ABORT_AT_RECORD_COUNT)
        except TolokaError as error:
            error.stream = error.stream or self.name
            raise
        yield from ()

    def read_and_write(self, limit: int | None) -> None:
        """Write the rows of all lists, then move the bookmark and write state.

        Args:
            limit: For a test of the connection: most rows to write, of one page; neither bookmark
                nor state are touched.

        Raises:
            TolokaError: If they could not be read.
        """
        if limit is None:
            self._log_start()
        lists = ListReader(self._connect, self.config, self.logger, limit)
        reading = lists.read(type(self), self._source, self.listings(lists))
        greatest, count = "", 0
        with (
            metrics.http_request_counter(self.name, endpoint=self.path) as requests,
            self.get_record_counter() as counter,
            self.get_sync_timer(),
            closing(reading.pages(requests.increment)) as pages,
        ):
            for page in pages:
                rows = page.rows if limit is None else page.rows[:limit]
                self._write(rows)
                count += len(rows)
                counter.increment(len(rows))
                if self.replication_key:
                    greatest = max(greatest, greatest_date(rows, self.replication_key))
                if limit is not None and rows:
                    break
        self.answered = reading.answered
        if limit is None:
            if not count and lists.complete and not reading.refused:
                self._log_nothing()
            self._move_bookmark(greatest, reading)
            self.finalize_state_progress_markers()  # clears what the SDK noted, and writes STATE

    def _write(self, rows: list[Row]) -> None:
        if self._prints_rows_as_read:
            now = dates.from_datetime(datetime.now(timezone.utc))
            self._writer.write_rows(self.name, rows, now)
        else:
            for record in as_objects(rows):
                with maps.failing_with_a_row():
                    self._write_record_message(record)

    @cached_property
    def _prints_rows_as_read(self) -> bool:
        """Whether nothing looks inside rows: no map, flattening, version, or partial selection."""
        stream_map, *others = self.stream_maps
        return (
            not others
            and type(stream_map) is SameRecordTransform
            and not stream_map.flattening_enabled
            and not self.emit_activate_version_messages
            and all(
                selected or not self.mask[breadcrumb[:2]]
                for breadcrumb, selected in self.mask.items()
                if len(breadcrumb) > 2  # noqa: PLR2004  # ("properties", field) is a field
            )
        )

    def _move_bookmark(self, greatest: str, reading: Reading) -> None:
        """Move the bookmark after a whole run, but not past rows that could not be read."""
        if self.replication_method != REPLICATION_INCREMENTAL:
            return
        if withheld := reading.withheld:
            self.logger.warning(
                "Bookmark of %s not advanced: could not read %s %s. Exclude them with `filters` if "
                "this is permanent",
                self.name,
                self.listed_by,
                ", ".join(withheld),
            )
            return
        moved = self._bookmark.moved(greatest, self.filters_in_use, self.run_began)
        if moved.value:
            moved.write(self.stream_state)

    def _log_start(self) -> None:
        if self.replication_method != REPLICATION_INCREMENTAL:
            return
        since = f"since {self.start.date}" if self.start else "from the beginning"
        if self._bookmark.value and self._bookmark is not self._valid_bookmark:
            self.logger.warning(
                "Filters of %s have changed since the last run: starting over, reading %s",
                self.name,
                since,
            )
        else:
            self.logger.info("Reading %s %s", self.name, since)
        if changing := self.filters.changing_in(self.filters_in_use):
            self.logger.warning(
                "%s is filtered by values that can change (%s): rows that match only after the "
                "bookmark has passed are not read. Use `lookback_days` or FULL_TABLE",
                self.name,
                ", ".join(changing),
            )

    def _log_nothing(self) -> None:
        """Warn that no row was read, unless that is usual: there is a bookmark, or no filter."""
        first = self.replication_method != REPLICATION_INCREMENTAL or not self._valid_bookmark.value
        if first and self.filters_in_use and not self._warned_of_missing:
            self.logger.warning(
                "No rows of %s match its filters%s: %s. Check the filter values",
                self.name,
                f" since {self.start.date}" if self.start else "",
                ", ".join(f"{name}={value}" for name, value in self.filters_in_use.items()),
            )


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
            return f"The catalog leaves out {key!r}, which {stream.name} requires"
    return None
