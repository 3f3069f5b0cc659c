"""The stream that all others are: rows of one list of Toloka, in the order of their ids."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import typing as t
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property, partial
from http import HTTPStatus

import backoff
import msgspec
import requests
from singer_sdk import RESTStream
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.exceptions import ConfigurationError, FatalAPIError, RetriableAPIError
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.schema.source import SchemaDirectory, StreamSchema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from singer_sdk.streams.rest import PageContext

from tap_toloka import dates, schemas
from tap_toloka.errors import (
    QUOTA_SECONDS,
    RefusedError,
    TolokaError,
    describe,
    host_of,
    refusal_of,
    root_cause,
    seconds_asked_for,
)
from tap_toloka.pagination import BrokenAnswerError, IdCursor, OneAnswer
from tap_toloka.parallel import Pace, Shares, Threads
from tap_toloka.rows import RowReader, as_objects, greatest_date

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from backoff.types import Details
    from singer_sdk.helpers.types import Auth, Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_toloka.filters import Filters
    from tap_toloka.output import LineWriter
    from tap_toloka.rows import Row
    from tap_toloka.tap import TapToloka

HOSTS = {"PRODUCTION": "https://toloka.dev", "SANDBOX": "https://sandbox.toloka.dev"}
"""Address of each environment; accounts and keys of the two are separate (openapi)."""

WORTH_RETRYING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed (openapi, toloka-kit)."""

SETTLING_SECONDS = 60
"""Age at which a row is surely listed; Toloka shows writes late (toloka-kit 1.2.0)."""

_UNTIL = {"gt": "lte", "gte": "lt"}
"""The bound that lets through what the other does not."""

_FIRST_WAIT, _LONGEST_WAIT = 2, 64
"""Seconds before the second try, doubled before each further one, and where that ends."""


@dataclass(eq=False)
class _Part:
    """A list that is being read, or a part of one."""

    context: Context
    cursor: IdCursor
    shares: Shares
    params: dict[str, str | int] = field(default_factory=dict)
    """Parameters in place of the usual ones: the part asks for the greatest id."""


_Answer = tuple[_Part, "list[Row] | RefusedError"]


