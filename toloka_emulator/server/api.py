"""Toloka's API as the reference tells of it: who may ask, how often, and what is answered."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from msgspec import UNSET
from multidict import CIMultiDict

from toloka_emulator.server.errors import ApiError
from toloka_emulator.server.faults import Fault, Faults
from toloka_emulator.server.log import Log
from toloka_emulator.server.query import read_query, refuse_params
from toloka_emulator.server.resources import RESOURCES, Resource
from toloka_emulator.server.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from toloka_emulator.server.log import Request
    from toloka_emulator.server.query import Query

# toloka-kit 1.2.3 takes a secret with two dots, the first after 22 to 24 characters, for an API
# key, and every other for an OAuth token.
KEY = "EmulatorOfTolokaApiKey.EmulatorOfToloka.NoSecretAtAll0123456789"
OAUTH_TOKEN = "EmulatorOfTolokaOAuthToken0123456789"

# Who asks, where a test did not say: the example of the openapi.
REQUESTER = {
    "id": "566ec2b0ff0deeaae5f9d500629de162",
    "balance": 121.3,
    "public_name": {"EN": "Jack Smith"},
    "company": {
        "id": "eaf25678e128e14dea651d8c32471f21",
        "superintendent_id": "566ec2b0ff0deeaae5f9d500629de162",
    },
}


class Api:
    """What is answered below `/api`. The attributes may be changed while it runs.

    Args:
        accounts: Ids that `X-Act-Under-Account-ID` may name.
        latency: Seconds that each answer takes.
        requests_per_second: As many are answered in any one second; None: no limit.
        seconds_ahead: How far the `Date` of answers is ahead of the clock of this machine.
    """

    def __init__(
        self,
        *,
        accounts: Collection[str] = (),
        latency: float = 0,
        requests_per_second: int | None = None,
        seconds_ahead: float = 0,
    ) -> None:
        self.key, self.oauth_token = KEY, OAUTH_TOKEN  # that are accepted
        self.accounts = accounts
        self.latency = latency
        self.requests_per_second = requests_per_second
        self.seconds_ahead = seconds_ahead
        self.tables = {name: Table(resource) for name, resource in RESOURCES.items()}
        self.faults = Faults()
        self.log = Log()
        self.removed_pools: set[str] = set()  # what is asked of these is answered 404
        self.archived_logs: set[str] = set()  # by operation: they can no longer be read
        self._by_path = [(_pattern(table.resource), table) for table in self.tables.values()]
        self._answered: deque[float] = deque()  # when requests within a second were answered

    def date(self) -> datetime:
        """Tell what time it is in this Toloka."""
        return datetime.now(timezone.utc) + timedelta(seconds=self.seconds_ahead)

    async def handle(self, asked: web.Request) -> web.Response:
        """Answer one request, and log it."""
        request = self.log.start(asked)
        try:
            fault = self._fault(request)
            await asyncio.sleep(self.latency + fault.delay)
            if fault.reset:
                _reset_connection(asked)
                return web.Response()  # nobody is there to read it
            try:
                request.status, body = self._answer(request, fault)
            except ApiError as error:
                request.status, body = error.status, error.body
            return _response(request.status, body, fault, self.date())
        finally:
            self.log.end(request)

    def _fault(self, request: Request) -> Fault:
        """Find what goes wrong with a request; to be one too many comes first."""
        if self.requests_per_second is not None:
            while self._answered and self._answered[0] <= request.started - 1:
                self._answered.popleft()
            if len(self._answered) >= self.requests_per_second:
                return Fault(status=429)
            self._answered.append(request.started)
        return self.faults.take(request.path, request.params)

    def _answer(self, request: Request, fault: Fault) -> tuple[int, bytes]:
        """Give the status and the body."""
        if fault.quota:
            raise ApiError(429, "The quota ran out", {"interval": fault.quota})
        if fault.body is not UNSET:
            return fault.status or 200, _as_bytes(fault.body)
        if fault.status:
            raise ApiError(fault.status, "A fault on demand")
        self._authorize(request.headers)
        return 200, self._read(request, fault)

    def _authorize(self, headers: Mapping[str, str]) -> None:
        accepted = (f"ApiKey {self.key}", f"OAuth {self.oauth_token}")
        if headers.get("Authorization") not in accepted:
            raise ApiError(401, "No such key or token, or sent in the form of the other")
        if headers.get("X-Act-Under-Account-ID") not in {None, *self.accounts}:
            raise ApiError(403, "No access to this account")

    def _read(self, request: Request, fault: Fault) -> bytes:
        """Read a page of a list (`/api/v1/pools`), one row (`/api/v1/pools/17`), or a whole log."""
        table, parent, row_id = self._find(request.path)
        resource = table.resource
        if request.method != "GET":
            raise ApiError(405, "The emulator only knows GET")
        if parent is not None:
            _row(self.tables[resource.parent], parent)
        if row_id is not None:
            refuse_params(resource, request.params)
            return _row(table, row_id, parent)
        query = read_query(resource, request.params.items(), parent=parent)
        if resource.answers == "one":
            return next(iter(table.raw_rows()), msgspec.json.encode(REQUESTER))
        if resource.answers == "array":
            return self._whole_log(table, str(parent))
        wanted = {value for name, _, value in query.filters if name == resource.group_by}
        if not wanted.isdisjoint(self.removed_pools):
            raise ApiError(404, "No such pool")
        return _page(table, query, fault)

    def _find(self, path: str) -> tuple[Table, str | None, str | None]:
        """Find the table that a path is of, with the ids of a parent and of a row in it."""
        for pattern, table in self._by_path:
            if match := pattern.fullmatch(path):
                ids = match.groupdict()
                return table, ids.get("parent"), ids.get("id")
        raise ApiError(404, "No such resource")

    def _whole_log(self, table: Table, operation_id: str) -> bytes:
        """Write a bare array, though the openapi says one object: toloka-kit reads an array.

        No source tells the status that goes with the code.
        """
        if operation_id in self.archived_logs:
            message = "Logs are available only for the last month"
            raise ApiError(404, message, code="OPERATION_LOGS_ARCHIVED")
        return b"[%s]" % b",".join(table.of_parent(operation_id))


def _pattern(resource: Resource) -> re.Pattern[str]:
    """Make the pattern of the paths of a list, of its parents and its rows."""
    path = re.sub(r"\{[a-z_]+\}", "(?P<parent>[^/]+)", resource.path)
    if resource.answers == "rows":
        return re.compile(f"{path}/(?P<id>[^/]+)")
    return re.compile(f"{path}(/(?P<id>[^/]+))?" if resource.single else path)


def _row(table: Table, row_id: str, parent: str | None = None) -> bytes:
    try:
        return table.get(row_id, parent=parent)
    except KeyError:
        raise ApiError(404, "No such row") from None


def _page(table: Table, query: Query, fault: Fault) -> bytes:
    """Write `{"items": [...], "has_more": ...}`, in the apps API with `content` (openapi)."""
    rows, has_more = table.find(query)
    listed = b"" if fault.without_items else b",".join(rows)
    items = b'{"%s":[%s]' % (table.resource.answers.encode(), listed)
    if fault.without_has_more:
        return items + b"}"
    more = has_more if fault.has_more is UNSET else fault.has_more
    return items + b',"has_more":%s}' % msgspec.json.encode(more)


def _response(status: int, body: bytes, fault: Fault, date: datetime) -> web.Response:
    headers = CIMultiDict({"Content-Type": "application/json"})
    headers["Date"] = format_datetime(date, usegmt=True)
    headers.update(fault.headers)
    if not fault.cut:
        return web.Response(status=status, body=body, headers=headers)
    headers["Content-Length"] = str(len(body))
    response = web.Response(status=status, body=body[: len(body) // 2], headers=headers)
    response.force_close()
    return response


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def _reset_connection(asked: web.Request) -> None:
    """Close the connection so that the client gets a TCP RST rather than an end of the stream."""
    if asked.transport is not None:
        connection = asked.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asked.transport.abort()
