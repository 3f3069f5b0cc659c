"""The facts about a list of Toloka, and how lists are read by them."""

from __future__ import annotations

import itertools
import typing as t
from contextlib import closing
from dataclasses import replace
from functools import partial

from msgspec import UNSET
from singer_sdk import metrics
from singer_sdk.schema.source import SchemaDirectory
from typing_extensions import override

from tap_toloka import schemas
from tap_toloka.errors import TolokaError
from tap_toloka.fetch import Listing, Reading, Source, do_nothing
from tap_toloka.fitting import Row, attribute_of
from tap_toloka.hiding import shortened
from tap_toloka.misfits import EXTRA, MISFITS, OWN_FIELDS
from tap_toloka.pages import IdCursor, PageReader
from tap_toloka.rows import RowFields
from tap_toloka.shards import WHOLE, Shard

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tap_toloka.api import TolokaApi
    from tap_toloka.filters import Filters
    from tap_toloka.pages import OnMisfit
    from tap_toloka.splitting import Order


_Parent = t.TypeVar("_Parent")


class _Schemas(SchemaDirectory):
    """The files, and the fields that the tap adds to every stream."""

    @override
    def fetch_schema(self, key: str) -> dict[str, t.Any]:
        schema = super().fetch_schema(key)
        return {**schema, "properties": {**schema["properties"], **OWN_FIELDS}}


SCHEMAS = _Schemas(schemas)
"""The JSON Schema of each stream, by its name."""


