"""Pools as Toloka has them: fields and ranges of PoolViewV1 and TrainingViewV1 of the openapi."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_emulator.server.dates import IN_ROW, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")
Json = dict[str, Any]

CREATED_FROM = datetime(2019, 3, 1, tzinfo=timezone.utc)
CREATED_TO = datetime(2026, 10, 31, tzinfo=timezone.utc)

OWNER = {"id": "6c6e20dc86cca2ae787afcb2629de162", "myself": True}

PROJECT_IDS = ("81776", "74175", "9000", "10001", "133047")
NAMES = (
    "Transcript of audio recordings",
    "Разметка дорожных знаков — пул №",
    "画像の分類 プール",
    "Ist das ein Straßenschild? Größe prüfen",
    "Кот или собака? 🐈🐕 тест",
    '"quoted" and \\ back\\slashed \\n',
    "two\nlines\tand a tab",
    "<b>bold</b> & <i>it's</i> &amp; co",
    "🧑‍🏫 exam 👍🏽 №",
    "السؤال رقم",
    "",
    " spaces around ",
)
COMMENTS = (
    None,
    "",
    "Клон пула для проверки качества; не открывать до пятницы",
    "clone of the pool, see ticket; price raised twice",
    "备注 第二批数据、等待客户确认后再打开",
)
INSTRUCTIONS = (
    """<h1>What to do</h1><p>Write down <b>every</b> word that you hear, numbers as words; don't
correct the speaker.</p><ul><li>No speech: tick &laquo;silence&raquo;</li></ul>""",
    """<p>Обведите все дорожные знаки.</p>\r\n<img src="https://example.com/sign.png"
alt="Знак «Уступи дорогу»"/><p>Если знаков нет — отметьте «нет знаков» ✅</p>""",
    """<div>1. 画像をよく見てください。\n2. 猫なら「猫」、犬なら「犬」を選んでください。</div>
<p>One task is one picture; a page holds ten of them.</p>""",
)
# Least price of a task suite 0.005, zero for training tasks only.
REWARDS = tuple(
    Decimal(text)
    for text in ("0.07", "0.070", "0.1", "0.005", "0.0125", "1", "2.00", "0", "15.25", "0.333333")
)
NEVER_STARTED = (
    {"status": "CLOSED"},
    {"status": "ARCHIVED"},
    {"status": "CLOSED", "last_close_reason": None, "last_started": None, "last_stopped": None},
)
STARTED_STATUSES = ("OPEN", "OPEN", "CLOSED", "CLOSED", "CLOSED", "ARCHIVED", "ARCHIVED", "LOCKED")
CLOSE_REASONS = (
    "MANUAL",
    "EXPIRED",
    "COMPLETED",
    "NOT_ENOUGH_BALANCE",
    "ASSIGNMENTS_LIMIT_EXCEEDED",
    "BLOCKED",
    "FOR_UPDATE",
)
OPTIONAL_SETTINGS = (
    "private_comment",
    "public_description",
    "public_instructions",
    "filter",
    "dynamic_pricing_config",
    "mixer_config",
    "dynamic_overlap_config",
    "training_config",
    "priority",
    "speed_quality_balance",
)
# How many characters of YYYY-MM-DDThh:mm:ss.sss are printed: most often all, or the fraction is cut
# short, or absent, or even the seconds are (openapi, examples).
DATE_LENGTHS = (23,) * 10 + (22, 21, 19, 19, 16)

_BAN = ("RESTRICTION_V2", {"scope": "PROJECT", "duration": 10, "duration_unit": "DAYS"})
_BAN_FOR_EVER = ("RESTRICTION_V2", {"scope": "ALL_PROJECTS", "duration_unit": "PERMANENT"})
_SKILL = (
    "SET_SKILL_FROM_OUTPUT_FIELD",
    {"skill_id": "12648", "from_field": "correct_answers_rate"},
)
# Collector and its parameters, conditions, and an action and its parameters.
RULES: tuple[tuple[str, Json, tuple[tuple[str, str, Any], ...], tuple[str, Json]], ...] = (
    (
        "ASSIGNMENT_SUBMIT_TIME",
        {"fast_submit_threshold_seconds": 15, "history_size": 10},
        (("total_submitted_count", "GTE", 2), ("fast_submitted_count", "GTE", 2)),
        _BAN,
    ),
    (
        "GOLDEN_SET",
        {"history_size": 30},
        (("total_answers_count", "GTE", 3), ("correct_answers_rate", "LT", Decimal("60.0"))),
        _BAN_FOR_EVER,
    ),
    (
        "MAJORITY_VOTE",
        {"answer_threshold": 3, "history_size": 20},
        (("total_answers_count", "GT", 9),),
        _SKILL,
    ),
    ("SKIPPED_IN_ROW_ASSIGNMENTS", {}, (("skipped_in_row_count", "GTE", 10),), _BAN),
    ("INCOME", {}, (("income_sum_for_last_24_hours", "GTE", Decimal("20.50")),), _BAN),
    (
        "ANSWER_COUNT",
        {},
        (("assignments_accepted_count", "GTE", 1),),
        ("SET_SKILL", {"skill_id": "12649", "skill_value": 1}),
    ),
    (
        "USERS_ASSESSMENT",
        {},
        (("pool_access_revoked_reason", "EQ", "RESTRICTION"),),
        ("CHANGE_OVERLAP", {"delta": 1, "open_pool": True}),
    ),
    (
        "ACCEPTANCE_RATE",
        {"history_size": 15},
        (
            ("total_assignments_count", "GT", 2),
            ("rejected_assignments_rate", "GT", Decimal("35.0")),
        ),
        ("REJECT_ALL_ASSIGNMENTS", {"public_comment": "Слишком много ошибок"}),
    ),
)


class Dice(Random):
    """A random number generator whose picks cost little."""

    def pick(self, options: Sequence[T]) -> T:
        """Pick one."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.random() < probability


