"""Dates of Toloka, in the canonical form that this tap compares, prints and keeps.

That form is `YYYY-MM-DDThh:mm:ss.sssZ`: always UTC, always three digits of fraction, so that the
order of texts is the order of time (the SDK compares bookmarks as texts).
"""

from __future__ import annotations

import email.utils
import re
from datetime import datetime, timedelta, timezone

import msgspec

from tap_toloka.hiding import shortened

_FILLED_UP = {len("2016-03-24"): "T00:00:00", len("2016-03-24T12:38"): ":00"}
_WHOLE = len("2016-03-24T12:38:07")
_CANONICAL = len("2016-03-24T12:38:07.654")
_FINER = re.compile(r"(\.\d{3})\d+", re.ASCII)  # than a millisecond

_ISO = re.compile(
    r"(?P<year>\d{4})(?P<dash>[-/]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_RFC_2822 = re.compile(
    r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|UTC|UT|[+-]\d{4})",
    re.ASCII,
)


def canonical(text: str) -> str:
    """Bring a date that Toloka printed, or that a person wrote, into the canonical form.

    Toloka prints UTC without a zone and cuts the fraction short, or leaves out fraction and
    seconds: `…:07.654`, `…:07.6`, `…:07`, `2020-09-01T13:00` (openapi, examples). People also
    write a zone, or a day alone. What has no zone is UTC; digits past the millisecond are cut.

    Raises:
        ValueError: If the text is no date.
    """
    filled_up = text + _FILLED_UP.get(len(text), "")
    if len(text) > _CANONICAL:  # msgspec rounds what is finer than a microsecond
        filled_up = _FINER.sub(r"\1", text, count=1)
    try:
        # msgspec takes RFC 3339 and no other form, with or without a zone, and is the fastest.
        moment = msgspec.convert(filled_up, datetime)
    except msgspec.ValidationError:
        msg = f"{shortened(text)!r} is not a date"
        raise ValueError(msg) from None
    if moment.tzinfo is None and len(filled_up) <= _CANONICAL and filled_up[10] == "T":
        # Nearly all come this way: what is missing of the fraction is filled up.
        return (filled_up if len(filled_up) > _WHOLE else filled_up + ".").ljust(
            _CANONICAL, "0"
        ) + "Z"
    try:
        return from_datetime(moment)
    except OverflowError:  # the end of time, in a zone where it comes later
        msg = f"{shortened(text)!r} is not a date that there is in UTC"
        raise ValueError(msg) from None


def from_other_forms(text: str) -> str:
    """Bring a date into the canonical form that `canonical` does not know, if it has one meaning.

    That is ISO 8601 as others write it (`20160324T123807Z`, `2016-03-24 12:38:07,654 +0300`), and
    RFC 2822 (`Thu, 24 Mar 2016 12:38:07 GMT`). Not so `03/04/2016`, what is only digits, as they
    may count seconds or milliseconds, or `2016-03-24-05`: a zone without a time, or a time.

    Raises:
        ValueError: If the text is no such date.
    """
    try:
        if _RFC_2822.fullmatch(text):
            moment = email.utils.parsedate_to_datetime(text)
            if text[0].isdigit() or email.utils.format_datetime(moment).startswith(text[:3]):
                return from_datetime(moment)
        if (found := _ISO.fullmatch(text)) and not text.isdecimal():
            return _from_parts(found.groupdict(default=""))
    except (TypeError, OverflowError):  # Python raises these for some dates that there are not
        pass
    msg = f"{shortened(text)!r} is not a date"
    raise ValueError(msg)


def _from_parts(parts: dict[str, str]) -> str:
    zone = parts["zone"]
    if zone.startswith(("+", "-")):
        zone = f"{zone[:3]}:{zone[3:].removeprefix(':') or '00'}"
    else:
        zone = "Z"
    time = ":".join(parts[name] or "00" for name in ("hour", "minute", "second"))
    day = f"{parts['year']}-{parts['month']}-{parts['day']}"
    return canonical(f"{day}T{time}.{parts['fraction'][:3] or '0'}{zone}")


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
