"""Settings in environment variables, which `--config=ENV` reads."""

from __future__ import annotations

import difflib
import typing as t

from tap_toloka import files
from tap_toloka.hiding import shortened

if t.TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TAP_TOLOKA_"
"""What the variables begin with."""

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_NO_SETTINGS = ("LOGLEVEL",)  # the SDK's


def settings_in(
    environment: Mapping[str, str], schema: Mapping[str, t.Any]
) -> tuple[dict[str, t.Any], list[str]]:
    """Return the settings that variables hold, and what is wrong with others, one line each.

    The SDK takes any text for a boolean, and fails with a traceback on other values that do not
    fit. A blank variable is a setting that is not there.

    Args:
        environment: The variables.
        schema: The JSON Schema of the settings, those that the SDK adds included.
    """
    settings, problems = {}, []
    for name, setting in schema["properties"].items():
        variable = PREFIX + name.upper()
        if not (text := environment.get(variable, "")).strip():
            continue
        kinds = {setting["type"]} if isinstance(setting["type"], str) else {*setting["type"]}
        try:
            settings[name] = _value(text, kinds)
        except ValueError as error:
            problems.append(f"{variable}: {shortened(repr(text))} is not {error}")
    return settings, problems


def unknown(environment: Mapping[str, str], schema: Mapping[str, t.Any]) -> list[str]:
    """Return the variables that look like settings and are none, with what may be meant.

    What begins with `TAP_TOLOKA__` is Meltano's: extras such as `TAP_TOLOKA__SELECT`, and settings
    of plugins that inherit from this one.
    """
    known = [PREFIX + name.upper() for name in (*schema["properties"], *_NO_SETTINGS)]
    found = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX)
        and not name.startswith(f"{PREFIX}_")
        and name not in known
    )
    similar = {name: difflib.get_close_matches(name.upper(), known, n=1) for name in found}
    return [
        f"{name} (did you mean {close[0]}?)" if close else name for name, close in similar.items()
    ]


def _value(text: str, kinds: set[str]) -> t.Any:  # noqa: ANN401  # a value of JSON
    """Return the value that the text of a variable stands for.

    Raises:
        ValueError: If it stands for none, with what it should be.
    """
    if "boolean" in kinds:
        if (value := _BOOLEANS.get(text.strip().lower())) is None:
            msg = "true or false"
            raise ValueError(msg)
        return value
    if "integer" in kinds:
        try:
            return int(text)
        except ValueError:
            msg = "an integer"
            raise ValueError(msg) from None
    if "array" in kinds and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    if kinds & {"array", "object"}:
        return _json(text, *((list, "array") if "array" in kinds else (dict, "object")))
    return text


def _json(text: str, kind: type, name: str) -> t.Any:  # noqa: ANN401  # a value of JSON
    try:
        if isinstance(value := files.parsed(text.encode()), kind):
            return value
    except ValueError:
        pass
    msg = f"a JSON {name}"
    raise ValueError(msg)
