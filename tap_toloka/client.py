"""The stream that all others are: rows of one list of Toloka, in the order of their ids."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import typing as t
from collections import deque
from contextlib import closing
from datetime import datetime, timezone
from functools import cached_property, partial
from http import HTTPStatus

import backoff
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
    TolokaError,
    describe,
    host_of,
    root_cause,
    seconds_asked_for,
)
from tap_toloka.pagination import BrokenAnswerError, IdCursor
from tap_toloka.parallel import Pace, Shares, Threads
from tap_toloka.rows import RowReader, as_objects, greatest_date

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

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

_FIRST_WAIT, _LONGEST_WAIT = 2, 64
"""Seconds before the second try, doubled before each further one, and where that ends."""


class TolokaStream(RESTStream[str | None]):
    """Rows of one list of Toloka, read by the id cursor. A stream is a handful of facts."""

    name: str
    page_cap: t.ClassVar[int]
    """Most rows that Toloka gives in one answer."""
    filters: t.ClassVar[Filters]
    """What the list can be filtered by."""

    primary_keys = ("id",)
    replication_key = "created"
    schema: t.ClassVar[StreamSchema[str]] = StreamSchema(SchemaDirectory(schemas))
    allow_redirects = False  # the token would go along

    def __init__(self, tap: TapToloka) -> None:
        super().__init__(tap)
        self._writer: LineWriter = tap.message_writer
        self._run_began = tap.initialized_at / 1000
        self._sessions = threading.local()

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

    @override
    def get_url_params(
        self, context: Context | None, next_page_token: str | None
    ) -> dict[str, t.Any]:
        """Return the parameters of a page: cursor, bookmark and filters.

        Toloka ANDs parameters, so a filter and a bookmark narrow each other down; where both want
        the same parameter, the stricter one goes out. The cursor starts at the filter's `id_gt`.
        """
        params = {
            "sort": "id",  # without it the order is not promised, and paging by id loses rows
            "limit": min(self.config.get("batch_size", self.page_cap), self.page_cap),
            **self.filters.parameters(self.filters_in_use | self._since(context)),
        }
        if next_page_token is not None:
            params["id_gt"] = next_page_token
        return params

    @override
    def get_new_paginator(self) -> IdCursor:
        return IdCursor(self.filters_in_use.get("id_gt"), order=self.filters.id_order)

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
        self.replication_key = self.replication_key or type(self).replication_key
        if self.replication_method not in {REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL} or (
            self.replication_method == REPLICATION_INCREMENTAL
            and self.replication_key != type(self).replication_key
        ):
            msg = (
                f"The catalog wants {self.name} {self.replication_method} by "
                f"{self.replication_key!r}; it can be INCREMENTAL by "
                f"{type(self).replication_key!r}, or FULL_TABLE"
            )
            raise ConfigurationError(msg)
        for key in {*type(self).primary_keys, type(self).replication_key}:
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

    def _since(self, context: Context | None) -> dict[str, str]:
        """Return the range of the replication key that is still to be read, as a filter."""
        if self.replication_method != REPLICATION_INCREMENTAL:
            return {}
        start = self.config.get("start_date")
        start = dates.canonical(start) if start else ""
        bookmark = self.get_starting_replication_key_value(context)
        if bookmark is None:
            key = f"{self.replication_key}_gte"
            since = start
        else:
            key = f"{self.replication_key}_gt"
            looked_back = dates.days_before(bookmark, self.config["lookback_days"])
            since = max(looked_back, min(start, bookmark))
        since = max(since, self.filters_in_use.get(key, ""))
        return {key: since} if since else {}

    def _keep_bookmark(self, greatest: str) -> None:
        """Move the bookmark after a whole run, never back, never past the signpost."""
        if not greatest or self.replication_method != REPLICATION_INCREMENTAL:
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
        raise FatalAPIError(msg)

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

    def pages(self, context: Context | None) -> Generator[list[Row], None, None]:
        """Yield the rows of page after page, each row once, in no order.

        A list of one page costs one request. Of a longer one the greatest id is asked for, and
        what is left is shared out among threads; but if ids are texts, it is read by one. All but
        the requests happens in the thread of the caller, and a page is asked for only when there
        is room for it.

        Raises:
            FatalAPIError: If Toloka refuses, or a page could not be had within `max_retries`.
        """
        threads: Threads[tuple[IdCursor, list[Row]]] = Threads(self.config["max_concurrency"])
        pace = Pace(self.config["max_requests_per_second"])
        shares = Shares(threads.most)
        get_page = self._patient(pace)
        waiting = deque([self.get_new_paginator()])
        greatest: IdCursor | None = None

        def start_waiting() -> None:
            while waiting and threads.idle:
                threads.start(partial(get_page, waiting.popleft(), context))

        with pace, threads, self.get_http_request_counter() as counter:
            while waiting or threads.busy:
                start_waiting()
                try:
                    cursor, rows = threads.result()
                except RetriableAPIError as error:
                    msg = f"{self.name}: {error}; gave up after {self.backoff_max_tries()} tries"
                    raise FatalAPIError(msg) from error
                counter.increment()
                if cursor is greatest:
                    shares.greatest = _id_of(rows[0]) if rows else None
                    continue
                if not cursor.finished and self.filters.id_order is not int:
                    waiting.append(cursor)  # nothing says which texts lie between two others
                elif not cursor.finished:
                    if greatest is None and threads.most > 1:
                        greatest = self.get_new_paginator()
                        threads.start(partial(get_page, greatest, context, sort="-id", limit=1))
                    idle = threads.idle - len(waiting)
                    waiting += shares.rest_of(cursor, _id_of(rows[0]), idle)
                start_waiting()  # before the rows are dealt with, so that no thread waits for it
                yield rows

    def _patient(self, pace: Pace) -> Callable[..., tuple[IdCursor, list[Row]]]:
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
        def get_page(
            cursor: IdCursor, context: Context | None, **params: str | int
        ) -> tuple[IdCursor, list[Row]]:
            pace.wait()
            return cursor, self._get_page(cursor, context, params)

        return get_page

    def _get_page(
        self, cursor: IdCursor, context: Context | None, params: Mapping[str, str | int]
    ) -> list[Row]:
        """Ask for one page and move the cursor behind it.

        Whatever can be wrong with a page is found here, where it is asked for again.

        Args:
            cursor: Where the page begins, and where its list or its part of it ends.
            context: The context of the list.
            params: Parameters that go out in place of the usual ones.

        Raises:
            RetriableAPIError: If asking again may help.
            FatalAPIError: If Toloka refuses.
        """
        page = PageContext(stream_context=context, next_page_token=cursor.current_value)
        request = self.get_http_request(page=page)
        request.params |= params
        if cursor.end is not None:
            request.params["id_lte"] = cursor.end  # never beyond a filter's: it was split off there
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
            rows = self._reader.read(response.content)
        except ValueError as error:
            msg = f"Toloka's answer is not what the schema of {self.name} says: {error}"
            raise BrokenAnswerError(msg, response) from error
        cursor.advance(response)
        return rows

    # Rows

    @override
    def request_records(self, context: Context | None) -> Iterable[Record]:
        """Yield the rows as Python objects."""
        for rows in self.pages(context):
            yield from as_objects(rows)

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        """Write all rows, then move the bookmark.

        The SDK's own loop costs several times what reading and writing a row does, and moves the
        bookmark by each row, also back. This is the one private method that is replaced; what it
        calls of the SDK's own is `_write_record_message`. A test fails when these change.

        With `ABORT_AT_RECORD_COUNT`, as `--test` sets it, it ends after so many rows and leaves the
        bookmark, where the SDK would raise, and log an error at the end of a test that went well.
        """
        greatest = self.get_starting_replication_key_value(context) or ""
        if self.replication_method == REPLICATION_INCREMENTAL:
            since = ", ".join(self._since(context).values())
            self.logger.info("Reading %s since %s", self.name, since or "ever")
            if changing := self.filters.changing_in(self.filters_in_use):
                self.logger.warning(
                    "%s is filtered by what can change (%s): a row that comes to pass the filter "
                    "after the bookmark went by is not read. Set `lookback_days` or FULL_TABLE",
                    self.name,
                    ", ".join(changing),
                )
        wanted = self.ABORT_AT_RECORD_COUNT
        with (
            closing(self.pages(context)) as pages,
            self.get_record_counter() as counter,
            self.get_sync_timer(),
        ):
            for rows in pages:
                if self._nothing_looks_inside:
                    now = dates.from_datetime(datetime.now(timezone.utc))
                    self._writer.write_rows(self.name, rows, now)
                else:
                    for record in as_objects(rows[:wanted]):
                        self._write_record_message(record)
                counter.increment(len(rows[:wanted]))
                if wanted is not None:
                    wanted = max(wanted - len(rows), 0)
                if wanted == 0:
                    break
                greatest = max(greatest, greatest_date(rows, self.replication_key))
        if wanted is not None:
            self.logger.info("%s can be read", self.name)
            return
        self._keep_bookmark(greatest)
        self.finalize_state_progress_markers()  # clears what the SDK noted, and writes STATE
        yield from ()

    @cached_property
    def _nothing_looks_inside(self) -> bool:
        """Whether rows can be written as they came: no stream map, no selection below a field."""
        stream_map, *others = self.stream_maps
        return (
            not others
            and type(stream_map) is SameRecordTransform
            and not stream_map.flattening_enabled
            and not self.emit_activate_version_messages
            and self.ABORT_AT_RECORD_COUNT is None
            and all(
                selected or not self.mask[breadcrumb[:2]]
                for breadcrumb, selected in self.mask.items()
                if len(breadcrumb) > 2  # noqa: PLR2004  # ("properties", field) is a field
            )
        )

    @cached_property
    def _reader(self) -> RowReader:
        known = self.effective_schema["properties"]

        def on_unknown(field: str) -> None:
            if field not in known:  # else it was deselected
                self.logger.warning(
                    "Toloka sent %r, which the schema of %s does not know; it is left out",
                    field,
                    self.name,
                )

        # Which fields are dates is ours to say: bookmarks are compared in one form of them, also
        # when a catalog was edited to print something else.
        fields = self.schema["properties"].items()
        date_fields = [name for name, field in fields if field.get("format") == "date-time"]
        return RowReader(self.stream_maps[0].raw_schema, date_fields, on_unknown)


def _looks_like_api_key(token: str) -> bool:
    """Tell an API key from an OAuth token by its shape, as toloka-kit 1.2.3 does."""
    first, *others = token.split(".")
    return len(others) == 2 and 22 <= len(first) <= 24  # noqa: PLR2004  # the shape itself


def _is_too_many_requests(error: Exception) -> bool:
    response = error.response if isinstance(error, RetriableAPIError) else None
    return response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _id_of(row: Row) -> int:
    return int(bytes(row["id"]).strip(b'"'))