def make_pool(pool_id: str, created: str, /, **fields: object) -> Json:
    """Make a plain pool that was never started; `fields` go beside or in place of its own."""
    return {
        "id": pool_id,
        "project_id": "81776",
        "private_name": f"Pool {pool_id}",
        "may_contain_adult_content": False,
        "reward_per_assignment": Decimal("0.05"),
        "assignment_max_duration_seconds": 600,
        "status": "CLOSED",
        "created": created,
        "type": "REGULAR",
        **fields,
    }


def make_pools(  # noqa: PLR0913  # all but the first go by name
    count: int,
    *,
    seed: int = 0,
    first_id: int = 999_800,
    rich: bool = True,
    created_from: datetime = CREATED_FROM,
    created_to: datetime = CREATED_TO,
) -> Iterator[Json]:
    """Make pools of all kinds, the same ones for the same arguments.

    Ids rise with gaps of up to 15. `created` rises with them, if not always, in all the forms that
    Toloka prints, and now and then two pools have the same. One pool in twenty is a training's.
    Settings are shared between pools: change a row at its top level only.

    Args:
        count: How many.
        seed: Other pools for another seed.
        first_id: The id of the first.
        rich: With all the settings that a pool can have, some 2.3 KB of JSON, or plain.
        created_from: The earliest `created`, with a zone.
        created_to: The latest `created`, likewise; pools start and stop up to four days later.
    """
    dice = Dice(seed)
    trainings = [make_training_settings(dice) for _ in range(20)]
    regulars = [_settings(dice) if rich else _plain_settings(dice) for _ in range(200)]
    pool_id = first_id
    dates = make_dates(count, dice, created_from, created_to)
    for number, (created, printed) in enumerate(dates):
        yield {
            "id": str(pool_id),
            "project_id": dice.pick(PROJECT_IDS),
            "private_name": f"{dice.pick(NAMES)} {number}",
            **dice.pick(trainings if dice.chance(0.05) else regulars),
            **make_life(created, dice),
            "created": printed,
        }
        pool_id += 1 + int(dice.random() * 15)


