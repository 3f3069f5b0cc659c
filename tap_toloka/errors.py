"""What Toloka says when it refuses, and how long it asks to wait, in plain words."""

from __future__ import annotations

import email.utils
import typing as t
from datetime import datetime, timezone
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from singer_sdk.exceptions import FatalAPIError

if t.TYPE_CHECKING:
    import requests

QUOTA_SECONDS = {"MIN": 60, "HOUR": 60 * 60, "DAY": 24 * 60 * 60}
"""Length of each quota that a 429 can name in `payload.interval` (toloka-kit)."""

_GONE_CODES = {"DOES_NOT_EXIST", "OPERATION_LOGS_ARCHIVED", "RESULTS_EXPIRED"}
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_REFUSED = {HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT}
_LONGEST_PAYLOAD = 300


class RefusedError(FatalAPIError):
    """Toloka does not give what was asked for.

    Args:
        message: What Toloka answered.
        gone: Whether it is there no more, so that no row of it is missed.
    """

    def __init__(self, message: str, *, gone: bool) -> None:
        super().__init__(message)
        self.gone = gone


class TolokaError(msgspec.Struct):
    """Body of an answer that is no success (openapi): every part may be missing."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    payload: t.Any = None

    @classmethod
    def of(cls, response: requests.Response) -> TolokaError:
        """Read the body of a response, which may be anything."""
        try:
            return msgspec.json.decode(response.content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return cls()  # from a proxy or a balancer, not from Toloka

    @property
    def quota(self) -> str | None:
        """The quota that ran out: `MIN`, `HOUR`, `DAY`, if a 429 names one."""
        quota = self.payload.get("interval") if isinstance(self.payload, dict) else None
        return quota if isinstance(quota, str) else None


def refusal_of(response: requests.Response, message: str) -> FatalAPIError:
    """Make the error for an answer that asking again would not better.

    What has no code of Toloka's comes from somebody between, and says nothing of rows.
    """
    code, status = TolokaError.of(response).code, response.status_code
    gone = code in _GONE_CODES or status in _GONE
    if code and (gone or status in _REFUSED):
        return RefusedError(message, gone=gone)
    return FatalAPIError(message)


def describe(response: requests.Response) -> str:
    """Put an answer into one line: status, code, message, fields concerned, request id."""
    error = TolokaError.of(response)
    parts = [
        f"Toloka answered {response.status_code} {error.code or response.reason or ''}".strip()
    ]
    if error.message:
        parts.append(f": {error.message.rstrip('.')}")
    if error.payload:
        payload = msgspec.json.encode(error.payload).decode()
        parts.append(f" ({payload[:_LONGEST_PAYLOAD]})")
    if error.request_id:
        parts.append(f" [request_id {error.request_id}]")
    return " ".join("".join(parts).split())


def host_of(address: str) -> str:
    """Return the host in an address that somebody else wrote, for a message."""
    try:
        return urlsplit(address).hostname or "another address"
    except ValueError:
        return "another address"


def root_cause(error: BaseException) -> str:
    """Name what lies under the layers of requests and urllib3: `Connection refused`."""
    while True:
        layers = (getattr(error, "reason", None), *error.args)
        inner = next((layer for layer in layers if isinstance(layer, BaseException)), None)
        if inner is None:
            return str(error)
        error = inner


def seconds_asked_for(response: requests.Response) -> float:
    """Return how long to wait by `Retry-After` (seconds or a date), or until a quota is renewed.

    0 if nothing is asked for, or nothing that has a meaning.
    """
    text = response.headers.get("Retry-After", "").strip()
    try:
        if text.isdecimal():
            return float(text)
        wait = email.utils.parsedate_to_datetime(text) - datetime.now(timezone.utc)
        return max(wait.total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return QUOTA_SECONDS.get(TolokaError.of(response).quota or "", 0)
