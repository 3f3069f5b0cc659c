"""`python -m scripts.release TAG`: print the notes of a release, or say why the tag is not one.

The tag is `v` and the version of pyproject.toml, and CHANGELOG.md begins with the section of that
version, which has a date. GitHub runs this before it installs anything: standard library only.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = dict(re.findall(r'(?m)^(\w+) = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8")))
"""What pyproject.toml says in plain texts, as `version` and `Repository`."""


class ReleaseError(Exception):
    """This cannot be released; the message says what to mend."""


def notes(tag: str, version: str, changelog: str) -> str:
    """Return the section of a release, with links that lead into the repository from anywhere.

    Args:
        tag: What the release is tagged with.
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
