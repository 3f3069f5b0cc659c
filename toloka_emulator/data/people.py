"""Tolokers and the requester: skills, restrictions, bonuses, messages, subscriptions."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data import values
from toloka_emulator.data.pools import make_filter
from toloka_emulator.data.values import OWNER, Dice, Json
from toloka_emulator.server.resources import RESOURCES

REQUESTER = {"id": OWNER["id"], "role": "REQUESTER", "myself": True}
"""Who writes a message; a Toloker is `{"id": …, "role": "USER"}`."""

SKILL_VALUES = tuple(Decimal(text) for text in ("100", "0", "66.667", "87.50", "33.3333333333333"))
BONUSES = tuple(amount for amount in values.AMOUNTS if amount)  # at least 0.005 (openapi)
EVENTS = RESOURCES["webhook_subscriptions"].filters["event_type"].values
SCOPES = RESOURCES["user_restrictions"].filters["scope"].values
FOLDERS: tuple[list[str], ...] = (
    ["OUTBOX"],
    ["INBOX", "UNREAD"],
    ["INBOX"],
    ["AUTOMATIC_NOTIFICATION", "IMPORTANT"],
    [],
)
COUNTRIES = ("IN", "RU", "BR", "KE", "PH", "TR", "DE", "US")
LANGUAGES: tuple[list[str], ...] = (["EN"], ["EN", "FR"], ["RU", "EN"], ["PT-BR"], [])


def _requester(dice: Dice, _at: datetime, _facts: Json) -> Json:
    return {
        "id": OWNER["id"],
        "balance": dice.pick((Decimal("121.30"), Decimal("0.005"), 100_000)),
        "public_name": dice.pick(values.TRANSLATIONS),
        "company": {"id": "1", "superintendent_id": OWNER["id"]},
    }


def _user_metadata(dice: Dice, _at: datetime, _facts: Json) -> Json:
    country = dice.pick(COUNTRIES)
    phone = dice.chance(0.6)
    major, minor = dice.randrange(5, 15), dice.randrange(10)
    return {
        "id": dice.user_id(),
        "country": country,
        "languages": dice.pick(LANGUAGES),
        "attributes": {
            "country_by_phone": country,
            "country_by_ip": dice.pick(COUNTRIES),
            "client_type": "TOLOKA_APP" if phone else "BROWSER",
            "user_agent_type": "OTHER" if phone else "BROWSER",
            "device_category": "SMARTPHONE" if phone else "PERSONAL_COMPUTER",
            "os_family": dice.pick(("ANDROID", "IOS") if phone else ("WINDOWS", "LINUX", "MAC_OS")),
            "os_version": Decimal(f"{major}.{minor}"),
            "os_version_major": major,
            "os_version_minor": minor,
            "os_version_bugfix": 0,
        },
        "adult_allowed": dice.chance(0.5),
    }


def _skill(dice: Dice, _at: datetime, facts: Json) -> Json:
    return {
        "name": f"{dice.pick(values.NAMES)} {facts['id']}",
        "public_name": dice.pick(values.TRANSLATIONS),
        "private_comment": dice.pick(values.COMMENTS),
        "public_requester_description": dice.pick(values.TRANSLATIONS),
        "hidden": dice.chance(0.7),
        "skill_ttl_hours": dice.randrange(1, 10_000),
        "deprecated": dice.chance(0.1),
        "owner": dice.pick(values.OWNERS),
        "training": dice.chance(0.3),
        "global": dice.chance(0.2),
    }


def _user_skill(dice: Dice, at: datetime, facts: Json) -> Json:
    value = dice.pick(SKILL_VALUES)
    modified = dice.print_date(at + timedelta(days=dice.uniform(0, 20)))
    return {
        "skill_id": dice.pick(values.SKILL_IDS),
        "user_id": dice.pick(values.USER_IDS),
        "value": round(value),
        "exact_value": value,
        "modified": modified if dice.chance(0.5) else facts["created"],
    }


def _user_restriction(dice: Dice, at: datetime, facts: Json) -> Json:
    scope = facts.get("scope") or dice.pick(SCOPES)
    row = {
        "scope": scope,
        "user_id": dice.pick(values.USER_IDS),
        "private_comment": dice.pick(values.COMMENTS),
        "will_expire": dice.print_date(at + timedelta(days=10)),
    }
    if scope == "POOL":
        row["pool_id"] = dice.pick(values.POOL_IDS)
    if scope == "PROJECT":
        row["project_id"] = dice.pick(values.PROJECT_IDS)
    return row


def _user_bonus(dice: Dice, _at: datetime, _facts: Json) -> Json:
    silent = dice.chance(0.3)
    return {
        "user_id": dice.pick(values.USER_IDS),
        "amount": dice.pick(BONUSES),
        "private_comment": dice.pick(values.COMMENTS),
        "public_title": None if silent else dice.pick(values.TRANSLATIONS),
        "public_message": None if silent else dice.pick(values.TRANSLATIONS),
        "without_message": silent,
        "assignment_id": dice.pick(values.ASSIGNMENT_IDS),
    }


def _message_thread(dice: Dice, at: datetime, _facts: Json) -> Json:
    toloker = {"id": dice.pick(values.USER_IDS), "role": "USER"}
    system = {"id": None, "role": "SYSTEM", "myself": False}
    pool = {"pool_id": dice.pick(values.POOL_IDS), "project_id": dice.pick(values.PROJECT_IDS)}
    recipients: tuple[Json, ...] = (
        {"recipients_select_type": "DIRECT", "recipients_ids": [toloker["id"]]},
        {"recipients_select_type": "FILTER", "recipients_filter": make_filter(dice)},
        {"recipients_select_type": "ALL"},
    )
    return {
        "id": dice.object_id(at),
        "parent_id": dice.object_id(at),
        "topic": dice.pick(values.TRANSLATIONS),
        "interlocutors_inlined": True,
        "interlocutors": [REQUESTER, toloker],
        "messages_inlined": True,
        "messages": [  # the newest first
            {
                "text": dice.pick(values.TRANSLATIONS),
                "from": dice.pick((REQUESTER, toloker, system)),
                "created": dice.print_date(at + timedelta(hours=hours)),
            }
            for hours in range(dice.randrange(3), -1, -1)
        ],
        "compose_details": dice.pick(recipients),
        "meta": dice.pick(({}, pool, {"assignment_id": dice.pick(values.ASSIGNMENT_IDS)})),
        "folders": dice.pick(FOLDERS),
        "answerable": dice.chance(0.5),
    }


def _webhook_subscription(dice: Dice, at: datetime, facts: Json) -> Json:
    # The only list of whose dates the openapi has an example with a zone.
    whole = len(facts["created"]) == len("2026-01-02T03:04:05.678")
    return {
        "id": dice.object_id(at),
        "event_type": dice.pick(EVENTS),
        "webhook_url": "https://example.com/toloka-webhook?from=Толока&x=%20",
        "pool_id": dice.pick(values.POOL_IDS),
        "created": f"{facts['created']}Z" if whole else facts["created"],
    }


MAKERS = {
    "requester": _requester,
    "user_metadata": _user_metadata,
    "skills": _skill,
    "user_skills": _user_skill,
    "user_restrictions": _user_restriction,
    "user_bonuses": _user_bonus,
    "message_threads": _message_thread,
    "webhook_subscriptions": _webhook_subscription,
}