class TolokaList:
    """What a stream says of its lists."""

    name: str
    path: str
    """The path of a list below `/api`; names in braces come from `Listing.path`."""
    page_cap: t.ClassVar[int] = 1
    """Most rows that Toloka returns for one request, if `limit` asks for so many."""
    page_size: t.ClassVar[int] = 1_000
    """Rows to request unless `batch_size` says otherwise: few enough to keep memory flat."""
    filters: t.ClassVar[Filters]
    """What the list can be filtered by."""
    change_dates: t.ClassVar[tuple[str, ...]] = ("created",)
    """Dates that tell of a new or a changed row, as the filters name them. The first is there from
    the beginning of a row, and never changes unless it is the only one."""
    changes_without_date: t.ClassVar[bool] = False
    """Whether rows can change in other ways, too, so that the list is compared with what was
    printed of it. Only for lists of the account."""
    sharded: t.ClassVar[bool] = False
    """Whether shards each read a part of its lists; if not, the first shard reads all of them."""
    listed_by: t.ClassVar[str | None] = None
    """What there is a list for each of, as `pool_id`; `None`: one list for the account."""
    added_fields: t.ClassVar[AbstractSet[str]] = frozenset()
    """Fields that the tap adds: Toloka does not send them."""
    added_from: t.ClassVar[tuple[str, ...]] = ()
    """Fields that those are computed from, which are read even if they are deselected."""
    ended_at: t.ClassVar[str | None] = None
    """The field that says when a row has changed for the last time, if that tells which rows are
    printed. It is read even if it is deselected."""
    recognized_by: t.ClassVar[tuple[str, ...]] = ()
    """Fields that Toloka always sends, if its rows have no key of their own: an answer without
    them is not one of Toloka's."""
    id_field: t.ClassVar[str | None] = "id"
    """The field that a list is sorted by, and read by; `None`: it is not."""
    keeps_rows: t.ClassVar[bool] = True
    """Whether Toloka lists rows for as long as they exist: one that it does not list is gone."""
    rows_in: t.ClassVar[str | None] = "items"
    """The field of an answer that holds the rows; `None`: the answer is an array of them, or one,
    without pages and without filters."""
    primary_keys: tuple[str, ...]
    replication_key: str | None

    @classmethod
    def id_order(cls) -> Order | None:
        """Return what the ids of a list compare by; `None`: only Toloka knows."""
        kind = cls.filters.kinds.get(cls.id_field or "")
        return kind.order if kind else str

    @classmethod
    def owner_order(cls) -> Order:
        """Return what pools, operations, ... compare by, in whose order their lists are read."""
        kind = cls.filters.kinds.get(cls.listed_by or "")
        return (kind and kind.order) or str

    @classmethod
    def known_properties(cls) -> Mapping[str, t.Any]:
        """Return the JSON Schema of each field that rows have."""
        properties: Mapping[str, t.Any] = SCHEMAS.get_schema(cls.name)["properties"]
        return properties

    @classmethod
    def reader(
        cls,
        wanted: Mapping[str, t.Any],
        logger: logging.Logger,
        compute: Callable[[list[Row]], None] | None = None,
        *,
        on_misfit: OnMisfit,
        has_bookmark: bool = True,
    ) -> PageReader:
        """Return what reads pages.

        Args:
            wanted: JSON Schema of the fields that are wanted. It counts for fields that ours does
                not have: what Toloka sends does not depend on what a catalog makes of it.
            logger: Where unknown fields are logged, once each.
            compute: Computes added fields.
            on_misfit: Whether a value that does not fit is an error.
            has_bookmark: Whether the replication key has to fit.
        """

        def on_unknown(name: str) -> None:
            done = f"kept in `{EXTRA}`" if EXTRA in wanted else "ignored"
            msg = "%s: unknown field %r (not in the schema) is %s"
            logger.warning(msg, cls.name, shortened(name), done)

        return PageReader(
            cls._row_fields(wanted, computes=compute is not None, has_bookmark=has_bookmark),
            on_unknown,
            rows_in=cls.rows_in,
            id_field=cls.id_field,
            compute=compute,
            warn=partial(logger.warning, "%s: %s", cls.name),
            on_misfit=on_misfit,
        )

    @classmethod
    def _row_fields(
        cls, wanted: Mapping[str, t.Any], *, computes: bool, has_bookmark: bool
    ) -> RowFields:
        known = cls.known_properties()
        hidden = (*(cls.added_from if computes else ()), *cls.recognized_by)
        if cls.ended_at and has_bookmark:
            hidden = (*hidden, cls.ended_at)
        return RowFields(
            printed={name: known.get(name, kind) for name, kind in wanted.items()},
            required=(*cls.primary_keys, *cls.recognized_by),
            strict=(cls.replication_key or "",) if has_bookmark else (),
            added={*cls.added_fields, *OWN_FIELDS} & wanted.keys(),
            hidden={n: known[n] for n in hidden if n not in wanted},
            ignored=known.keys() - OWN_FIELDS.keys(),
            dates=[name for name, kind in known.items() if kind.get("format") == "date-time"],
        )

    @classmethod
    def source(cls, new_cursor: Callable[[], IdCursor], batch_size: int | None) -> Source:
        """Return how lists are read.

        Args:
            new_cursor: Makes the cursor that a list is read by.
            batch_size: Most rows in a page, if the settings say so.
        """
        params: dict[str, t.Any] = {}
        if cls.rows_in is not None:
            # Without `sort` the order is not promised, and paging loses rows.
            params = {"sort": cls.id_field, "limit": min(batch_size or cls.page_size, cls.page_cap)}
        return Source(cls.path, params, cls.id_field or "", new_cursor)


class ParentCache:
    """Parents that the streams of a run list by, as pools: each list of them is read once.

    So a stream may use a list that was read long before. Nothing is lost: no bookmark passes the
    begin of the run, so a pool that was made or started later is found and read by the next run.
    """

    def __init__(self) -> None:
        self._lists: dict[tuple[t.Any, ...], Sequence[t.Any]] = {}

    def get(
        self, of: str, filters: Mapping[str, str], read: Callable[[], Sequence[_Parent]]
    ) -> Sequence[_Parent]:
        """Return a list; it is read if that was not done before.

        Args:
            of: What is listed.
            filters: The filters that `read` uses. If there is a list without filters, that is
                returned, so the caller has to filter.
            read: Reads the list.
        """
        wanted = (of, *sorted(filters.items()))
        for key in ((of,), wanted):
            if key in self._lists:
                return self._lists[key]
        parents = self._lists[wanted] = read()
        return parents


