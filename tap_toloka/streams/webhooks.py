"""Subscriptions to events."""

from __future__ import annotations

from tap_toloka.client import TolokaStream
from tap_toloka.filters import Choice, DateRange, Filters, Id, IdRange


class WebhookSubscriptions(TolokaStream):
    """Subscriptions to events of pools."""

    name = "webhook_subscriptions"
    path = "/v1/webhook-subscriptions"
    page_cap = 300
    changes_without_date = True
    filters = Filters(
        event_type=Choice(
            "ASSIGNMENT_APPROVED",
            "ASSIGNMENT_CREATED",
            "ASSIGNMENT_EXPIRED",
            "ASSIGNMENT_REJECTED",
            "ASSIGNMENT_SKIPPED",
            "ASSIGNMENT_SUBMITTED",
            "DYNAMIC_OVERLAP_COMPLETED",
            "POOL_CLOSED",
            "TEST_EVENT",
        ),
        pool_id=Id(),
        id=IdRange(str),
        created=DateRange(),
    )
