"""`python -m scripts.release TAG`: print the notes of a release, or say why the tag is not one.

The tag must be `v` and the version in pyproject.toml, and CHANGELOG.md must begin with the section
of that version, with a date. GitHub runs this before anything is installed: standard library only.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = dict(re.findall(r'(?m)^(\w+) = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8")))
"""The plain strings of pyproject.toml, such as `version` and `Repository`."""


class ReleaseError(Exception):
    """This cannot be released; the message says what to fix."""


def notes(tag: str, version: str, changelog: str) -> str:
    """Return the section of a release, with relative links made absolute.

    Args:
        tag: The tag of the release.
        version: The version of the package.
        changelog: The text of CHANGELOG.md.

    Raises:
        ReleaseError: If they do not agree, or the section has no date.
    """
    if tag != f"v{version}":
        msg = f"The tag is {tag}, but pyproject.toml has version {version}: tag v{version}"
        raise ReleaseError(msg)
    _, title, section = re.split(r"(?m)^## (.+)\n", changelog, maxsplit=2)[:3]
    newest, _, released = title.partition(" — ")
    if newest != version:
        msg = f"CHANGELOG.md begins with {newest}: add a section `## {version} — YYYY-MM-DD`"
        raise ReleaseError(msg)
    try:
        date.fromisoformat(released)
    except ValueError:
        msg = f"Replace `{released}` by the date in CHANGELOG.md: `## {version} — YYYY-MM-DD`"
        raise ReleaseError(msg) from None
    return re.sub(r"\]\((?!https://)", f"]({PROJECT['Repository']}/blob/{tag}/", section.strip())


def main() -> None:
    """Print the notes of the tag that is the only argument."""
    (tag,) = sys.argv[1:]
    try:
        text = notes(tag, PROJECT["version"], (ROOT / "CHANGELOG.md").read_text("utf-8"))
    except ReleaseError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(f"{text}\n".encode())


if __name__ == "__main__":
    main()
