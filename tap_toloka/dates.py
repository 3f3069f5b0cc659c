"""Dates of Toloka, in the one form that this tap compares, prints and keeps.

That form is `YYYY-MM-DDThh:mm:ss.sssZ`: always UTC, always three digits of fraction, so that the
order of texts is the order of time (the SDK compares bookmarks as texts).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec

_PLAIN = len("2016-03-24T12:38:07.654")


def canonical(text: str) -> str:
    """Bring a date that Toloka printed, or that a person wrote, into the one form.

    Toloka prints UTC without a zone and cuts the fraction short, or leaves out fraction and
    seconds: `…:07.654`, `…:07.6`, `…:07`, `2020-09-01T13:00` (openapi, examples). People also
    write a zone, or a day alone. What has no zone is UTC; digits past the millisecond are cut.

    Raises:
        ValueError: If the text is no date.
    """
    moment = _moment(text)
    if len(text) == _PLAIN and moment.tzinfo is None and text[10] == "T":
        return text + "Z"  # how nearly all of them come; the rest of this function is slower
    return from_datetime(moment)


def from_datetime(moment: datetime) -> str:
    """Print a point in time in the one form; without a zone it is UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def for_query(date: str) -> str:
    """Print a date of the one form as Toloka's filters take it: without a zone (openapi)."""
    return date.removesuffix("Z")


def days_before(date: str, days: int) -> str:
    """Go back from a date of the one form by whole days, at most to the year 1."""
    try:
        return from_datetime(_moment(date) - timedelta(days=days))
    except OverflowError:
        return from_datetime(datetime.min)  # noqa: DTZ901  # from_datetime takes it as UTC


def _moment(text: str) -> datetime:
    # msgspec takes RFC 3339 and no other form, with or without a zone, and is the fastest at it.
    # It wants seconds, so the two shorter forms are filled up.
    for rest in ("", ":00", "T00:00:00"):
        try:
            return msgspec.convert(text + rest, datetime)
        except msgspec.ValidationError:
            continue
    msg = f"{text!r} is not a date"
    raise ValueError(msg)
