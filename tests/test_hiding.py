"""No form of a secret, and nothing that a terminal obeys, gets into a log."""

from __future__ import annotations

import html
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tap_toloka import dates, hiding
from tap_toloka.errors import UnusableError
from tap_toloka.streams.pools import Pools
from tests.bare_server import bare_server
from tests.runner import run_process

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "ab\"c'd\\e\\\\f/g%h&i<j+k"
PARTS = ("ab\\", 'ab"', "e\\", "f/", "g%", "h&", "i<", "j+")

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON with all escaped": lambda text: "".join(f"\\u{ord(char):04X}" for char in text),
    "Python": repr,
    "Python in JSON": lambda text: json.dumps(repr(text)),
    "bytes of Python": lambda text: repr(text.encode()),
    "a path": quote,
    "a parameter": lambda text: quote(text, safe=""),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
}


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """Hide a token in this test."""
    monkeypatch.setattr(hiding, "_secrets", {})
    hiding.hide(TOKEN)
    return TOKEN


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_however_it_is_escaped(secret: str, form: str) -> None:
    safe = hiding.safe(f"before {FORMS[form](secret)} after")
    assert "***" in safe
    left = safe.replace("***", "").translate(dict.fromkeys(map(ord, "\"'\\")))
    assert left in {"before  after", "before b after"}, "quotes, and the letter of bytes"


def test_what_is_no_secret_stays(secret: str) -> None:
    assert hiding.safe(secret[:-1]) == secret[:-1]
    assert hiding.safe("a line, 5 % of all") == "a line, 5 % of all"


def test_a_secret_is_hidden_before_a_text_is_cut(secret: str) -> None:
    assert hiding.shortened(f"12345{secret}", length=8) == "12345***"
    assert hiding.shortened("1234567890", length=8) == "12345 … 90"


@pytest.mark.usefixtures("secret")
def test_a_terminal_is_given_no_commands() -> None:
    assert hiding.safe("\x1b[31mred\x07\r\x9b\u202e") == r"\x1b[31mred\x07\r\x9b\u202e"
    assert hiding.safe("lines\n\tstay, é too") == "lines\n\tstay, é too"


def test_an_answer_that_repeats_the_token_does_not_show_it() -> None:
    body = {"code": "X", "message": f"\x1b[31m{TOKEN}", "payload": {"sent": json.dumps([TOKEN])}}
    with bare_server(lambda _: (400, json.dumps(body).encode())) as (url, _):
        config = {"token": TOKEN, "api_url": url}
        run = run_process(config=config, env={"TAP_TOLOKA_LOGLEVEL": "DEBUG"})
    assert run.status == 1
    assert "***" in run.failure
    assert "ab\\" not in run.log
    assert 'ab"' not in run.log
    assert "\x1b" not in run.log


@pytest.mark.parametrize("before", [0, 30, 35, 50, 60, 80, 90, 570, 590, 1_000])
@pytest.mark.parametrize(
    "row",
    [
        '{"id": "1", "priority": "%s"}',
        '{"id": "1", "created": "%s"}',
        '{"id": "1", "private_name": ["%s", 1]}',
        '{"id": "1", "metadata": {"%s": [1e131072]}}',
        '{"id": "1", "%s": 1}',
        '{"id": "%s", "priority": []}',
        '{"id": "\\u0001%s", "priority": []}',
        '{"id": ["%s"]}',
    ],
)
def test_no_part_of_a_secret_is_left_where_a_value_is_cut(
    secret: str, caplog: pytest.LogCaptureFixture, row: str, before: int
) -> None:
    body = row % json.dumps(f"{'-' * before}{secret}{'-' * before}")[1:-1]
    reader = Pools.reader(Pools.known_properties(), logging.getLogger("test"), on_misfit="keep")
    lines = []
    try:
        reader.read(b'{"items": [%b], "has_more": false}' % body.encode())
    except UnusableError as error:
        lines.append(str(error))
    lines += caplog.messages
    assert lines
    for line in lines:
        assert len(line) < 600
        assert not [part for part in PARTS if part in line]


def test_no_part_of_a_secret_is_left_of_what_is_no_date(secret: str) -> None:
    for text in ("-" * 90 + secret, secret + "-" * 90):
        with pytest.raises(ValueError, match=r"\*\*\*") as caught:
            dates.canonical(text)
        assert not [part for part in PARTS if part in str(caught.value)]
