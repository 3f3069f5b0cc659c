"""JSON that a user gives: the files of config, catalog and state, and variables that hold JSON.

Whatever such a file holds, it is an object or an error in one line.
"""

from __future__ import annotations

import json
import sys
import typing as t
from decimal import Decimal, InvalidOperation
from pathlib import Path

import simplejson
from simplejson import JSONDecodeError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_LEVELS = 100
"""A catalog has about 20. What works with deeper values often does so by recursion."""
_TOO_DEEP = f"it is nested more than {_MOST_LEVELS} levels deep"
_MOST_DIGITS = 1000
"""Python takes no integer of more than 4,300 digits."""


def read(option: str, name: str) -> dict[str, t.Any]:
    """Return the object that a file holds.

    Args:
        option: The option that it was given with, as `config`.
        name: The name of the file; `-` is standard input.

    Raises:
        ValueError: If it cannot be read, or does not hold an object.
    """
    try:
        data = Path(name).read_bytes() if name != "-" or not sys.stdin else sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a file"
        # What is not a file may be what should be in the file, or the token.
        if set(name) & set('{["\n'):
            msg = f"--{option} takes the name of a file, not the JSON itself"
        elif name.endswith(".json") or isinstance(error, (IsADirectoryError, PermissionError)):
            msg = f"{name}: {reason}"
        else:
            msg = f"the file given as --{option}: {reason}"
        raise ValueError(msg) from None
    try:
        value = parsed(data)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from None
    if not isinstance(value, dict):
        msg = f"{name}: it does not hold a JSON object"
        raise ValueError(msg)  # noqa: TRY004  # callers turn it into one line
    return value


def parsed(data: bytes) -> t.Any:  # noqa: ANN401  # any JSON
    """Return the value of a JSON document; numbers with a fraction as `Decimal`.

    Args:
        data: The document, in UTF-8, or in UTF-16 or UTF-32 as Windows writes it.

    Raises:
        ValueError: If it is not JSON, or JSON of which later steps could make nothing. The text
            repeats no value.
    """
    if not data.strip():
        msg = "it is empty"
        raise ValueError(msg)
    try:
        text = data.decode(json.detect_encoding(data))
        value = simplejson.loads(
            text, parse_float=_decimal, parse_int=_integer, object_pairs_hook=_object
        )
    except UnicodeDecodeError:
        msg = "it is not UTF-8, UTF-16 or UTF-32"
        raise ValueError(msg) from None
    except JSONDecodeError as error:
        msg = f"invalid JSON: {error}"
        raise ValueError(msg) from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _is_deeper_than(_MOST_LEVELS, value):
        raise ValueError(_TOO_DEEP)
    try:
        simplejson.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        msg = "it contains an unpaired surrogate, such as \\ud83d"
        raise ValueError(msg) from None
    return value


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        msg = f"it holds a number of more than {_MOST_DIGITS} digits"
        raise ValueError(msg)
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        msg = "it holds a number that is out of range"
        raise ValueError(msg) from None


def _object(pairs: Sequence[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"an object has the key {twice!r} twice"
        raise ValueError(msg)
    return found


def _is_deeper_than(most: int, value: object) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