def make_dates(
    count: int, dice: Dice, first: datetime = CREATED_FROM, last: datetime = CREATED_TO
) -> Iterator[tuple[datetime, str]]:
    """Make dates that rise, if not always, some of them equal, each with how Toloka prints it."""
    moment, printed = first, ""
    for number in range(count):
        if not printed or dice.chance(0.97):
            place = (number + dice.uniform(-3, 3)) / count
            moment = first + (last - first) * min(max(place, 0), 1)
            printed = print_date(moment, dice)
        yield moment, printed


def print_date(moment: datetime, dice: Dice) -> str:
    """Print a date in one of the forms that Toloka has for it."""
    return moment.isoformat(timespec="milliseconds")[: dice.pick(DATE_LENGTHS)]


def print_exactly(moment: datetime) -> str:
    """Print a date to the millisecond, without zeros at the end of the fraction."""
    text = moment.isoformat(timespec="milliseconds")[: len("2026-01-02T03:04:05.678")]
    return text.rstrip("0").removesuffix(".")


def read_date(printed: str) -> datetime:
    """Read a date that a row has, in any form, as a moment with a zone."""
    return datetime.fromisoformat(instant(printed, IN_ROW)).replace(tzinfo=timezone.utc)


def make_life(created: datetime, dice: Dice) -> Json:
    """Make up what became of a pool: its status, and the dates and the reason that go with it."""
    if dice.chance(0.15):
        return dice.pick(NEVER_STARTED)
    status = dice.pick(STARTED_STATUSES)
    first = created + timedelta(seconds=dice.uniform(60, 86_400))
    second = first + timedelta(seconds=dice.uniform(60, 259_200))
    if status == "OPEN" and dice.chance(0.7):
        return {"status": status, "last_started": print_date(first, dice)}
    started, stopped = (second, first) if status == "OPEN" else (first, second)
    return {
        "status": status,
        "last_close_reason": dice.pick(CLOSE_REASONS),
        "last_started": print_date(started, dice),
        "last_stopped": print_date(stopped, dice),
    }


def _plain_settings(dice: Dice) -> Json:
    return {
        "may_contain_adult_content": dice.chance(0.2),
        "reward_per_assignment": dice.pick(REWARDS),
        "assignment_max_duration_seconds": dice.pick((5, 60, 600, 86_400)),
        "type": "REGULAR",
    }


def make_training_settings(dice: Dice) -> Json:
    """Make the settings of a training, as the list of pools has them."""
    own_instructions = dice.chance(0.5)
    settings = {
        "inherited_instructions": not own_instructions,
        "public_instructions": dice.pick(INSTRUCTIONS) if own_instructions else "",
        "may_contain_adult_content": dice.chance(0.2),
        "assignment_max_duration_seconds": 600,
        "mix_tasks_in_creation_order": dice.chance(0.5),
        "shuffle_tasks_in_task_suite": dice.chance(0.5),
        "training_tasks_in_task_suite_count": int(dice.uniform(0, 500)),
        "task_suites_required_to_pass": int(dice.uniform(0, 500)),
        "metadata": {},
        "owner": OWNER,
        "type": "TRAINING",
    }
    if dice.chance(0.5):
        settings["retry_training_after_days"] = int(dice.uniform(1, 60))
    return settings


