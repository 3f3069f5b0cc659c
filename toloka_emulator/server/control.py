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
    PATCH  /_emulator/clock           {"seconds_ahead": how far it is ahead of this machine's}
    GET    /_emulator/stats           {"requests", "most_in_flight", "most_in_a_second"}

`list` is a name of `RESOURCES`, as `pools`. Rows of aggregated_solutions and operation_logs hold
their `operation_id` too, and those of a log their `number` in it, from 0: these tell where a row
is, are not answered, and make up its `id` here, as `OPERATION/TASK` and `OPERATION/NUMBER`. Numbers
of rows and of changed fields come out with the very digits that were sent. What cannot be done is
answered with 400 and a text that says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from toloka_emulator.server.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler

    from toloka_emulator.server.emulator import Emulator

    # Takes what path and query name, and the body; gives the JSON to answer, if there is any.
    Action = Callable[[Emulator, Mapping[str, str], bytes], bytes | None]


def control_of(emulator: Emulator) -> web.Application:
    """Make the application that drives an emulator."""
    app = web.Application()
    for method, path, action in _ROUTES:
        app.router.add_route(method, path, _handler(emulator, action))
    return app


def _handler(emulator: Emulator, action: Action) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        named = {**request.query, **request.match_info}
        try:
            answer = action(emulator, named, await request.read())
        except (LookupError, ValueError) as error:  # msgspec's errors are ValueErrors
            return web.Response(status=400, text=f"{type(error).__name__}: {error}")
        if answer is None:
            return web.Response(status=201 if request.method == "POST" else 204)
        return web.Response(body=answer, content_type="application/json")

    return handle


def _rows(emulator: Emulator, named: Mapping[str, str], _body: bytes) -> bytes:
    return b"[%s]" % b",".join(emulator.tables[named["list"]].raw_rows())


def _add_rows(emulator: Emulator, named: Mapping[str, str], body: bytes) -> None:
    rows = msgspec.json.decode(body, type=list[msgspec.Raw])
    visible_in = float(named.get("visible_in", 0))
    emulator.tables[named["list"]].add(map(bytes, rows), visible_in=visible_in)


def _change_row(emulator: Emulator, named: Mapping[str, str], body: bytes) -> None:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    visible_in = float(named.get("visible_in", 0))
    emulator.tables[named["list"]].change(named["id"], visible_in=visible_in, **fields)


def _requests(emulator: Emulator, _named: Mapping[str, str], _body: bytes) -> bytes:
    return msgspec.json.encode(emulator.requests, enc_hook=_pairs)


def _pairs(params_or_headers: Any) -> list[tuple[str, str]]:
    # Names of headers are of a subclass of str, which msgspec does not take.
    return [(str(name), value) for name, value in params_or_headers.items()]


def _stats(emulator: Emulator, _named: Mapping[str, str], _body: bytes) -> bytes:
    log = emulator.log
    stats = {"most_in_flight": log.most_in_flight, "most_in_a_second": log.most_in_a_second}
    return msgspec.json.encode({"requests": len(log.requests()), **stats})


def _set_clock(emulator: Emulator, _named: Mapping[str, str], body: bytes) -> None:
    emulator.seconds_ahead = msgspec.json.decode(body, type=dict[str, float])["seconds_ahead"]


# Paths that could be taken for the name of a list come first.
_ROUTES: tuple[tuple[str, str, Action], ...] = (
    ("POST", "/faults", lambda it, _, body: it.faults.add(msgspec.json.decode(body, type=Fault))),
    ("DELETE", "/faults", lambda it, *_: it.faults.clear()),
    ("GET", "/requests", _requests),
    ("DELETE", "/requests", lambda it, *_: it.clear_requests()),
    ("PATCH", "/clock", _set_clock),
    ("GET", "/stats", _stats),
    ("GET", "/{list}", _rows),
    ("POST", "/{list}", _add_rows),
    ("PATCH", "/{list}/{id:.+}", _change_row),
    ("DELETE", "/pools/{id}", lambda it, named, _: it.remove_pool(named["id"])),
    ("DELETE", "/operation_logs/{id}", lambda it, named, _: it.archived_logs.add(named["id"])),
)
