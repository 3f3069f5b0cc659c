"""Dates of Toloka, in the canonical form that this tap compares, prints and keeps.

That form is `YYYY-MM-DDThh:mm:ss.sssZ`: always UTC, always three digits of fraction, so that the
order of texts is the order of time (the SDK compares bookmarks as texts).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec

_FILLED_UP = {len("2016-03-24"): "T00:00:00", len("2016-03-24T12:38"): ":00"}
_WHOLE = len("2016-03-24T12:38:07")
_CANONICAL = len("2016-03-24T12:38:07.654")
_LONGEST = 100  # characters of what is no date in a message


def canonical(text: str) -> str:
    """Bring a date that Toloka printed, or that a person wrote, into the canonical form.

    Toloka prints UTC without a zone and cuts the fraction short, or leaves out fraction and
    seconds: `…:07.654`, `…:07.6`, `…:07`, `2020-09-01T13:00` (openapi, examples). People also
    write a zone, or a day alone. What has no zone is UTC; digits past the millisecond are cut.

    Raises:
        ValueError: If the text is no date.
    """
    filled_up = text + _FILLED_UP.get(len(text), "")
    try:
        # msgspec takes RFC 3339 and no other form, with or without a zone, and is the fastest.
        moment = msgspec.convert(filled_up, datetime)
    except msgspec.ValidationError:
        msg = f"{text[:_LONGEST]!r} is not a date"
        raise ValueError(msg) from None
    if moment.tzinfo is None and len(filled_up) <= _CANONICAL and filled_up[10] == "T":
        # Nearly all come this way: what is missing of the fraction is filled up.
        return (filled_up if len(filled_up) > _WHOLE else filled_up + ".").ljust(
            _CANONICAL, "0"
        ) + "Z"
    try:
        return from_datetime(moment)
    except OverflowError:  # the end of time, in a zone where it comes later
        msg = f"{text[:_LONGEST]!r} is not a date that there is in UTC"
        raise ValueError(msg) from None


def from_datetime(moment: datetime) -> str:
    """Print a point in time in the canonical form; without a zone it is UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def for_query(date: str) -> str:
    """Print a date of the canonical form as Toloka's filters take it: without a zone (openapi)."""
    return date.removesuffix("Z")


def shifted(date: str, *, days: int = 0, seconds: int = 0) -> str:
    """Go so far ahead of a date of the canonical form, or back, as far as there are dates."""
    try:
        return from_datetime(
            msgspec.convert(date, datetime) + timedelta(days=days, seconds=seconds)
        )
    except OverflowError:
        return from_datetime(datetime.min if days < 0 else datetime.max)  # noqa: DTZ901  # as UTC
