"""The emulator driven over HTTP: `/_emulator/…`, for those outside its process.

    GET    /_emulator/{list}          every row written, as JSON in order of id
    POST   /_emulator/{list}          add rows, a JSON array; ?visible_in=SECONDS
    PATCH  /_emulator/{list}/{id}     set fields of a row, a JSON object; ?visible_in=SECONDS
    DELETE /_emulator/pools/{id}      take a pool away: what is asked of it is answered 404
    DELETE /_emulator/operation_logs/{operation_id}    archive a log: it is answered 404
    POST   /_emulator/faults          add a fault, a JSON object with the fields of `Fault`
    DELETE /_emulator/faults          forget all faults
    GET    /_emulator/requests        the log
    DELETE /_emulator/requests        forget the log, and start the numbers anew
    GET    /_emulator/stats           {"requests", "most_in_flight", "most_in_a_second"}

`list` is a name of `RESOURCES`, as `pools`. Rows of aggregated_solutions and operation_logs hold
their `operation_id` too, and those of a log their `number` in it, from 0: these tell where a row
is, are not answered, and make up its `id` here, as `OPERATION/TASK` and `OPERATION/NUMBER`. Numbers
of rows and of changed fields come out with the very digits that were sent. What cannot be done is
answered with 400 and a text that says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from toloka_emulator.server.faults import Fault

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from toloka_emulator.server.emulator import Emulator
    from toloka_emulator.server.table import Table


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 400 to what makes no sense, rather than 500."""
    try:
        return await handler(request)
    except (LookupError, ValueError) as error:  # msgspec's errors are ValueErrors
        return web.Response(status=400, text=f"{type(error).__name__}: {error}")


class Control:
    """The handlers of `/_emulator`.

    Args:
        emulator: What they drive.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def app(self) -> web.Application:
        """Put them together; paths that could be taken for the name of a list come first."""
        app = web.Application(middlewares=[_explain])
        app.add_routes(
            [
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.get("/requests", self._requests),
                web.delete("/requests", self._clear_requests),
                web.get("/stats", self._stats),
                web.get("/{list}", self._rows),
                web.post("/{list}", self._add_rows),
                web.patch("/{list}/{id:.+}", self._change_row),
                web.delete("/pools/{id}", self._remove_pool),
                web.delete("/operation_logs/{id}", self._archive_log),
            ]
        )
        return app

    async def _rows(self, request: web.Request) -> web.Response:
        return _json(b"[%s]" % b",".join(self._table(request).raw_rows()))

    async def _add_rows(self, request: web.Request) -> web.Response:
        rows = msgspec.json.decode(await request.read(), type=list[msgspec.Raw])
        self._table(request).add(map(bytes, rows), visible_in=_visible_in(request))
        return web.Response(status=201)

    async def _change_row(self, request: web.Request) -> web.Response:
        fields = msgspec.json.decode(await request.read(), type=dict[str, msgspec.Raw])
        row_id = request.match_info["id"]
        self._table(request).change(row_id, visible_in=_visible_in(request), **fields)
        return web.Response(status=204)

    async def _remove_pool(self, request: web.Request) -> web.Response:
        self._emulator.remove_pool(request.match_info["id"])
        return web.Response(status=204)

    async def _archive_log(self, request: web.Request) -> web.Response:
        self._emulator.archive_log(request.match_info["id"])
        return web.Response(status=204)

    async def _add_fault(self, request: web.Request) -> web.Response:
        self._emulator.faults.add(msgspec.json.decode(await request.read(), type=Fault))
        return web.Response(status=201)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._emulator.faults.clear()
        return web.Response(status=204)

    async def _requests(self, _request: web.Request) -> web.Response:
        requests = [
            {
                "method": entry.method,
                "path": entry.path,
                "params": list(entry.params.items()),
                # their names are of a subclass of str, which msgspec does not take
                "headers": [(str(name), value) for name, value in entry.headers.items()],
                "started": entry.started,
                "ended": entry.ended,
                "status": entry.status,
            }
            for entry in self._emulator.log.requests()
        ]
        return _json(msgspec.json.encode(requests))

    async def _clear_requests(self, _request: web.Request) -> web.Response:
        self._emulator.log.clear()
        return web.Response(status=204)

    async def _stats(self, _request: web.Request) -> web.Response:
        log = self._emulator.log
        stats = {
            "requests": len(log.requests()),
            "most_in_flight": log.most_in_flight,
            "most_in_a_second": log.most_in_a_second,
        }
        return _json(msgspec.json.encode(stats))

    def _table(self, request: web.Request) -> Table:
        return self._emulator.tables[request.match_info["list"]]


def _visible_in(request: web.Request) -> float:
    return float(request.query.get("visible_in", "0"))


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
