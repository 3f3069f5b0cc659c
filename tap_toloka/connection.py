"""HTTP connections to one server: what a response may cost, and what it means if there is none.

Nothing here knows of Toloka's API.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import re
import socket
import ssl
import time
import typing as t
from contextlib import closing

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidSchema, ProxyError
from requests.utils import default_headers, select_proxy
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ProxyError as TunnelError

from tap_toloka.clock import monotonic
from tap_toloka.errors import (
    FatalError,
    Response,
    RetryableError,
    TolokaError,
    host_of,
    innermost,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SECONDS = 600
"""Longest that a response may take from its first byte to its last, if `timeout` is not longer."""

LARGEST_BODY = 2**30
"""Most bytes that a body may have, also once it is decompressed. (100,000 assignments, the most in
a page, have 100 to 200 MB unless they hold long texts.)"""

_LARGEST_HEAD = 2**20
"""Most bytes before a body: status, headers, and any number of `100 Continue` before."""

_PIECE = 2**20  # bytes that are read, or decompressed, at once

_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: (4(?!08|29)\d\d) ?(.*)", re.DOTALL)
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}

# Of OpenSSL's codes for why a certificate is not accepted (x509_vfy.h).
_OUT_OF_DATE = {9, 10}
_OF_ANOTHER_HOST = {62, 64}


class StaleConnectionError(RetryableError):
    """The server had closed an open connection when a request went out: it needs another one."""


class Connections:
    """Connections to one server, directly or by the proxy of the environment. Threads share them.

    Args:
        url: The address of the server, with `https:` or, without proxies, `http:`.
        headers: Headers of all requests.
        timeout: Seconds without data after which a request fails.
        most: Most connections that are kept open.

    Attributes:
        url: The address, with scheme and host in lower case.
        answered: Whether there was any response yet.

    Raises:
        FatalError: If the environment names a file of certificates that cannot be used.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, most: int) -> None:
        scheme, rest = url.split(":", 1)
        self.url = f"{scheme.lower()}:{rest}"
        self._headers = {**default_headers(), **headers}
        self._timeout = timeout
        self._adapter = _Adapter(pool_maxsize=most)
        self.answered = False
        with requests.Session() as session:
            # Plain http goes to this machine only, so not by way of a proxy either.
            session.trust_env = self.url.startswith("https:")
            settings = session.merge_environment_settings(
                self.url, proxies={}, stream=True, verify=None, cert=None
            )
        self._proxies, self._verify = settings["proxies"], settings["verify"] or True
        self._proxy = select_proxy(self.url, self._proxies)
        if isinstance(self._verify, str):
            _check_certificates(self._verify)

    def get(self, path: str, params: Mapping[str, t.Any]) -> Response:
        """Request something once, and read the response whole. Redirects are not followed.

        Raises:
            RetryableError: If another request may succeed.
            FatalError: If none can, for whatever is requested.
            TolokaError: If this response is too large.
        """
        try:
            url = self.url + path
            # Without a session, so that no `.netrc` replaces the authorization.
            request = requests.Request("GET", url, self._headers, params=params).prepare()
        except ValueError as error:
            msg = f"`api_url` is not a valid URL: {error}"
            raise FatalError(msg) from error
        try:
            return self._send(request)
        except StaleConnectionError:
            return self._send(request)

    def _send(self, request: requests.PreparedRequest) -> Response:
        try:
            answer = self._adapter.send(
                request,
                stream=True,
                timeout=self._timeout,
                verify=self._verify,
                proxies=self._proxies,
            )
            arrived = monotonic()
            with closing(answer):
                body = _body_of(answer)
        except (requests.RequestException, HTTPError, ValueError, OSError) as error:
            raise self._explained(error) from error
        self.answered = True
        return Response(answer.status_code, answer.reason or "", answer.headers, body, arrived)

    def _explained(self, error: Exception) -> TolokaError:
        """Say what was wrong; it is retryable if that may pass, else fatal."""
        cause = innermost(error)
        of_proxy = self._proxy is not None and isinstance(error, ProxyError)
        peer = f"proxy {self._name_of_proxy()}" if of_proxy else host_of(self.url)
        if isinstance(error, ValueError) and not isinstance(error, InvalidHeader):
            return FatalError(self._wrong_address(cause))
        if of_proxy and (refused := _REFUSED_BY_PROXY.search(str(cause))):
            return FatalError(_refusal(peer, *refused.groups()))
        if hopeless := self._hopeless(peer, cause):
            return FatalError(hopeless)
        return RetryableError(f"Request to {peer} failed: {cause or type(cause).__name__}")

    def _hopeless(self, peer: str, cause: BaseException) -> str | None:
        """Say what was wrong if another request will not help."""
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _wrong_certificate(peer, cause)
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
            return f"{peer} does not answer with TLS (HTTPS). Check scheme and port"
        # A host that has answered exists; that its name is unknown for a while passes.
        unknown = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
        if unknown and not self.answered:
            return (
                f"Host {peer} not found (DNS lookup failed). Check `api_url`, the network and the "
                "proxy settings"
            )
        return None

    def _wrong_address(self, cause: BaseException) -> str:
        """Say which address cannot be used; that of a proxy may hold a password."""
        if self._proxy is None:
            return f"`api_url` is not a valid URL: {cause}"
        if isinstance(cause, InvalidSchema):
            return f"The SOCKS proxy {self._name_of_proxy()} needs the package `requests[socks]`"
        return f"The proxy {self._name_of_proxy()} is not an address like http://host:port"

    def _name_of_proxy(self) -> str:
        """Return the host of the proxy, and where it is set."""
        variables = [name for name in _PROXY_VARIABLES if os.environ.get(name) == self._proxy]
        variable = variables[0] if variables else "the proxy settings of this machine"
        address = self._proxy or ""
        return f"{host_of(address if '//' in address else f'//{address}')} in {variable}"


def _check_certificates(path: str) -> None:
    """Refuse what a variable names that does not hold certificates.

    Raises:
        FatalError: If that is so.
    """
    try:
        if os.path.isdir(path):  # noqa: PTH112  # as requests does
            return
        ssl.create_default_context(cafile=path)
    except OSError as error:
        variable = next((name for name in _CA_VARIABLES if os.environ.get(name) == path), path)
        msg = f"{variable} does not name a file of certificates in PEM format: {path}: {error}"
        raise FatalError(msg) from error


def _refusal(proxy: str, status: str, reason: str) -> str:
    """Say that a proxy refuses a connection, and what may help."""
    msg = f"The {proxy} refuses the connection: {status} {reason}".rstrip()
    if status == "407":
        msg += ". It requires authentication. Set user and password in the proxy URL: "
        msg += "http://user:password@host:port"
    return msg


def _wrong_certificate(peer: str, error: ssl.SSLCertVerificationError) -> str:
    """Say why a certificate is not accepted, and what may help."""
    msg = f"The certificate of {peer} is not accepted: {error.verify_message.rstrip('.')}. "
    if error.verify_code in _OUT_OF_DATE:
        return msg + "Check the clock of this machine; if it is right, the certificate has expired"
    if error.verify_code in _OF_ANOTHER_HOST:
        return msg + "Check the address"
    return (
        msg + "If your network has a certificate authority of its own, set REQUESTS_CA_BUNDLE to a "
        "file of its certificates"
    )


def _body_of(answer: requests.Response) -> bytes:
    """Read the body of a response, decompressed.

    Raises:
        TolokaError: If it is too large.
    """
    msg = f"The response is larger than {LARGEST_BODY:,} bytes. Lower `batch_size`"
    if (answer.raw.length_remaining or 0) > LARGEST_BODY:
        raise TolokaError(msg)
    pieces, size = [], 0
    try:
        for piece in answer.raw.stream(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY:
                raise TolokaError(msg)
        return b"".join(pieces)
    except MemoryError:
        msg = f"There is not enough memory for a response of {size:,} bytes. Lower `batch_size`"
        raise TolokaError(msg) from None


class _LimitedSocket(io.RawIOBase):
    """What comes from a socket, until it is too much or takes too long.

    Args:
        raw: The socket as a file.
        seconds: How long it may take from now on.
    """

    def __init__(self, raw: t.Any, seconds: float) -> None:  # noqa: ANN401  # of the socket module
        self._raw = raw
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self.left = _LARGEST_HEAD
        """How many more bytes may come."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:  # noqa: ANN401  # as the base class has it
        if time.monotonic() > self._deadline:
            msg = f"The response takes longer than {self._seconds:.0f} s. Lower `batch_size`"
            raise RetryableError(msg)
        count: int | None = self._raw.readinto(buffer)
        self.left -= count or 0
        if self.left < 0:
            msg = f"The response has more than {_LARGEST_HEAD >> 20} MiB of headers, or no end"
            raise RetryableError(msg)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    """A response that is read from a `_LimitedSocket`."""

    def __init__(self, sock: socket.socket, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = t.cast("t.Any", self.fp).detach()
        seconds = max(LONGEST_SECONDS, sock.gettimeout() or 0)
        self._limited = _LimitedSocket(raw, seconds)
        self.fp = io.BufferedReader(self._limited, 2**16)

    def begin(self) -> None:
        super().begin()
        # Chunks come with some bytes around them, which may be as many as they hold.
        self._limited.left = 2 * LARGEST_BODY


class _Limited:
    """Comes before urllib3's classes of connections: limits responses, and notices stale ones."""

    response_class = _LimitedResponse
    _used = False

    def connect(self) -> None:
        self._used = False
        super().connect()  # type: ignore[misc]

    def _tunnel(self) -> None:
        try:
            super()._tunnel()  # type: ignore[misc]
        except (OSError, http.client.HTTPException) as error:
            # urllib3 does not say that it is the proxy's, once there is a connection to it.
            msg = "no tunnel"
            raise TunnelError(msg, error) from error

    def request(self, *args: t.Any, **kwargs: t.Any) -> None:
        self._unless_stale("request", *args, **kwargs)

    def getresponse(self) -> t.Any:  # noqa: ANN401  # of urllib3
        response = self._unless_stale("getresponse")
        self._used = True
        return response

    def _unless_stale(self, name: str, *args: t.Any, **kwargs: t.Any) -> t.Any:  # noqa: ANN401
        try:
            return getattr(super(), name)(*args, **kwargs)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            if self._used:
                msg = f"The server closed the connection: {error}"
                raise StaleConnectionError(msg) from error
            raise


class _Adapter(HTTPAdapter):
    """Opens `_Limited` connections, to the server and to a proxy of any kind."""

    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _limit(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: t.Any) -> t.Any:  # noqa: ANN401
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            _limit(manager)
        return manager


def _limit(manager: t.Any) -> None:  # noqa: ANN401  # urllib3's, of which requests has no types
    """Let a manager of connections open limited ones."""
    pools = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        connection = type("LimitedConnection", (_Limited, pool.ConnectionCls), {})
        pools[scheme] = type("LimitedPool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = pools


# Of headers that are none it logs a traceback, for each response, and goes on all the same.
logging.getLogger("urllib3.connection").addFilter(
    lambda record: not record.msg.startswith("Failed to parse headers")
)
