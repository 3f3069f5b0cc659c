"""Messages between the requester and Tolokers."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Choices, DateRange, Filters, IdRange

_FOLDERS = ("AUTOMATIC_NOTIFICATION", "IMPORTANT", "INBOX", "OUTBOX", "UNREAD")


class MessageThreads(TolokaStream):
    """Threads of messages."""

    name = "message_threads"
    path = "/v1/message-threads"
    page_cap = 300
    changes_without_date = True
    filters = Filters(
        folder=Choices(*_FOLDERS, changing=True),
        folder_ne=Choices(*_FOLDERS, changing=True),
        id=IdRange(str),
        created=DateRange(),
    )