class ListReader:
    """Reads lists with the settings of the tap, on behalf of one stream.

    Args:
        connect: Returns the client of Toloka's API.
        config: The settings of the tap.
        logger: The logger of the stream.
        parents: Parents that were listed before.
        limit: For a test of the connection: most rows of each list that others are found by.
        on_request: Called for each request that was answered, whichever list it was for.
    """

    def __init__(  # noqa: PLR0913  # all but the first three go by name
        self,
        connect: Callable[[], TolokaApi],
        config: Mapping[str, t.Any],
        logger: logging.Logger,
        *,
        parents: ParentCache,
        limit: int | None = None,
        on_request: Callable[[], None] = do_nothing,
    ) -> None:
        self._parents = parents
        self._on_request = on_request
        self._connect = connect
        self._config = config
        self._logger = logger
        self.limit = limit
        # A test of the connection needs just any row.
        self.shard = WHOLE if limit is not None else Shard.in_settings(config)
        self.complete = True
        """Whether no list was skipped among those that rows of other streams came from."""

    def read(
        self,
        of: type[TolokaList],
        source: Source,
        listings: Iterable[Listing],
        skipped_before: Collection[str] = (),
    ) -> Reading:
        """Begin to read lists; in a test of the connection, one that is refused is an error."""
        return Reading(
            self._connect(),
            source,
            listings,
            max_concurrency=self._config["max_concurrency"],
            of=of.name,
            unit=(of.listed_by or "").removesuffix("_id").replace("_", " "),
            strict=self.limit is not None,
            skipped_before=skipped_before,
            rows_expire=not of.keeps_rows,
            on_request=self._on_request,
            logger=self._logger,
        )

    def parents(
        self, of: str, filters: Mapping[str, str], read: Callable[[], Sequence[_Parent]]
    ) -> Sequence[_Parent]:
        """Return a list, as `ParentCache.get` does; in a test of the connection it is not whole."""
        return read() if self.limit is not None else self._parents.get(of, filters, read)

    def rows(
        self,
        of: type[TolokaList],
        fields: Collection[str],
        *,
        filters: Mapping[str, str] | None = None,
        listings: Iterable[Listing] = (Listing(),),
    ) -> Iterator[dict[str, t.Any]]:
        """Yield rows of another stream, to find what there are lists for.

        Its selection and its filters in the settings do not matter. The rows have to be taken to
        the end before anything else is read: they have threads of their own.

        A value that does not fit is an error, unless `_misfits` is among the fields: then the
        caller has to take care that a null may be none.

        Args:
            of: Which stream.
            fields: What is wanted of each row; `None` if it does not have it.
            filters: Filters, in their normal form.
            listings: Which lists; by default the one of the account.
        """
        params = of.filters.parameters(filters or {})
        lists = (replace(one, params={**params, **one.params}) for one in listings)
        reading = self.read(of, self._source_of(of, fields), lists)
        try:
            counter = metrics.http_request_counter(of.name, endpoint=of.path)
            with counter as requests, closing(reading.pages(requests.increment)) as pages:
                rows = itertools.chain.from_iterable(read.page.rows for read in pages)
                for row in itertools.islice(rows, self.limit):
                    values = {name: getattr(row, attribute_of(name)) for name in fields}
                    yield {n: None if value is UNSET else value for n, value in values.items()}
        except TolokaError as error:
            error.stream = of.name
            raise
        if reading.denied:
            raise reading.denied
        self.complete = self.complete and not reading.skipped

    def _source_of(self, of: type[TolokaList], fields: Collection[str]) -> Source:
        known = of.known_properties()
        wanted = {name: known[name] for name in {*fields, of.id_field or ""} if name}
        on_misfit: OnMisfit = self._config["on_misfit"] if MISFITS in fields else "fail"
        reader = of.reader(wanted, self._logger, on_misfit=on_misfit, has_bookmark=False)
        new_cursor = partial(IdCursor, reader.read, order=of.id_order())
        return of.source(new_cursor, self._config.get("batch_size"))
