"""What workers of pytest share: it is made once, by the first that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def made_once(folder: Path, name: str, make: Callable[[], str]) -> str:
    """Make something unless another worker has; wait for the one that is about to.

    Args:
        folder: The folder that workers share.
        name: What this is, as a name of a file.
        make: Makes it, and returns what other workers have to know of it.

    Returns:
        What `make` returned, here or in another worker.
    """
    made = folder / f"{name}.made"
    with FileLock(folder / f"{name}.lock"):
        if not made.exists():
            made.write_text(make())
    return made.read_text()
