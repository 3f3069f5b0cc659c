"""Dates in the forms of Toloka, made comparable."""

from __future__ import annotations

import re
from datetime import datetime

# The hour 24 is ruled out here, as Python takes it for midnight from 3.14 on.
# openapi: "Parameters with a date", and the bare date in the examples of GET /pools.
IN_FILTER = re.compile(r"[0-9-]{10}(T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?)?")
# openapi, examples: as printed, the fraction is cut short or absent, as are the seconds of some;
# `created` of a webhook subscription has a Z.
IN_ROW = re.compile(r"[0-9-]{10}T(?!24)[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?Z?")

_ZERO = "0000-00-00T00:00:00.000000"


def instant(date: str, form: re.Pattern[str]) -> str:
    """Fill a date up with zeros, so that the order of texts is that of time.

    Raises:
        ValueError: The date is not of this form, or there is no such day or time.
    """
    if not form.fullmatch(date):
        msg = f"not a date in UTC in the form that Toloka has here: {date!r}"
        raise ValueError(msg)
    date = date.removesuffix("Z")
    full = date + _ZERO[len(date) :]
    datetime.fromisoformat(full)
    return full
