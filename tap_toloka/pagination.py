"""The cursor that every list of Toloka is read by."""

from __future__ import annotations

import sys
import typing as t
from functools import cache
from itertools import pairwise
from types import GenericAlias

import msgspec
from singer_sdk.exceptions import RetriableAPIError
from singer_sdk.pagination import BaseAPIPaginator

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tap_toloka.ids import Order


class BrokenAnswerError(RetriableAPIError):
    """Toloka answered 200 with something that is no page of the list; asking again may help."""


class _Row(t.Protocol):
    id: str


class _Page(t.Protocol):
    rows: list[_Row]
    has_more: bool


@cache
def _decoder(rows_in: str, id_field: str) -> Callable[[bytes], _Page]:
    row = msgspec.defstruct("row", [("id", str)], rename={"id": id_field})
    fields: list[t.Any] = [("rows", GenericAlias(list, row)), ("has_more", bool)]
    page = msgspec.defstruct("page", fields, rename={"rows": rows_in})
    return t.cast("Callable[[bytes], _Page]", msgspec.json.Decoder(page).decode)


class IdCursor(BaseAPIPaginator[str | None]):
    """Follows a list sorted by id: the next page begins after the last id of this one.

    The value is what goes out as `id_gt`, `None` for a list read from its beginning. `has_more`
    alone says when the list ends. A page that cannot be trusted raises and leaves the cursor
    where it was, so that the same page can be asked for again.

    Args:
        start: Where to begin: rows with a greater id are read.
        end: Where to end: the greatest id that is asked for, as `id_lte`; `None`: no such bound.
        order: What ids compare by. Those of pools are decimal numbers in text, `"999999"` comes
            before `"1000000"` (openapi, examples).
        id_field: The field that holds the id.
        rows_in: The field of an answer that holds the rows.
    """

    def __init__(
        self,
        start: str | None = None,
        end: str | None = None,
        *,
        order: Order = int,
        id_field: str = "id",
        rows_in: str = "items",
    ) -> None:
        super().__init__(start)
        self.end = end
        self.order = order
        self._list = {"id_field": id_field, "rows_in": rows_in}
        self._read: tuple[requests.Response, _Page] | None = None

    def part(self, start: str, end: str | None) -> IdCursor:
        """Return a cursor for another part of the same list."""
        return IdCursor(start, end, order=self.order, **self._list)

    @override
    def has_more(self, response: requests.Response) -> bool:
        """Tell what the page says of rows after it.

        Raises:
            BrokenAnswerError: If the answer is no page, promises more and brings no row, or
                brings an id that does not move forward.
        """
        return self._page(response).has_more

    @override
    def get_next(self, response: requests.Response) -> str:
        """Return the last id of the page.

        Raises:
            BrokenAnswerError: As `has_more` does.
        """
        return self._page(response).rows[-1].id

    @override
    def continue_if_empty(self, response: requests.Response) -> bool:
        """Let an empty page be judged like any other; the SDK would take it for the end."""
        return True

    def _page(self, response: requests.Response) -> _Page:
        # The SDK asks twice about one response; it is decoded and judged once.
        if self._read is None or self._read[0] is not response:
            self._read = (response, self._judged(response))
        return self._read[1]

    def _judged(self, response: requests.Response) -> _Page:
        try:
            page = _decoder(**self._list)(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"Toloka's answer is no page of a list: {error}"
            raise BrokenAnswerError(msg, response) from error
        if page.has_more and not page.rows:
            msg = "Toloka's answer promises more rows and brings none"
            raise BrokenAnswerError(msg, response)
        start = [] if self.current_value is None else [self.current_value]
        ids = [*start, *(row.id for row in page.rows)]
        try:
            order = [self.order(id_) for id_ in ids]
        except ValueError as error:
            msg = f"Toloka's answer holds an id that is no number: {error}"
            raise BrokenAnswerError(msg, response) from error
        for number, (one, other) in enumerate(pairwise(order)):
            if one >= other:
                msg = "Toloka's answer does not move forward: id {1!r} comes after {0!r}"
                raise BrokenAnswerError(msg.format(*ids[number:]), response)
        if page.rows and self.end is not None and order[-1] > self.order(self.end):
            msg = f"Toloka's answer goes too far: id {ids[-1]!r} comes after {self.end!r}"
            raise BrokenAnswerError(msg, response)
        return page


class OneAnswer(IdCursor):
    """Ends after one answer, for what Toloka does not give page by page."""

    @override
    def has_more(self, response: requests.Response) -> bool:
        return False
