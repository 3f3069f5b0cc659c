"""One request to Toloka, done right: address, authorization, pace, retries, errors.

Nothing here knows of the Singer SDK, of streams or of pages.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import typing as t
from http import HTTPStatus

import backoff

from tap_toloka.clock import Clock
from tap_toloka.connection import Connections
from tap_toloka.errors import (
    QUOTA_SECONDS,
    ErrorBody,
    FatalError,
    RefusedError,
    RetryableError,
    TolokaError,
    describe,
    host_of,
    seconds_to_wait,
)
from tap_toloka.parallel import Pace

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from backoff.types import Details

    from tap_toloka.errors import Response

_Result = t.TypeVar("_Result")

HOSTS = {"PRODUCTION": "https://toloka.dev", "SANDBOX": "https://sandbox.toloka.dev"}
"""Address of each environment; accounts and keys of the two are separate (openapi)."""

WORTH_RETRYING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed (openapi, toloka-kit)."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_FIRST_WAIT, _LONGEST_WAIT = 2, 64
"""Seconds before the first retry, doubled before each further one, and where that ends."""

_GONE = frozenset({"OPERATION_LOGS_ARCHIVED", "RESULTS_EXPIRED"})
"""Codes that say that Toloka has deleted what was requested (openapi, toloka-kit 1.2.3)."""

_REFUSED = frozenset(
    {
        *("ACCESS_DENIED", "ENTITY_ACCESS_DENIED", "ASSIGNMENTS_AGGREGATION_DENIED"),
        *("DOES_NOT_EXIST", "ENTITY_DOES_NOT_EXIST"),
        *("CONFLICT_STATE", "ENTITY_CONFLICT"),
        *("INAPPROPRIATE_STATUS", "POOL_INAPPROPRIATE_STATUS", "PROJECT_INAPPROPRIATE_STATUS"),
        *("POOL_IS_TRAINING", "POOL_LOCKED_BY_ANOTHER_OPERATION"),
        *("INVALID_OPERATION_TYPE", "OPERATION_EXECUTION_ERROR"),
    }
)
"""Codes that say that one pool, operation, ... cannot be read; it may be another time (openapi,
toloka-kit 1.2.3). Other codes are about the account or the request, or are not Toloka's."""

_OF_A_LIST = {
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
}
"""Statuses that say that something cannot be read, if they come from Toloka."""

logger = logging.getLogger("tap-toloka.api")


