"""Stream maps: what is wrong with them, before and while rows go through them.

The SDK evaluates them. What is wrong is an error of any kind there, at any time.
"""

from __future__ import annotations

import ast
import contextlib
import traceback
import typing as t
from fnmatch import fnmatch

from singer_sdk.exceptions import ConfigurationError, MapExpressionError
from singer_sdk.mapper import NULL_STRING, CustomStreamMap

from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


def problems(stream_maps: Mapping[str, t.Any], streams: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the setting `stream_maps`, one line each.

    Args:
        stream_maps: The setting.
        streams: The names of all streams.
    """
    for name, stream_map in stream_maps.items():
        where = f"stream_maps.{name}"
        if name == "__else__":
            if stream_map not in (None, NULL_STRING):
                yield f"{where}: it can be {NULL_STRING!r} or null"
        elif isinstance(stream_map, dict):
            source = stream_map.get("__source__", name)
            if not isinstance(source, str) or not any(fnmatch(one, source) for one in streams):
                yield f"{where}: there is no stream {source!r}; valid are {', '.join(streams)}"
            for key, value in stream_map.items():
                if wrong := _problem_with(key, value):
                    yield f"{where}.{key}: {wrong}"
        elif stream_map not in (None, NULL_STRING):
            yield f"{where}: it is not an object, {NULL_STRING!r} or null"


def _problem_with(key: str, value: object) -> str | None:
    """Tell what is wrong with one entry of the map of a stream, if anything."""
    if key == "__else__":
        return None if value in (None, NULL_STRING) else f"it can be {NULL_STRING!r} or null"
    if key == "__key_properties__":
        is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return None if value is None or is_list else "it must be a list of names or null"
    if key == "__source__":
        return None  # judged with all streams
    if key == "__alias__":
        return None if value and isinstance(value, str) else "it is not a name"
    if value in (None, NULL_STRING):
        return None
    return _problem_with_expression(value) if isinstance(value, str) else "it must be text or null"


def _problem_with_expression(text: str) -> str | None:
    shown = shortened(repr(text))
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        return f"{shown} is not an expression: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:  # NUL, or nested too deeply
        return f"{shown} is not an expression: {error}"
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        return f"{shown} is not an expression"
    return None


@contextlib.contextmanager
def failing_at_the_start(config: Mapping[str, t.Any]) -> Iterator[None]:
    """Turn what the SDK raises when it sets up maps and flattening into an error of one line.

    Raises:
        ConfigurationError: In place of an error that is not one of the SDK's own.
    """
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        if not (config.get("stream_maps") or config.get("flattening_enabled")):
            raise
        msg = f"The stream maps or the flattening cannot be set up: {_in_words(error)}"
        raise ConfigurationError(msg) from error


def why_failed(error: Exception) -> str:
    """Put an error that a stream map or flattening raised into words, with the expression."""
    cause = error.__cause__ if isinstance(error, MapExpressionError) else error
    return _in_words(cause or error) + _expression_in(error)


def _expression_in(error: Exception) -> str:
    """Return which expression was evaluated when an error was raised, if any was."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is CustomStreamMap._eval.__code__:  # noqa: SLF001  # only to name it
            field = frame.f_locals["property_name"] or "__filter__"
            return f" (in {field!r}: {shortened(repr(frame.f_locals['expr']))})"
    return ""


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
