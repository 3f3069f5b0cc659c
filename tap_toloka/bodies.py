"""Bodies of answers before they are decoded: what JSON allows and no target can store."""

from __future__ import annotations

import codecs
import re
import typing as t
from bisect import bisect_left

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PIECE = 2**16  # bytes

contains_nul = re.compile(rb"\\u0000").search  # several times faster than `bytes.find`
"""Finds what may be a NUL in a body: an escaped backslash can also come before `u0000`."""

# Each match is one escape sequence or one valid surrogate pair, so a backslash that is itself
# escaped never begins a match. The groups are what is replaced.
_ESCAPES = re.compile(
    rb"\\(?:"
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<nul>u0000)"
    rb"|(?P<surrogate>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
_KINDS = {"nul": "NUL", "surrogate": "unpaired surrogate"}
_INVALID = re.compile("[\udc80-\udcff]+")  # bytes that `surrogateescape` could not decode
_REPLACEMENT = rb"\ufffd"
REPLACED = (_REPLACEMENT, "\ufffd".encode())
"""What U+FFFD looks like in a repaired body."""

DEEP = b'"\\u0000'
"""How a text begins that stands for a value. In a repaired body there is no other NUL."""

_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class Replaced(t.NamedTuple):
    """A character that was replaced by U+FFFD.

    Attributes:
        place: Where U+FFFD is, in bytes of the repaired body.
        what: What was there: `NUL`, `unpaired surrogate` or `invalid UTF-8`.
    """

    place: int
    what: str


def check_utf_8(body: bytes) -> None:
    """Raise if a body is not UTF-8: msgspec does not look into what it leaves as it came.

    A piece at a time: a whole page as text takes four times its room if one emoji is in it.

    Raises:
        UnicodeDecodeError: If it is not.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(body), _PIECE):
        decode(body[start : start + _PIECE])
    decode(b"", final=True)


def repaired(body: bytes) -> tuple[bytes, list[Replaced]]:
    """Replace by U+FFFD whatever JSON's grammar allows in texts and keys and targets cannot store.

    That is NUL, which PostgreSQL has neither in `text` nor in `jsonb`, an unpaired surrogate, and
    bytes that are not UTF-8. A NUL is replaced rather than removed: target-postgres does the same
    to texts outside of objects, and two keys of an object rarely become one. A byte order mark at
    the start is removed.
    """
    body, found = _as_utf_8(body.removeprefix(codecs.BOM_UTF8))

    def replace(match: re.Match[bytes]) -> bytes:
        if match.lastgroup is None:
            return match[0]
        found.append(Replaced(match.start(), _KINDS[match.lastgroup]))
        return _REPLACEMENT  # as long as what it replaces: places stay where they are

    return _ESCAPES.sub(replace, body), sorted(found)


def pieces_with(
    replaced: Sequence[Replaced], body: bytes, pieces: Iterable[bytes]
) -> Iterator[tuple[bytes, set[str]]]:
    """Yield the pieces of a repaired body in which something was replaced, and what it was.

    Args:
        replaced: What was replaced, in the order of places.
        body: The repaired body.
        pieces: Parts of it, as rows, in their order.
    """
    places = [one.place for one in replaced]
    end = 0
    for piece in pieces:
        start = body.index(piece, end)
        end = start + len(piece)
        if kinds := {
            one.what for one in replaced[bisect_left(places, start) : bisect_left(places, end)]
        }:
            yield piece, kinds


def _as_utf_8(body: bytes) -> tuple[bytes, list[Replaced]]:
    try:
        check_utf_8(body)
    except UnicodeDecodeError:
        pass
    else:
        return body, []
    first, *others = _INVALID.split(body.decode(errors="surrogateescape"))
    result, found = bytearray(first.encode()), []
    for text in others:
        found.append(Replaced(len(result), "invalid UTF-8"))
        result += REPLACED[1] + text.encode()
    return bytes(result), found


def without_deep_values(body: bytes, level: int, most: int) -> tuple[bytes, list[bytes]]:
    """Replace values of rows that are nested too deeply for a decoder, which this is not for.

    Args:
        body: A repaired body.
        level: How many objects and arrays the rows are in.
        most: Levels that a row can have.

    Returns:
        The body, in which `DEEP`, a number and a quote stand for each of those values, and the
        values by that number.
    """
    result, deep = bytearray(), list[bytes]()
    depth = deepest = start = end = 0
    for token in _TOKENS.finditer(body):
        if token[0] in b"[{":
            if depth == level + 1:  # the value of a field begins
                start, deepest = token.start(), 0
            depth += 1
            deepest = max(deepest, depth - level)
        elif token[0] in b"]}":
            depth -= 1
            if depth == level + 1 and deepest > most:
                result += body[end:start] + DEEP + b'%d"' % len(deep)
                end = token.end()
                deep.append(body[start:end])
    return bytes(result + body[end:]), deep
