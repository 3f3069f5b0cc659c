"""An HTTP server that answers what a test says, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from requests.structures import CaseInsensitiveDict

from tap_toloka.api import TolokaApi
from tap_toloka.clock import monotonic
from tap_toloka.errors import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


SETTINGS: dict[str, Any] = {
    "token": "key",
    "token_type": "ApiKey",
    "user_agent": "us/1",
    "timeout": 60,
    "max_retries": 2,
    "retry_quotas": ["MIN"],
    "max_concurrency": 4,
    "max_requests_per_second": 300,
}


def api_at(url: str, **settings: Any) -> TolokaApi:
    """Make a client of the API at an address."""
    return TolokaApi({**SETTINGS, "api_url": url, **settings})


def response(status: int, body: bytes = b"", **headers: str) -> Response:
    """Make a response that nobody sent; `_` in the name of a header stands for `-`."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, "", CaseInsensitiveDict(names), body, monotonic())


class Request(NamedTuple):
    """A request that came in; the path is as it was sent."""

    path: str
    params: dict[str, str]
    headers: Mapping[str, str]


Answer = tuple[int, bytes]
"""Status and body."""


@contextlib.contextmanager
def bare_server(answer: Callable[[Request], Answer]) -> Iterator[tuple[str, list[Request]]]:
    """Serve what `answer` returns; gives the address, and a list that requests are added to."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # its name in the standard library
            parts = urlsplit(self.path)
            request = Request(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
            requests.append(request)
            status, body = answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[socket.socket]]]:
    """Serve connections by `talk`, each in a thread; gives the port, and a list of connections.

    A connection is closed when `talk` returns. What it sends to nobody ends it, too.
    """
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def receive_request(connection: socket.socket) -> bytes:
    """Receive a request without a body; `b""`: the client has closed the connection."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        if not (more := connection.recv(65_536)):
            return b""
        request += more
    return request
