"""Ids: how those of a list compare, and which lie between two others."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable

Order = t.Callable[[str], t.Any]
"""What ids compare by: `int` if they are decimal numbers in text, `str` if they are texts."""

_HEXADECIMAL = re.compile("[0-9a-f-]*[0-9a-f]")


@dataclass(frozen=True)
class Scale:
    """Numbers for ids, in the same order, to find ids between two others.

    Such an id need not exist: it only says where one part of a list ends and the next begins.
    """

    place: Callable[[str], int]
    """Returns the number for an id; raises `ValueError` if it is not written as the others are."""
    at: Callable[[int], str]
    """Returns the id for a number."""


_DECIMAL = Scale(int, str)


def scale_of(id_: str, order: Order) -> Scale | None:
    """Return the scale of the ids that are written as this one, if there is one.

    Numbers are their own scale. Texts have one if they are hexadecimal digits with hyphens at
    certain places: `000015fccc--63bfc4c358d7a46c32a7b233`, UUIDs, ObjectIds. In that form the
    order of texts is the order of the numbers.
    """
    if order is int:
        return _DECIMAL
    if not _HEXADECIMAL.fullmatch(id_):
        return None
    hyphens = [place for place, character in enumerate(id_) if character == "-"]
    digits = len(id_) - len(hyphens)

    def place(other: str) -> int:
        places = [n for n, character in enumerate(other) if character == "-"]
        if len(other) != len(id_) or places != hyphens or not _HEXADECIMAL.fullmatch(other):
            msg = f"{other!r} is not written as {id_!r} is"
            raise ValueError(msg)
        return int(other.replace("-", ""), 16)

    def at(number: int) -> str:
        text = f"{number:0{digits}x}"
        for hyphen in hyphens:
            text = f"{text[:hyphen]}-{text[hyphen:]}"
        return text

    return Scale(place, at)
