"""What rows of several lists are made of."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from toloka_emulator.data.pools import OWNER, Dice, Json

if TYPE_CHECKING:
    from datetime import datetime

POOL_IDS = ("999876", "999999", "1000000", "36502086")
SKILL_IDS = ("12648", "12649", "37825")
USER_IDS = (
    "a1b0b42923c429daa2c764d7ccfc364d",
    "23c3835c9bbe4ec5418f7ef28c7ff5fb",
    "f25a5f41-94e8-49bf-977f-3611087a16b3",
)
ASSIGNMENT_IDS = ("000015fccc--63bfc4c358d7a46c32a7b233", "00022cfa46--637cf4098ccdeb4a260737de")
# Operations whose solutions are made up, and those whose logs are, by their types.
AGGREGATION_IDS = (
    "5530b051-f9b1-445c-b54c-ac56f9b09ada",
    "430fa011-6053-4664-b0b7-0c4e50ea91ed",
    "07700135-c34a-4df0-ae55-d44081dea432",
)
LOGGED_IDS = {
    "6d84114f-fcfc-473d-8249-1a4f3ea550eb": "TASK.BATCH_CREATE",
    "9ab3ca3a-1eb0-4d0c-b62d-1d8f7a2a2f2c": "TASK_SUITE.BATCH_CREATE",
    "e1d2c3b4-0f4e-4ad5-8c6d-5a3b2c1d0e9f": "USER_BONUS.BATCH_CREATE",
}
APP_IDS = ("M1B0QY7kD5kie8wOyb44", "2dyrYRI5HhCC0giyI7Q5", "9lZaMl363jahzra1rrYq")
APP_PROJECT_IDS = ("8lvN9kBN4wwsj47ZqNal", "Q2d15QBjpwWuDz8Z321g", "lNjJ2AvaZ5OhnLVwAygE")
BATCH_IDS = ("7d0YYJ2Av5OhnLVwAygZ", "3xQ3Wj98D5RsM0Rb6kQL")

OWNERS = (OWNER, {**OWNER, "myself": False, "company_id": "1"})
TRANSLATIONS: tuple[Json, ...] = (
    {"EN": "Good job!"},
    {"EN": "Good job!", "RU": "Отличная работа 👍", "JA": "よくできました"},
    {"DE": "Größe geprüft & für gut befunden", "AR": "عمل جيد"},
    {},
)
AMOUNTS = tuple(Decimal(text) for text in ("0.005", "0.50", "0.5", "1", "12.340", "0.0125"))

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Born(NamedTuple):
    """What is given of a row.

    Attributes:
        place: Which of the rows it is, from 0.
        id: Its id, where that is a number.
        at: When it came to be.
        printed: How Toloka prints that.
    """

    place: int
    id: str
    at: datetime
    printed: str


def object_id(at: datetime, dice: Dice) -> str:
    """Make an id of 24 hexadecimal digits, that begins with the second in which it was made."""
    return f"{int(at.timestamp()):08x}{dice.getrandbits(64):016x}"


def pool_object_id(pool_id: str, at: datetime, dice: Dice) -> str:
    """Make an id of what is in a pool: `hex--hex`, of which the first is the pool's number."""
    return f"{int(pool_id):010x}--{object_id(at, dice)}"


def random_uuid(dice: Dice) -> str:
    """Make an id of operations and files."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def app_id(dice: Dice) -> str:
    """Make an id of the apps API."""
    return "".join(dice.pick(_LETTERS) for _ in range(20))


def user_id(dice: Dice) -> str:
    """Make an id of a Toloker."""
    return f"{dice.getrandbits(128):032x}"
