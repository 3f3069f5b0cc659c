"""The page of the docs that the results go to: prose with sections that are written anew."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from benchmarks.peer import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.peer import Peer

PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "benchmarks.svg"


def has(section: str) -> bool:
    """Tell whether the page has a section."""
    return f"<!-- {section} -->" in PAGE.read_text()


def write(section: str, text: str) -> None:
    """Put a text between `<!-- SECTION -->` and `<!-- end of SECTION -->`."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    pattern = re.compile(f"({re.escape(begin)}).*({re.escape(end)})", re.DOTALL)
    page = pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", PAGE.read_text())
    PAGE.write_text(page)


def circumstances(command: str, peers: Iterable[Peer]) -> str:
    """Tell when and on what something was measured, of which versions, and by which command."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    versions: dict[str, str] = {}  # of each environment
    for peer in peers:
        versions.setdefault(peer.folder, f"- {peer.title}: {', '.join(peer.packages)}")
    return "\n".join(
        [
            f"{datetime.now(timezone.utc):%Y-%m-%d}, {machine}; `{command}`. Versions:",
            "",
            *versions.values(),
        ]
    )
