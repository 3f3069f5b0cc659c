"""Text for a log: without secrets, and harmless for a terminal."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

LONGEST_SHOWN = 100
"""Characters of a value in an error."""

_SHORTEST_SECRET = 6
"""Characters. Shorter ones are no keys of Toloka's, and would be found in any word."""

_secrets: dict[str, re.Pattern[str]] = {}


def hide(secret: object) -> None:
    """Show `***` instead of a secret from here on, however its characters are escaped."""
    text = str(secret or "")
    if len(text) >= _SHORTEST_SECRET and text not in _secrets:
        _secrets[text] = re.compile("".join(map(_in_any_form, text)))


def safe(text: str) -> str:
    """Return a text without secrets, and without characters that a terminal would obey."""
    for pattern in _secrets.values():
        text = pattern.sub("***", text)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
        for character in text
    )


def shortened(text: str, length: int = LONGEST_SHOWN) -> str:
    """Leave out the middle of a text that is too long for a line.

    Secrets are hidden before, as half of one would not be recognized later.
    """
    text = safe(text)
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3]} … {text[-(length // 3) :]}"


def _in_any_form(character: str) -> str:
    r"""Return a pattern of a character as text, JSON, Python, a URL or HTML may hold it.

    What is escaped in JSON within JSON has several backslashes: no more than 8, so that long runs
    of them take no time.
    """
    code = ord(character)
    plain = re.escape(character)
    hexadecimal = rf"(?i:u{code:04x}|x{code:02x})"
    others = {quote(character, safe="", errors="replace"), html.escape(character)} - {character}
    entity = rf"&#(?i:{code}|x{code:x});"
    forms = [rf"\\{{0,8}}(?:{plain}|{hexadecimal})", entity, *map(re.escape, sorted(others))]
    return f"(?:{'|'.join(forms)})"