def _settings(dice: Dice) -> Json:
    """Make all the settings of a pool; some pools lack some, or have null in their place."""
    settings = {
        **_plain_settings(dice),
        "private_comment": dice.pick(COMMENTS),
        "public_description": dice.pick(NAMES),
        "public_instructions": dice.pick(INSTRUCTIONS),
        "will_expire": dice.pick(
            ("2027-03-09T00:00:00", "2030-01-01T12:00", "2028-02-29T23:59:59.9")
        ),
        "auto_close_after_complete_delay_seconds": dice.pick((0, 60, 259_200)),
        "dynamic_pricing_config": {
            "type": "SKILL",
            "skill_id": "12648",
            "intervals": [
                {"from": 1, "to": 49, "reward_per_assignment": dice.pick(REWARDS)},
                {"from": 50, "to": 100, "reward_per_assignment": dice.pick(REWARDS)},
            ],
        },
        "metadata": dice.pick(({}, {"batch": ["17", "срочно"], "client-ref": ["a/b?c=d"]})),
        "auto_accept_solutions": dice.chance(0.5),
        "auto_accept_period_day": int(dice.uniform(1, 22)),
        "assignments_issuing_config": {"issue_task_suites_in_creation_order": dice.chance(0.5)},
        "filter": make_filter(dice),
        "quality_control": _quality_control(dice),
        "mixer_config": _mixer_config(dice),
        "dynamic_overlap_config": {
            "type": "BASIC",
            "max_overlap": int(dice.uniform(6, 30_001)),
            "min_confidence": dice.pick((Decimal("0.85"), Decimal("0.9500"), 1)),
            "answer_weight_skill_id": "12648",
            "fields": [{"name": "result"}],
        },
        "training_config": {"training_skill_ttl_days": int(dice.uniform(1, 365))},
        "defaults": {
            "default_overlap_for_new_task_suites": int(dice.uniform(1, 6)),
            "default_overlap_for_new_tasks": int(dice.uniform(1, 6)),
        },
        "training": False,
        "priority": int(dice.uniform(0, 101)),
        "owner": dice.pick((OWNER, {**OWNER, "myself": False, "company_id": "1"})),
        "speed_quality_balance": dice.pick(
            (
                {"type": "TOP_PERCENTAGE_BY_QUALITY", "percent": 90},
                {"type": "BEST_CONCURRENT_USERS_BY_QUALITY", "count": 20},
            )
        ),
    }
    for name in OPTIONAL_SETTINGS:
        if dice.chance(0.33):
            del settings[name]
        elif dice.chance(0.05):
            settings[name] = None
    return settings


def make_filter(dice: Dice) -> Json:
    """Make a filter of Tolokers: an object, though the openapi says text."""
    languages = [
        {"category": "profile", "key": "languages", "operator": "IN", "value": language}
        for language in ("EN", "RU", "JA")[: int(dice.uniform(1, 4))]
    ]
    skill = {
        "category": "skill",
        "key": "12648",
        "operator": "GTE",
        "value": dice.pick((80, Decimal("80.0"), Decimal("66.667"))),
    }
    client = {
        "category": "computed",
        "key": "client_type",
        "operator": "EQ",
        "value": dice.pick(("BROWSER", "TOLOKA_APP")),
    }
    return {"and": [{"or": languages}, {"or": [skill]}, {"or": [client]}]}


def make_rules(dice: Dice) -> list[Json]:
    """Make the `configs` of a `quality_control`."""
    return [
        {
            "collector_config": {
                "type": collector,
                "uuid": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                "parameters": parameters,
            },
            "rules": [
                {
                    "conditions": [
                        {"key": key, "operator": operator, "value": value}
                        for key, operator, value in conditions
                    ],
                    "action": {"type": action, "parameters": action_parameters},
                }
            ],
        }
        for collector, parameters, conditions, (action, action_parameters) in dice.sample(
            RULES, int(dice.uniform(1, 4))
        )
    ]


def _quality_control(dice: Dice) -> Json:
    quality_control: Json = {"configs": make_rules(dice)}
    if dice.chance(0.3):
        quality_control["training_requirement"] = {
            "training_pool_id": "31226418",
            "training_passing_skill_value": int(dice.uniform(0, 101)),
        }
    if dice.chance(0.2):
        quality_control["captcha_frequency"] = dice.pick(("LOW", "MEDIUM", "HIGH"))
    return quality_control


def _mixer_config(dice: Dice) -> Json:
    return {
        "real_tasks_count": int(dice.uniform(1, 501)),
        "golden_tasks_count": int(dice.uniform(0, 10)),
        "training_tasks_count": 0,
        "min_real_tasks_count": 1,
        "min_golden_tasks_count": 0,
        "min_training_tasks_count": None,
        "force_last_assignment": dice.chance(0.5),
        "force_last_assignment_delay_seconds": int(dice.uniform(0, 86_401)),
        "mix_tasks_in_creation_order": dice.chance(0.5),
        "shuffle_tasks_in_task_suite": dice.chance(0.5),
    }
