"""What can end a run or fail a stream: errors whose text is one line that says what to do.

Nothing here knows of the Singer SDK. `command.py` prints these errors without a traceback.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from tap_toloka.clock import date_of, http_date
from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Mapping

QUOTA_SECONDS = {"MIN": 60, "HOUR": 60 * 60, "DAY": 24 * 60 * 60}
"""Length of each quota that a 429 can name in `payload.interval` (toloka-kit)."""

# Characters that are shown at most of an error, and of what a server says in it.
_LONGEST_ERROR, _LONGEST_MESSAGE, _LONGEST_PAYLOAD, _LONGEST_NAME = 2_000, 500, 300, 100


class TolokaError(Exception):
    """A request that failed for good, or an answer that cannot be used.

    Args:
        message: What happened, which may quote a server: it is brought into one line that is not
            too long, and that a terminal does not act on.
    """

    stream: str | None = None
    """The stream that was read, once it is known."""

    status: int | None = None
    """The HTTP status of the answer, if it was one that is not 200."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(shortened(message, _LONGEST_ERROR).split()))

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.stream}: {message}" if self.stream else message


class RetryableError(TolokaError):
    """A request that may succeed if it is sent again.

    Args:
        message: What happened.
        wait: Seconds that Toloka asks to wait; 0 if it does not say.
        rate_limited: Whether it was a 429, so that all connections should slow down.
    """

    def __init__(self, message: str, *, wait: float = 0, rate_limited: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.rate_limited = rate_limited


class FatalError(TolokaError):
    """What every stream seems to meet, as a key that is not valid."""


class UnusableError(TolokaError):
    """A well-formed answer with a row that cannot be used: it would be the same another time."""


class RefusedError(TolokaError):
    """Toloka itself, not a gateway, refuses a list: it is gone, or this key may not read it.

    Args:
        message: What Toloka answered.
        gone: Whether Toloka has deleted the list, as it says itself: no row of it is missed.
        denied: Whether this key may not read it.
    """

    def __init__(self, message: str, *, gone: bool, denied: bool = False) -> None:
        super().__init__(message)
        self.gone = gone
        self.denied = denied


@dataclass(frozen=True)
class Response:
    """A response of a server, read whole.

    Attributes:
        status: The HTTP status.
        reason: The text beside it.
        headers: The headers; names in any case.
        body: The body, decompressed.
        arrived: When the headers had arrived, as `tap_toloka.clock.monotonic` counts.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    arrived: float


class ErrorBody(msgspec.Struct):
    """Body of an answer other than 200 (openapi). Every part may be missing."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    payload: t.Any = None

    @classmethod
    def of(cls, response: Response) -> ErrorBody:
        """Read the body of a response; empty if it does not come from Toloka."""
        try:
            return msgspec.json.decode(response.body, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return cls()  # from a proxy or a load balancer

    @property
    def quota(self) -> str | None:
        """The quota that ran out (`MIN`, `HOUR` or `DAY`), if a 429 names one."""
        quota = self.payload.get("interval") if isinstance(self.payload, dict) else None
        return quota if isinstance(quota, str) else None


def describe(response: Response, body: ErrorBody) -> str:
    """Put an answer into one line: status, code, message, fields concerned, request id."""
    code = shortened(body.code or response.reason, _LONGEST_NAME)
    text = f"Toloka answered {response.status} {code}".rstrip()
    if body.message:
        text += f": {shortened(body.message, _LONGEST_MESSAGE).rstrip('.')}"
    if body.payload:
        payload = msgspec.json.format(msgspec.json.encode(body.payload), indent=0).decode()
        text += f" ({shortened(payload, _LONGEST_PAYLOAD)})"
    if body.request_id:
        text += f" [request_id {shortened(body.request_id, _LONGEST_NAME)}]"
    return text


def seconds_to_wait(response: Response, body: ErrorBody, now: str) -> float:
    """Return how long to wait by `Retry-After` (seconds or a date), else until a quota renews.

    0 if neither is there, or if `Retry-After` makes no sense.

    Args:
        response: The response.
        body: Its body.
        now: The present by Toloka's clock, in the canonical form of `tap_toloka.dates`. A date in
            `Retry-After` is compared with it if the response has no `Date`.
    """
    text = response.headers.get("Retry-After", "").strip()
    try:
        if text.isdecimal():
            return float(text)
        sent = date_of(response.headers) or msgspec.convert(now, datetime)
        return max((http_date(text) - sent).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return QUOTA_SECONDS.get(body.quota or "", 0)


def host_of(address: str) -> str:
    """Return the host of an address that may hold anything, for a message."""
    try:
        return urlsplit(address).hostname or "another address"
    except ValueError:
        return "another address"


def innermost(error: BaseException) -> BaseException:
    """Return what lies under the layers of requests and urllib3, as `Connection refused`."""
    while True:
        layers = (getattr(error, "reason", None), *error.args, error.__cause__)
        inner = next((layer for layer in layers if isinstance(layer, BaseException)), None)
        if inner is None:
            return error
        error = inner