class TolokaStream(RESTStream[str | None]):
    """Rows of lists of Toloka, read by the id cursor. A stream is a handful of facts."""

    name: str
    path: str
    page_cap: t.ClassVar[int] = 1
    """Most rows that Toloka gives in one answer, if asked with a limit."""
    page_size: t.ClassVar[int] = 1_000
    """Rows in an answer unless `batch_size` says otherwise: few enough to keep memory flat."""
    filters: t.ClassVar[Filters]
    """What the list can be filtered by."""
    change_dates: t.ClassVar[tuple[str, ...]] = ("created",)
    """Dates that tell of a new or a changed row, as the filters name them; the first is there from
    the beginning of a row, and never changes unless it is the only one."""
    listed_by: t.ClassVar[str | None] = None
    """What there is a list for each of, as contexts name it: `pool_id`. None: for the account."""
    added_fields: t.ClassVar[AbstractSet[str]] = frozenset()
    """Fields that Toloka does not send; the tap adds them."""
    added_from: t.ClassVar[tuple[str, ...]] = ()
    """Fields that those are made from, and that are read also if they are deselected."""
    id_field: t.ClassVar[str] = "id"
    """The field that a list is sorted by, and read by."""
    rows_in: t.ClassVar[str | None] = "items"
    """The field of an answer that holds the rows; None: the answer is an array of them, or one."""

    _tap: TapToloka
    primary_keys: tuple[str, ...] = ("id",)
    replication_key: str | None = "created"
    schema: t.ClassVar[StreamSchema[str]] = StreamSchema(SchemaDirectory(schemas))
    allow_redirects = False  # the token would go along

    def __init__(self, tap: TapToloka) -> None:
        super().__init__(tap)
        self._writer: LineWriter = tap.message_writer
        self._run_began = tap.initialized_at / 1000
        self._sessions = threading.local()
        self.refused: dict[str, RefusedError] = {}
        """Whose lists could not be read in this run, and why."""
        self.answered = False
        """Whether Toloka answered anything in this run."""

    # What is asked for

    @property
    @override
    def url_base(self) -> str:
        address: str = self.config.get("api_url") or HOSTS[self.config["environment"]]
        return address.rstrip("/") + "/api"

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        headers = {"User-Agent": self.config["user_agent"]}
        if account_id := self.config.get("account_id"):
            headers["X-Act-Under-Account-ID"] = account_id
        return headers

    @cached_property
    @override
    def authenticator(self) -> Auth:
        token: str = self.config["token"]
        kind = self.config["token_type"]
        if kind == "auto":
            kind = "ApiKey" if _looks_like_api_key(token) else "OAuth"
        return APIKeyAuthenticator(key="Authorization", value=f"{kind} {token}")

    @cached_property
    def filters_in_use(self) -> dict[str, str]:
        """The filters that the settings have for this stream, in their normal form."""
        return self.filters.normal(self.config.get("filters", {}).get(self.name, {}))

    def contexts(self) -> Iterator[Context]:
        """Yield what singles out each list that is to be read: parameters, and parts of the path.

        Fields of our own may be among it, for `add_fields`.
        """
        yield from self.changed_since({})

    def changed_since(self, context: Context) -> Iterator[Context]:
        """Split a list into what is new, and what is older and changed, by each date that tells.

        Toloka can filter by each date, and not by the latest of them. What changed twice is in two
        of these lists.
        """
        since = self._since()
        yield {**context, **since}
        first, *others = self.change_dates
        for name, date in since.items():  # there is one, or none
            bound = name.removeprefix(f"{first}_")
            for other in others:
                yield {**context, f"{other}_{bound}": date, f"{first}_{_UNTIL[bound]}": date}

    @override
    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, t.Any]:
        """Return the parameters of a page: cursor, what singles out the list, and filters.

        Args:
            context: One of `contexts`; None: the list of the account, from the bookmark on.
            next_page_token: The last id of the page before.
        """
        context = self._since() if context is None else context
        in_path = {name for name in context if f"{{{name}}}" in self.path}
        asked = {
            name: value
            for name, value in context.items()
            if name not in in_path and name not in self.added_fields
        }
        params = {
            "sort": self.id_field,  # without it the order is not promised, and paging loses rows
            "limit": min(self.config.get("batch_size", self.page_size), self.page_cap),
            **self.filters.parameters(self.filters_in_use, asked),
        }
        if next_page_token is not None:
            params[f"{self.id_field}_gt"] = next_page_token
        return params

    @override
    def get_new_paginator(self) -> IdCursor:
        return IdCursor(
            self.filters_in_use.get(f"{self.id_field}_gt"),
            order=self.filters.id_order,
            id_field=self.id_field,
            rows_in=self.rows_in or "",
        )

    # State

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from a catalog.

        Raises:
            ConfigurationError: If it asks for a replication that Toloka's filters cannot serve, or
                leaves out a key.
        """
        super().apply_catalog(catalog)
        entry = catalog.get_stream(self.name)
        if entry is not None and not entry.key_properties:
            msg = f"The catalog has no `key_properties` for {self.name}; a target would double rows"
            raise ConfigurationError(msg)
        ours = type(self).replication_key
        self.replication_key = self.replication_key or ours
        if self.replication_method != REPLICATION_FULL_TABLE and (
            self.replication_method != REPLICATION_INCREMENTAL
            or ours is None
            or self.replication_key != ours
        ):
            msg = (
                f"The catalog wants {self.name} {self.replication_method} by "
                f"{self.replication_key!r}; it can be "
                f"{f'INCREMENTAL by {ours!r}, or ' if ours else ''}FULL_TABLE"
            )
            raise ConfigurationError(msg)
        for key in {*type(self).primary_keys, *([ours] if ours else [])}:
            known = key in self.effective_schema.get("properties", {})
            if self.selected and not (known and self.mask["properties", key]):
                msg = f"The catalog leaves out {key!r}, which {self.name} cannot do without"
                raise ConfigurationError(msg)

    @override
    def get_starting_replication_key_value(self, context: Context | None) -> str | None:
        """Return the bookmark that the run begins with, if it vouches for this run's filters.

        A bookmark says that all rows up to it were read *among those that the filters let
        through*, so state keeps the filters beside it, and with other ones it counts for nothing.
        """
        state = self.stream_state
        if (
            self.replication_method != REPLICATION_INCREMENTAL
            or state.get("filters", {}) != self.filters_in_use
        ):
            return None
        return state.get("replication_key_value")

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> str | None:
        """Return the latest date that the bookmark may take.

        A row that is younger than a minute may be listed before one that is older still, so the
        bookmark stays a minute behind the start of the run: young rows are read again next time.
        """
        if self.replication_method != REPLICATION_INCREMENTAL:
            return None
        settled = datetime.fromtimestamp(self._run_began - SETTLING_SECONDS, timezone.utc)
        return max(
            dates.from_datetime(settled), self.get_starting_replication_key_value(context) or ""
        )

    def _since(self) -> dict[str, str]:
        """Return from when on there is something to be read, as a filter; empty: from ever."""
        if self.replication_method != REPLICATION_INCREMENTAL:
            return {}
        start = self.config.get("start_date")
        start = dates.canonical(start) if start else ""
        bookmark = self.get_starting_replication_key_value(None)
        if bookmark is None:
            bound, since = "gte", start
        else:
            looked_back = dates.shifted(bookmark, days=-self.config["lookback_days"])
            bound, since = "gt", max(looked_back, min(start, bookmark))
        return {f"{self.change_dates[0]}_{bound}": since} if since else {}

    def _keep_bookmark(self, greatest: str) -> None:
        """Move the bookmark after a whole run, never back, never past the signpost.

        It does not move past rows that could not be read either.
        """
        if not greatest or self.replication_method != REPLICATION_INCREMENTAL:
            return
        if self.withheld:
            self.logger.warning(
                "The bookmark of %s stays where it is, until these can be read, or `filters` leave "
                "them out: %s",
                self.name,
                ", ".join(owner for owner, error in self.refused.items() if not error.gone),
            )
            return
        self.stream_state["replication_key"] = self.replication_key
        self.stream_state["replication_key_value"] = min(
            greatest, self.get_replication_key_signpost() or greatest
        )
        self.stream_state.pop("filters", None)
        if self.filters_in_use:
            self.stream_state["filters"] = self.filters_in_use

    # How it is asked for

    @property
    @override
    def requests_session(self) -> requests.Session:
        """A session for each thread: requests does not promise that threads can share one."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            # Plain http goes to this very machine only, so not by way of a proxy either.
            self._sessions.session.trust_env = self.url_base.startswith("https:")
            self._sessions.session.mount(self.url_base, self._tap.connections)
        return self._sessions.session  # type: ignore[no-any-return]

    @property
    @override
    def timeout(self) -> int:
        return self.config["timeout"]  # type: ignore[no-any-return]

    @override
    def validate_response(self, response: requests.Response) -> None:
        """Raise if Toloka answered anything but 200, in words that say what to do.

        Raises:
            RetriableAPIError: If asking again may help.
            FatalAPIError: If not.
        """
        status = response.status_code
        if status == HTTPStatus.OK:
            return
        answer = describe(response)
        if status == HTTPStatus.UNAUTHORIZED:
            answer += f". {self._asked} was asked; keys of sandbox and production differ: check"
            answer += " `token`, `token_type` and `environment`"
        elif response.is_redirect:
            host = host_of(response.headers["Location"])
            answer += f" and sends on to {host}, which is not followed: the token would go along."
            answer += " Check `api_url`"
        elif status in WORTH_RETRYING:
            wait, quotas = seconds_asked_for(response), self.config["retry_quotas"]
            quota = TolokaError.of(response).quota
            if quota is not None and quota not in quotas:
                answer += f". The quota {quota} ran out, and `retry_quotas` does not name it"
            elif wait > max([QUOTA_SECONDS["MIN"], *map(QUOTA_SECONDS.__getitem__, quotas)]):
                answer += f". It asks to wait {wait:.0f} s, longer than any quota of `retry_quotas`"
            else:
                raise RetriableAPIError(answer, response)
        msg = f"{self.name}: {answer}"
        raise refusal_of(response, msg)

    @property
    def _asked(self) -> str:
        return str(self.config.get("api_url") or self.config["environment"])

    @override
    def backoff_max_tries(self) -> int:
        return 1 + self.config["max_retries"]  # type: ignore[no-any-return]

    @override
    def backoff_wait_generator(self) -> Generator[float, t.Any, None]:
        """Yield the seconds to wait after each failure: twice the last, or longer if asked to."""
        error: RetriableAPIError = yield 0.0  # backoff primes the generator with its first step
        for tries in itertools.count():
            asked = 0 if error.response is None else seconds_asked_for(error.response)
            error = yield max(asked, min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT))

    @override
    def backoff_jitter(self, value: float) -> float:
        """Wait up to a quarter longer, so that not all who failed together come back together."""
        return value * random.uniform(1, 1.25)  # noqa: S311  # no secret hangs on it

    @override
    def backoff_handler(self, details: Details) -> None:
        self.logger.warning(
            "%s; trying again in %.1f s (%d of %d)",
            details["exception"],
            details["wait"],
            details["tries"],
            self.config["max_retries"],
        )

    def pages(self) -> Generator[list[Row], None, None]:
        """Yield the rows of page after page of all lists, each row once, in no order.

        Lists are read side by side. A list of one page costs one request. Of a longer one, where
        threads would idle otherwise, the greatest id is asked for, and what is left is shared out
        among them. All but the requests happens in the thread of the caller, and a page is asked
        for only when there is room for it.

        Raises:
            FatalAPIError: If Toloka refuses, or a page could not be had within `max_retries`.
        """
        threads: Threads[_Answer] = Threads(self.config["max_concurrency"])
        pace = Pace(self.config["max_requests_per_second"])
        get_page = self._patient(pace)
        _ = self.reader, self.surplus  # made here: several threads would make several
        lists = (
            _Part(context, self.get_new_paginator(), Shares(threads.most))
            for context in self.contexts()
        )
        waiting: deque[_Part] = deque()
        changed: set[bytes] = set()
        self.refused.clear()

        def start_waiting() -> None:
            while threads.idle and (part := waiting.popleft() if waiting else next(lists, None)):
                threads.start(partial(get_page, part))

        with pace, threads, self.get_http_request_counter() as counter:
            start_waiting()
            while threads.busy:
                part, rows = self._next_page(threads)
                counter.increment()
                if isinstance(rows, RefusedError):
                    self._pass_over(part.context, rows)
                elif part.params:
                    part.shares.greatest = self._id_of(rows[0]) if rows else None
                else:
                    self.answered = True
                    if not part.cursor.finished:
                        waiting += self._rest_of(part, rows, threads.idle)
                    start_waiting()  # before the rows are dealt with: no thread waits for that
                    yield self._once(part.context, rows, changed)
                start_waiting()
        if self.withheld and len(self.refused) > 1 and not self.answered:
            raise self.withheld[0]

    def _next_page(self, threads: Threads[_Answer]) -> _Answer:
        try:
            return threads.result()
        except RetriableAPIError as error:
            msg = f"{self.name}: {error}; gave up after {self.backoff_max_tries()} tries"
            raise FatalAPIError(msg) from error

    def _rest_of(self, part: _Part, rows: list[Row], idle: int) -> list[_Part]:
        """Return how to read what a page has left of a part, with so many threads."""
        first = self._id_of(rows[0])
        asking = []
        if part.shares.needs_greatest(part.cursor, first, idle):
            params: dict[str, str | int] = {"sort": f"-{self.id_field}", "limit": 1}
            asking = [_Part(part.context, self.get_new_paginator(), part.shares, params)]
        cursors = part.shares.rest_of(part.cursor, first, idle - len(asking))
        return asking + [_Part(part.context, cursor, part.shares) for cursor in cursors]

    def _once(self, context: Context, rows: list[Row], changed: set[bytes]) -> list[Row]:
        """Leave out rows that were in another list of what changed; what is new is in one list."""
        old = [f"{self.change_dates[0]}_{bound}" for bound in _UNTIL.values()]
        if context.keys().isdisjoint(old) or len(self.change_dates) <= 2:  # noqa: PLR2004
            return rows
        new = [row for row in rows if bytes(row[self.id_field]) not in changed]
        changed.update(bytes(row[self.id_field]) for row in new)
        return new

    def _id_of(self, row: Row) -> str:
        return bytes(row[self.id_field]).strip(b'"').decode()

    @property
    def withheld(self) -> list[RefusedError]:
        """Why there are rows that could not be read: no bookmark may pass them."""
        return [error for error in self.refused.values() if not error.gone]

    def _pass_over(self, context: Context, error: RefusedError) -> None:
        """Go on without the lists of a pool, an operation: one that is gone, or refused.

        Raises:
            RefusedError: If it is the account's only list, or a test of whether it can be read.
        """
        if self.listed_by is None or self.ABORT_AT_RECORD_COUNT is not None:
            raise error
        owner = context[self.listed_by]
        if owner not in self.refused:
            self.logger.warning("Without those of %s %s: %s", self.listed_by, owner, error)
        if owner not in self.refused or not error.gone:
            self.refused[owner] = error.with_traceback(None)  # which would hold the whole answer

    def _patient(self, pace: Pace) -> Callable[[_Part], _Answer]:
        """Return `_get_page`, at a pace that all threads share, and trying again what may pass."""

        def on_backoff(details: Details) -> None:
            self.backoff_handler(details)
            if _is_too_many_requests(details["exception"]):
                pace.pause(details["wait"])

        @backoff.on_exception(
            self.backoff_wait_generator,
            RetriableAPIError,
            max_tries=self.backoff_max_tries(),
            jitter=self.backoff_jitter,
            on_backoff=on_backoff,
            logger=None,
        )
        def get_page(part: _Part) -> _Answer:
            pace.wait()
            try:
                return part, self._get_page(part)
            except RefusedError as error:
                return part, error

        return get_page

    def _get_page(self, part: _Part) -> list[Row]:
        """Ask for one page of a part and move its cursor behind it.

        Whatever can be wrong with a page is found here, where it is asked for again.

        Raises:
            RetriableAPIError: If asking again may help.
            FatalAPIError: If Toloka refuses.
        """
        cursor = part.cursor
        page = PageContext(stream_context=part.context, next_page_token=cursor.current_value)
        request = self.get_http_request(page=page)
        request.params |= part.params
        if cursor.end is not None:
            # Never beyond a filter's: it was split off there.
            request.params[f"{self.id_field}_lte"] = cursor.end
        try:
            response = self.requests_session.request(
                request.method,
                request.url,
                params=request.encode_params(),
                headers=request.headers,
                auth=self.authenticator,
                timeout=self.timeout,
                allow_redirects=self.allow_redirects,
            )
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            msg = f"No whole answer from {host_of(request.url)}: {root_cause(error)}"
            raise RetriableAPIError(msg) from error
        except ValueError as error:  # of the address in a redirect, which requests looks at anyway
            msg = (
                f"{self.name}: {host_of(request.url)} answers with an address that is none: {error}"
            )
            raise FatalAPIError(msg) from error
        self.validate_response(response)
        try:
            rows = self.reader.read(response.content)
            self.add_fields(rows, part.context)
        except ValueError as error:
            msg = f"Toloka's answer is not what the schema of {self.name} says: {error}"
            raise BrokenAnswerError(msg, response) from error
        for name in self.surplus:
            for row in rows:
                row.pop(name, None)
        cursor.advance(response)
        return rows

    # Rows

    @override
    def request_records(self, context: Context | None) -> Iterable[Record]:
        """Yield the rows as Python objects."""
        for rows in self.pages():
            yield from as_objects(rows)

    def rows_of(
        self,
        stream: type[TolokaStream],
        fields: Collection[str],
        filters: Mapping[str, str] | None = None,
    ) -> Iterator[Record]:
        """Yield rows of another stream to find what there are lists of, whatever is asked of that.

        They have to be taken to the end before anything else is read: they come by threads of
        their own. In a test of whether this stream can be read, it is as few as are tested.

        Args:
            stream: Which stream.
            fields: What is wanted of each row; None if it has it not.
            filters: Filters, in their normal form.
        """
        other = stream(self._tap)
        other.forced_replication_method = REPLICATION_FULL_TABLE
        other.filters_in_use = dict(filters or {})
        other.ABORT_AT_RECORD_COUNT = self.ABORT_AT_RECORD_COUNT
        needed = {other.id_field, *fields, *other.added_from}
        other.reader = other.reader_of({n: other.schema["properties"][n] for n in needed})
        other.surplus = []  # whatever a catalog has of that stream, if it has it at all
        with closing(other.pages()) as pages:
            rows = itertools.chain.from_iterable(map(as_objects, pages))
            for row in itertools.islice(rows, self.ABORT_AT_RECORD_COUNT):
                yield dict.fromkeys(fields) | row

    def add_fields(self, rows: list[Row], context: Context) -> None:
        """Put into rows what Toloka does not send of them: by default, what the context tells."""
        for name in self.added_fields & context.keys():
            value = msgspec.Raw(msgspec.json.encode(context[name]))
            for row in rows:
                row[name] = value

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        """Write all rows, then move the bookmark.

        The SDK's own loop costs several times what reading and writing a row does, and moves the
        bookmark by each row, also back. This is the one private method that is replaced; what it
        calls of the SDK's own is `_write_record_message`. A test fails when these change.
        """
        if self.ABORT_AT_RECORD_COUNT is not None:
            self._try_out(self.ABORT_AT_RECORD_COUNT)
            return
        greatest = self.get_starting_replication_key_value(context) or ""
        if self.replication_method == REPLICATION_INCREMENTAL:
            self._tell_what_is_read()
        with (
            closing(self.pages()) as pages,
            self.get_record_counter() as counter,
            self.get_sync_timer(),
        ):
            for rows in pages:
                if self._nothing_looks_inside:
                    now = dates.from_datetime(datetime.now(timezone.utc))
                    self._writer.write_rows(self.name, rows, now)
                else:
                    for record in as_objects(rows):
                        self._write_record_message(record)
                counter.increment(len(rows))
                if self.replication_key:
                    greatest = max(greatest, greatest_date(rows, self.replication_key))
        self._keep_bookmark(greatest)
        self.finalize_state_progress_markers()  # clears what the SDK noted, and writes STATE
        yield from ()

    def _try_out(self, most: int) -> None:
        """Write so many rows, and tell whether the stream can be read: what `--test` is for.

        The SDK's test ends at the first stream that cannot; here it goes on, and fails after the
        last one.

        Raises:
            FatalAPIError: After the last stream, if any could not be read.
        """
        try:
            with closing(self.pages()) as pages:
                rows = next(filter(None, pages), [])
        except FatalAPIError as error:
            self._tap.unreadable.append(self.name)
            self.logger.error("%s cannot be read: %s", self.name, error)  # noqa: TRY400  # one line
        else:
            found = "can be read" if self.answered else "has nothing to be read from yet"
            self.logger.info("%s %s", self.name, found)
            for record in as_objects(rows[:most]):
                self._write_record_message(record)
        if self is list(self._tap.streams.values())[-1] and (names := self._tap.unreadable):
            msg = f"{len(names)} streams cannot be read: {', '.join(names)}"
            raise FatalAPIError(msg)

    def _tell_what_is_read(self) -> None:
        since = ", ".join(self._since().values())
        self.logger.info("Reading %s since %s", self.name, since or "ever")
        if changing := self.filters.changing_in(self.filters_in_use):
            self.logger.warning(
                "%s is filtered by what can change (%s): a row that comes to pass the filter "
                "after the bookmark went by is not read. Set `lookback_days` or FULL_TABLE",
                self.name,
                ", ".join(changing),
            )

    @cached_property
    def _nothing_looks_inside(self) -> bool:
        """Whether rows can be written as they came: no stream map, no selection below a field."""
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

    @cached_property
    def reader(self) -> RowReader:
        """What reads the rows that will be printed."""
        properties = self.schema["properties"]
        needed = {name: properties[name] for name in self.added_from}
        return self.reader_of(needed | self.stream_maps[0].raw_schema["properties"])

    @cached_property
    def surplus(self) -> list[str]:
        """What is read though it is deselected."""
        wanted = self.stream_maps[0].raw_schema["properties"]
        return [name for name in self.added_from if name not in wanted]

    def reader_of(self, properties: Mapping[str, t.Any]) -> RowReader:
        """Make what reads these properties of the rows that Toloka sends."""
        known = self.schema["properties"]

        def on_unknown(name: str) -> None:
            if name not in known:  # else it was deselected
                self.logger.warning(
                    "Toloka sent %r, which the schema of %s does not know; it is left out",
                    name,
                    self.name,
                )

        # Which fields are dates is ours to say: bookmarks are compared in one form of them, also
        # when a catalog was edited to print something else.
        return RowReader(
            {
                "type": "object",
                "properties": {n: p for n, p in properties.items() if n not in self.added_fields},
                "required": [n for n in self.primary_keys if n not in self.added_fields],
            },
            [name for name, field in known.items() if field.get("format") == "date-time"],
            on_unknown,
            self.rows_in,
        )


class WholeAnswer(TolokaStream):
    """What Toloka gives in one answer, without pages and without filters: a row, or all of them."""

    rows_in = None

    @override
    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, t.Any]:
        return {}

    @override
    def get_new_paginator(self) -> IdCursor:
        return OneAnswer()


def _looks_like_api_key(token: str) -> bool:
    """Tell an API key from an OAuth token by its shape, as toloka-kit 1.2.3 does."""
    first, *others = token.split(".")
    return len(others) == 2 and 22 <= len(first) <= 24  # noqa: PLR2004  # the shape itself


def _is_too_many_requests(error: Exception) -> bool:
    response = error.response if isinstance(error, RetriableAPIError) else None
    return response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS
