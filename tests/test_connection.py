"""A response has limits, and what there is instead of one is named for what it is."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tap_toloka import connection
from tap_toloka.errors import TolokaError
from tests.bare_server import api_at, bare_server, raw_server, receive_request
from tests.runner import no_waiting, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY_LIST = OK + b"Content-Length: 2\r\n\r\n[]"
BOMB = gzip.compress(bytes(20_000_000))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment of the tests have no say."""
    names = ("https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Do not wait before retries, and give how long it would have been."""
    with no_waiting() as waits:
        yield waits


def get(url: str, **settings: Any) -> Any:
    """Request a list."""
    return api_at(url, **settings).get("/v1/pools", {}, json.loads)


def error_of(url: str, **settings: Any) -> str:
    """Request a list, which fails, and return the one line that says why."""
    with pytest.raises(TolokaError) as error:
        get(url, **settings)
    line = str(error.value)
    assert len(line.splitlines()) == 1
    return line


def sending(*parts: bytes | Iterable[bytes], every: float = 0) -> Callable[[socket.socket], None]:
    """Answer the first request of a connection with these parts."""

    def talk(connection: socket.socket) -> None:
        receive_request(connection)
        for part in parts:
            for piece in [part] if isinstance(part, bytes) else part:
                connection.sendall(piece)
                if every:
                    time.sleep(every)

    return talk


# Limits


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let responses have 1 second and 1 MB."""
    monkeypatch.setattr(connection, "LONGEST_SECONDS", 0)  # `timeout` is longer
    monkeypatch.setattr(connection, "LARGEST_BODY", 1_000_000)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            sending(OK + b"Content-Length: 1000\r\n\r\n", itertools.repeat(b" "), every=0.1),
            "takes longer than 1 s. Lower `batch_size`",
            id="a byte at a time",
        ),
        pytest.param(
            sending(OK, itertools.repeat(b"A"), every=0.1),
            "takes longer than 1 s",
            id="a byte of a header at a time",
        ),
        pytest.param(
            sending(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), every=0.1),
            "takes longer than 1 s",
            id="slow 100 Continue",
        ),
        pytest.param(
            sending(CHUNKED, itertools.repeat(b"1\r\n \r\n"), every=0.1),
            "takes longer than 1 s",
            id="slow chunks",
        ),
        pytest.param(
            sending(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)),
            "of headers, or no end",
            id="endless 100 Continue",
        ),
        pytest.param(
            sending(OK, (b"A%d: b\r\n" % n for n in itertools.count())),
            "more than 100 headers",
            id="endless headers",
        ),
        pytest.param(
            sending(CHUNKED, itertools.repeat(b"400\r\n" + b" " * 1024 + b"\r\n")),
            "larger than 1,000,000 bytes. Lower `batch_size`",
            id="endless chunks of spaces",
        ),
        pytest.param(
            sending(CHUNKED, b"1;", itertools.repeat(b"x" * 10_000)),
            "chunk size line exceeded",
            id="endless extension of a chunk",
        ),
        pytest.param(
            sending(OK + b"\r\n", itertools.repeat(b" " * 10_000)),
            "larger than 1,000,000 bytes",
            id="endless body without a length",
        ),
        pytest.param(
            sending(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB),
            "larger than 1,000,000 bytes",
            id="gzip bomb",
        ),
        pytest.param(
            sending(OK + b"Content-Length: 999999999999\r\n\r\n[", itertools.repeat(b" ")),
            "larger than 1,000,000 bytes",
            id="an enormous length",
        ),
        pytest.param(
            sending(b"HTTP/1.1 500 No\r\n\r\n", itertools.repeat(b" " * 10_000)),
            "larger than 1,000,000 bytes",
            id="endless error",
        ),
    ],
)
def test_a_response_without_end_is_an_error_and_its_connection_is_closed(
    answer: Callable[[socket.socket], None], said: str
) -> None:
    with raw_server(answer) as (port, connections):
        assert said in error_of(f"http://127.0.0.1:{port}", timeout=1, max_retries=0)
        wait_until(lambda: all(connection.fileno() == -1 for connection in connections))


def test_a_response_may_be_as_long_and_as_large_as_the_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = b"[" + b" " * 99_998 + b"]"
    monkeypatch.setattr(connection, "LARGEST_BODY", len(body))
    with bare_server(lambda _: (200, body)) as (url, _):
        assert get(url) == []
    monkeypatch.setattr(connection, "LARGEST_BODY", len(body) - 1)
    with bare_server(lambda _: (200, body)) as (url, _):
        assert "larger than 99,999 bytes" in error_of(url)


@pytest.mark.parametrize(
    "first",
    [
        OK + b"Content-Length: 5\r\n\r\n[]",
        OK + b"Content-Length: 1\r\n\r\n[]",
        OK + b"Content-Length: 2, 3\r\n\r\n[]",
        CHUNKED + b"5\r\n[]",
        CHUNKED + b"x\r\n[]\r\n0\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
        b"",
        b"\x16\x03\x01\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
    ],
    ids=str,
)
def test_a_broken_response_is_requested_again(first: bytes, waits: list[float]) -> None:
    answers = iter([first])

    def talk(connection: socket.socket) -> None:
        sending(next(answers, EMPTY_LIST))(connection)

    with raw_server(talk) as (port, connections):
        assert get(f"http://127.0.0.1:{port}") == []
    assert len(connections) == 2
    assert len(waits) == 1


@pytest.mark.parametrize("length", [b"-5", b"two", b"2, 2", b""])
def test_a_length_that_is_none_is_no_obstacle(length: bytes) -> None:
    with raw_server(sending(OK + b"Content-Length: " + length + b"\r\n\r\n[]")) as (port, _):
        assert get(f"http://127.0.0.1:{port}") == []


def test_a_header_without_a_colon_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    head = b"Content-Length: 2\r\nno colon \x1b[31m\r\nDate: never\r\n\r\n[]"
    with raw_server(sending(OK + head)) as (port, _):
        assert get(f"http://127.0.0.1:{port}") == []
    assert caplog.records == []


# Connections that the server closes


def closing_after(answers: Iterable[int]) -> Callable[[socket.socket], None]:
    """Answer so many requests of the first connection, of the second, ..., then hang up."""
    counts = iter(answers)

    def talk(connection: socket.socket) -> None:
        for _ in range(next(counts)):
            receive_request(connection)
            connection.sendall(EMPTY_LIST)
        receive_request(connection)

    return talk


def test_a_connection_that_was_closed_between_requests_is_replaced_at_once(
    waits: list[float],
) -> None:
    with raw_server(closing_after([1, 2, 9])) as (port, connections):
        api = api_at(f"http://127.0.0.1:{port}", max_retries=0)
        for _ in range(5):
            assert api.get("/v1/pools", {}, json.loads) == []
    assert len(connections) == 3
    assert waits == []


def test_a_new_connection_that_is_closed_is_a_failure(waits: list[float]) -> None:
    with raw_server(closing_after([1, 0, 0, 9])) as (port, connections):
        api = api_at(f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert api.get("/v1/pools", {}, json.loads) == []
    assert len(connections) == 4
    assert len(waits) == 2


# Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificates that nobody signed, of this machine and of another host."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    for name, alternative in (("here", "IP:127.0.0.1"), ("there", "DNS:toloka.example")):
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            f"-keyout {name}.key -out {name}.pem -subj /CN={name} "
            f"-addext subjectAltName={alternative}"
        )
        subprocess.run(command.split(), check=True, capture_output=True, cwd=folder)
    return folder


def speaking_tls(folder: Path, name: str) -> Callable[[socket.socket], None]:
    """Answer requests in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            while receive_request(secure):
                secure.sendall(EMPTY_LIST)

    return talk


def test_a_certificate_that_is_not_trusted_is_named_at_once_with_what_helps(
    certificates: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(speaking_tls(certificates, "here")) as (port, connections):
        line = error_of(f"https://127.0.0.1:{port}")
        assert "The certificate of 127.0.0.1 is not accepted: self" in line
        assert "set REQUESTS_CA_BUNDLE to a file" in line
        assert len(connections) == 1
        assert waits == []
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(certificates / "here.pem"))
                assert get(f"https://127.0.0.1:{port}") == []


def test_a_certificate_of_another_host_is_named_at_once(
    certificates: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "there.pem"))
    with raw_server(speaking_tls(certificates, "there")) as (port, connections):
        line = error_of(f"https://127.0.0.1:{port}")
        assert "127.0.0.1" in line
        assert line.endswith("Check the address")
        assert len(connections) == 1
    assert waits == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_certificates_that_is_none_is_named_with_its_variable(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    line = error_of("https://toloka.example")
    assert line.startswith(f"{variable} does not name a file of certificates")
    assert str(file) in line


def test_a_server_that_speaks_no_tls_is_named_at_once(waits: list[float]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(talk) as (port, connections):
        assert "127.0.0.1 does not answer with TLS" in error_of(f"https://127.0.0.1:{port}")
        assert len(connections) == 1
    assert waits == []


# Hosts and proxies


@pytest.mark.parametrize("host", ["exa mple", "a..b", "x" * 64, "127.0.0.1:x"])
def test_an_address_that_is_none_is_named_at_once(host: str, waits: list[float]) -> None:
    assert error_of(f"https://{host}").startswith("`api_url` is not a valid URL: ")
    assert waits == []


def unknown_names(monkeypatch: pytest.MonkeyPatch, code: int) -> list[str]:
    """Let no name be known, and return those that are looked up."""
    names: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        names.append(host)
        raise socket.gaierror(code, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def test_a_name_that_does_not_exist_is_named_at_once(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = unknown_names(monkeypatch, socket.EAI_NONAME)
    assert "Host toloka.example not found" in error_of("https://toloka.example")
    assert names == ["toloka.example"]
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    line = error_of("https://toloka.example")
    assert "Host proxy proxy.example in HTTPS_PROXY not found" in line
    assert names == ["toloka.example", "proxy.example"]
    assert waits == []


@pytest.mark.usefixtures("waits")
def test_a_name_that_is_not_known_for_a_while_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server(sending(EMPTY_LIST)) as (port, _):
        api = api_at(f"http://127.0.0.1:{port}")
        assert api.get("/v1/pools", {}, json.loads) == []
        names = unknown_names(monkeypatch, socket.EAI_NONAME)
        with pytest.raises(TolokaError, match="giving up after 3 attempts"):
            api.get("/v1/pools", {}, json.loads)
    assert names == ["127.0.0.1"] * 3
    names = unknown_names(monkeypatch, socket.EAI_AGAIN)
    assert "giving up after 3 attempts" in error_of("https://toloka.example")
    assert names == ["toloka.example"] * 3


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("foo://me:SECRET@x", "is not an address like http://host:port"),
        ("http://me:SECRET@127.0.0.1:x", "is not an address like http://host:port"),
        ("https://me:SECRET@exa mple", "is not an address like http://host:port"),
        ("http://", "is not an address like http://host:port"),
        ("http://me:SECRET@a..b:1", "is not an address like http://host:port"),
        ("socks5://me:SECRET@127.0.0.1:1", "needs the package `requests[socks]`"),
    ],
)
def test_a_proxy_that_is_none_is_named_at_once_with_its_variable(
    variable: str, proxy: str, said: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy)
    line = error_of("https://toloka.example")
    assert f" in {variable} {said}" in line
    assert "SECRET" not in line
    assert waits == []


@pytest.mark.parametrize(
    ("answer", "said", "tries"),
    [
        (b"HTTP/1.1 407 Who are you?\r\n\r\n", "407 Who are you?. It requires auth", 1),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses the connection: 403 Forbidden", 1),
        (b"HTTP/1.1 429 Slow down\r\n\r\n", "429 Slow down; giving up", 3),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502 Bad Gateway; giving up", 3),
        (b"", "giving up", 3),
    ],
    ids=str,
)
def test_what_a_proxy_answers_is_named_as_its_answer(
    answer: bytes, said: str, tries: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(sending(answer)) as (port, connections):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:SECRET@127.0.0.1:{port}")
        line = error_of("https://toloka.example")
        assert "proxy 127.0.0.1 in HTTPS_PROXY" in line
        assert said in line
        assert "SECRET" not in line
        assert len(connections) == tries
    assert len(waits) == tries - 1


def test_a_proxy_that_cannot_be_reached_is_named(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{unused.getsockname()[1]}")
        line = error_of("https://toloka.example")
    assert "Request to proxy 127.0.0.1 in HTTPS_PROXY failed" in line
    assert "Connection refused" in line
    assert len(waits) == 2


@pytest.mark.parametrize("url", ["https://toloka.example", "HTTPS://TOLOKA.Example/"])
def test_the_proxy_is_used_however_the_address_is_written(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def talk(connection: socket.socket) -> None:
        asked.append(receive_request(connection).split(b"\r\n")[0])
        connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

    with raw_server(talk) as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error_of(url)
        assert [line.rpartition(b" ")[0] for line in asked] == [b"CONNECT toloka.example:443"]
        monkeypatch.setenv("NO_PROXY", "toloka.example")
        unknown_names(monkeypatch, socket.EAI_NONAME)
        assert "Host toloka.example not found" in error_of(url)
        assert len(asked) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "HTTP://LOCALHOST:{}"])
def test_no_proxy_is_used_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with raw_server(sending(EMPTY_LIST)) as (port, _):
        assert get(url.format(port)) == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [(9, "Check the clock"), (10, "Check the clock"), (18, "REQUESTS_CA_BUNDLE")],
)
def test_why_a_certificate_is_not_accepted_says_what_may_help(code: int, advice: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "it is wrong"
    line = connection._wrong_certificate("toloka.example", error)
    assert "The certificate of toloka.example is not accepted: it is wrong. " in line
    assert advice in line
