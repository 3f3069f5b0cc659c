"""What Toloka has, one class per list."""

from __future__ import annotations

import typing as t

from tap_toloka.streams.apps import AppBatches, AppItems, AppProjects, Apps
from tap_toloka.streams.assignments import Assignments
from tap_toloka.streams.attachments import Attachments
from tap_toloka.streams.messages import MessageThreads
from tap_toloka.streams.operations import AggregatedSolutions, OperationLogs, Operations
from tap_toloka.streams.pools import Pools
from tap_toloka.streams.projects import Projects
from tap_toloka.streams.requester import Requester
from tap_toloka.streams.tasks import Tasks, TaskSuites
from tap_toloka.streams.trainings import Trainings
from tap_toloka.streams.users import (
    Skills,
    UserBonuses,
    UserMetadata,
    UserRestrictions,
    UserSkills,
)
from tap_toloka.streams.webhooks import WebhookSubscriptions

if t.TYPE_CHECKING:
    from tap_toloka.client import TolokaStream

STREAMS: tuple[type[TolokaStream], ...] = (
    Requester,
    Projects,
    Pools,
    Trainings,
    Tasks,
    TaskSuites,
    Assignments,
    Attachments,
    Skills,
    UserSkills,
    UserRestrictions,
    UserBonuses,
    UserMetadata,
    MessageThreads,
    WebhookSubscriptions,
    Operations,
    OperationLogs,
    AggregatedSolutions,
    Apps,
    AppProjects,
    AppBatches,
    AppItems,
)
"""All streams of the tap."""