class TolokaApi:
    """Toloka, as one key sees it. Threads may share it.

    Args:
        config: The settings of the tap, with their defaults filled in: `token`, `token_type`,
            `environment`, `api_url`, `account_id`, `user_agent`, `timeout`, `max_retries`,
            `retry_quotas`, `max_concurrency`, `max_requests_per_second`.

    Attributes:
        clock: Toloka's clock.
    """

    def __init__(self, config: Mapping[str, t.Any]) -> None:
        self.clock = Clock()
        self._requested = str(config.get("api_url") or config["environment"])
        headers = {
            "Authorization": _authorization(config["token"], config["token_type"]),
            "User-Agent": config["user_agent"],
        }
        if account_id := config.get("account_id"):
            headers["X-Act-Under-Account-ID"] = account_id
        self._connections = Connections(
            (config.get("api_url") or HOSTS[config["environment"]]).rstrip("/") + "/api",
            headers,
            timeout=config["timeout"],
            most=config["max_concurrency"],
        )
        self.url = self._connections.url
        self._max_retries: int = config["max_retries"]
        self._quotas = config["retry_quotas"]
        self._longest_wait = max(QUOTA_SECONDS[quota] for quota in ("MIN", *self._quotas))
        self._pace = Pace(config["max_requests_per_second"])

    def get(
        self,
        path: str,
        params: Mapping[str, t.Any],
        read: Callable[[bytes], _Result],
        stopped: threading.Event | None = None,
    ) -> _Result:
        """Request something and return what `read` makes of the body.

        Args:
            path: The path below `/api`, as `/v1/pools`.
            params: The parameters of the query.
            read: Reads the body; if it raises `ValueError`, the same request is sent again.
            stopped: Once it is set, no further request goes out.

        Raises:
            RefusedError: If Toloka refuses what was requested.
            FatalError: If any request would fail, or there was no answer to the first ones.
            TolokaError: If another request would not help, or none of `max_retries` did.
            StoppedError: If `stopped` was set.
        """
        tries = 1 + self._max_retries
        retry = backoff.on_exception(
            waits,
            RetryableError,
            max_tries=tries,
            jitter=with_jitter,
            on_backoff=self._before_retry,
            logger=None,
        )
        try:
            return retry(self._get_once)(path, params, read, stopped or threading.Event())
        except RetryableError as error:
            msg = f"{error}; giving up after {tries} attempts"
            # What has answered may come back, so the other streams are tried. What never has, is
            # most likely not there: each of them would be waited for as long.
            given_up = (TolokaError if self._connections.answered else FatalError)(msg)
            given_up.status = error.status
            raise given_up from error

    def _get_once(
        self,
        path: str,
        params: Mapping[str, t.Any],
        read: Callable[[bytes], _Result],
        stopped: threading.Event,
    ) -> _Result:
        self._pace.wait(stopped)
        body = self._request(path, params)
        try:
            return read(body)
        except ValueError as error:
            msg = f"Invalid response from Toloka: {error}"
            raise RetryableError(msg) from error

    def _request(self, path: str, params: Mapping[str, t.Any]) -> bytes:
        response = self._connections.get(path, params)
        if response.status != HTTPStatus.OK:
            raise self.error_of(response)
        # Error responses often come from a proxy, whose clock may differ.
        self.clock.hear(response.headers, response.arrived)
        return response.body

    def error_of(self, response: Response) -> TolokaError:
        """Return the error that an answer other than 200 is, in words that say what to do."""
        error = self._error_of(response, ErrorBody.of(response))
        error.status = response.status
        return error

    def _error_of(self, response: Response, body: ErrorBody) -> TolokaError:
        status, message = response.status, describe(response, body)
        if status == HTTPStatus.UNAUTHORIZED:
            message += f". Check `token`, `token_type` and `environment` ({self._requested}):"
            return FatalError(message + " production and sandbox have separate keys")
        if status in _REDIRECTS and "Location" in response.headers:
            host = host_of(response.headers["Location"])
            message += f". Redirect to {host} not followed, as it would send the token there."
            return FatalError(message + " Check `api_url`")
        if status in WORTH_RETRYING:
            return self._error_to_retry(response, body, message)
        if body.code in _GONE or body.code in _REFUSED:
            denied = status == HTTPStatus.FORBIDDEN
            return RefusedError(message, gone=body.code in _GONE, denied=denied)
        if status in _OF_A_LIST:
            message += ". This is not an error code of Toloka's API for a list that cannot be read,"
            message += (
                " so a proxy or gateway may have answered. Nothing was skipped. Check `api_url`"
            )
        return TolokaError(message)

    def _error_to_retry(self, response: Response, body: ErrorBody, message: str) -> TolokaError:
        """Return an error that may pass, unless it lasts longer than the settings allow."""
        limited = response.status == HTTPStatus.TOO_MANY_REQUESTS
        wait = seconds_to_wait(response, body, self.clock.now())
        if body.quota is not None and body.quota not in self._quotas:
            message += f". Quota {body.quota} is exhausted and not in `retry_quotas`"
        elif wait > self._longest_wait:
            message += f". It asks to wait {wait:.0f} s, longer than the quotas in `retry_quotas`"
        else:
            return RetryableError(message, wait=wait, rate_limited=limited)
        # Longer quotas are the account's, but for lists with quotas of their own (aggregated
        # solutions): so the tap ends the run only if the next stream fails in this way as well.
        return FatalError(message) if limited and body.quota != "MIN" else TolokaError(message)

    def _before_retry(self, details: Details) -> None:
        error: t.Any = details["exception"]
        logger.warning(
            "%s: %s; retrying in %.1f s (%d of %d)",
            details["args"][0],
            error,
            details["wait"],
            details["tries"],
            self._max_retries,
        )
        if error.rate_limited:
            self._pace.pause(details["wait"])


def waits() -> Generator[float, t.Any, None]:
    """Yield the seconds to wait after each error: twice the last, or longer if it asks for it."""
    error: RetryableError = yield 0.0  # backoff primes the generator with its first step
    for tries in itertools.count():
        error = yield max(error.wait, min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT))


def with_jitter(seconds: float) -> float:
    """Wait up to a quarter longer, so that requests that failed together do not return together."""
    return seconds * random.uniform(1, 1.25)  # noqa: S311  # not a secret


def _authorization(token: str, kind: str) -> str:
    """Return the header; `auto` tells an API key from an OAuth token as toloka-kit 1.2.3 does."""
    if kind == "auto":
        first, *others = token.split(".")
        is_api_key = len(others) == 2 and 22 <= len(first) <= 24  # noqa: PLR2004  # the shape itself
        kind = "ApiKey" if is_api_key else "OAuth"
    return f"{kind} {token}"
