"""What Toloka has, a class per list."""

from __future__ import annotations

import typing as t

from tap_toloka.streams.messages import MessageThreads
from tap_toloka.streams.operations import Operations
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.projects import Projects
from tap_toloka.streams.trainings import Trainings
from tap_toloka.streams.users import Skills, UserBonuses, UserRestrictions, UserSkills
from tap_toloka.streams.webhooks import WebhookSubscriptions

if t.TYPE_CHECKING:
    from tap_toloka.client import TolokaStream

__all__ = [
    "STREAMS",
    "MessageThreads",
    "Operations",
    "Pools",
    "Projects",
    "Skills",
    "Trainings",
    "UserBonuses",
    "UserRestrictions",
    "UserSkills",
    "WebhookSubscriptions",
]

STREAMS: tuple[type[TolokaStream], ...] = (
    Projects,
    Pools,
    Trainings,
    Skills,
    UserSkills,
    UserRestrictions,
    UserBonuses,
    MessageThreads,
    WebhookSubscriptions,
    Operations,
)
"""All streams of the tap."""
