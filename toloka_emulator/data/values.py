"""What rows are made of: chance, ids, dates, and samples of what people write."""

from __future__ import annotations

import string
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_emulator.server.dates import IN_ROW, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Json = dict[str, Any]

OWNER = {"id": "6c6e20dc86cca2ae787afcb2629de162", "myself": True}
OWNERS = (OWNER, {**OWNER, "myself": False, "company_id": "1"})

# Made-up rows refer to these.
PROJECT_IDS = ("81776", "74175", "9000", "10001", "133047")
POOL_IDS = ("999876", "999999", "1000000", "36502086")
SKILL_IDS = ("12648", "12649", "37825")
USER_IDS = (
    "a1b0b42923c429daa2c764d7ccfc364d",
    "23c3835c9bbe4ec5418f7ef28c7ff5fb",
    "f25a5f41-94e8-49bf-977f-3611087a16b3",
)
ASSIGNMENT_IDS = ("000015fccc--63bfc4c358d7a46c32a7b233", "00022cfa46--637cf4098ccdeb4a260737de")
AGGREGATION_IDS = (
    "5530b051-f9b1-445c-b54c-ac56f9b09ada",
    "430fa011-6053-4664-b0b7-0c4e50ea91ed",
    "07700135-c34a-4df0-ae55-d44081dea432",
)
"""Operations that have aggregated solutions."""
LOGGED_IDS = {
    "6d84114f-fcfc-473d-8249-1a4f3ea550eb": "TASK.BATCH_CREATE",
    "9ab3ca3a-1eb0-4d0c-b62d-1d8f7a2a2f2c": "TASK_SUITE.BATCH_CREATE",
    "e1d2c3b4-0f4e-4ad5-8c6d-5a3b2c1d0e9f": "USER_BONUS.BATCH_CREATE",
}
"""Operations that have logs, with their types."""
APP_IDS = ("M1B0QY7kD5kie8wOyb44", "2dyrYRI5HhCC0giyI7Q5", "9lZaMl363jahzra1rrYq")
APP_PROJECT_IDS = ("8lvN9kBN4wwsj47ZqNal", "Q2d15QBjpwWuDz8Z321g", "lNjJ2AvaZ5OhnLVwAygE")
BATCH_IDS = ("7d0YYJ2Av5OhnLVwAygZ", "3xQ3Wj98D5RsM0Rb6kQL")

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
TRANSLATIONS: tuple[Json, ...] = (
    {"EN": "Good job!"},
    {"EN": "Good job!", "RU": "Отличная работа 👍", "JA": "よくできました"},
    {"DE": "Größe geprüft & für gut befunden", "AR": "عمل جيد"},
    {},
)
# Least price of a task suite 0.005, zero for training tasks only (openapi).
AMOUNTS = tuple(
    Decimal(text)
    for text in ("0.07", "0.070", "0.1", "0.005", "0.0125", "1", "2.00", "0", "15.25", "0.333333")
)
INPUTS: tuple[Json, ...] = (
    {"image": "https://example.com/image1.jpg"},
    {"image": "https://example.com/Кот №1.jpg?x=%20", "caption": "Кот? 🐈"},
    {"audio": "https://example.com/1.mp3", "seconds": Decimal("12.50"), "speakers": [1, 2]},
    {"text": 'two\nlines and a "quote"', "meta": {"source": None, "page": 3}},
    {"coordinates": "55.733969,37.587093", "urgent": True},
)
OUTPUTS: tuple[Json, ...] = (
    {"result": "cat"},
    {"result": "dog", "like": False},
    {"transcript": "слово за словом", "confidence": Decimal("0.90"), "words": ["a", "b"]},
    {"result": None, "path": [{"x": Decimal("0.5"), "y": 1}]},
    {},
)

_MILLISECONDS = len("2026-01-02T03:04:05.678")
_LENGTHS = (_MILLISECONDS,) * 10 + (22, 21, 19, 19, 16)  # of dates as they are printed


class Dice(Random):
    """A random number generator: the same rows for the same seed."""

    def pick(self, options: Sequence[T]) -> T:
        """Pick one; faster than `choice`."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.random() < probability

    def print_date(self, moment: datetime) -> str:
        """Print a date as rows have it."""
        return print_exactly(moment)

    def object_id(self, at: datetime) -> str:
        """Make an id of 24 hexadecimal digits, the first of which are the second it was made in."""
        return f"{int(at.timestamp()):08x}{self.getrandbits(64):016x}"

    def pool_object_id(self, pool_id: str, at: datetime) -> str:
        """Make an id of what is in a pool: `hex--hex`, the first being the pool's number."""
        return f"{int(pool_id):010x}--{self.object_id(at)}"

    def uuid(self) -> str:
        """Make an id of an operation or a file."""
        return str(uuid.UUID(int=self.getrandbits(128), version=4))

    def app_id(self) -> str:
        """Make an id of the apps API."""
        return "".join(self.pick(string.ascii_letters + string.digits) for _ in range(20))

    def user_id(self) -> str:
        """Make an id of a Toloker."""
        return f"{self.getrandbits(128):032x}"


class AnyFormDice(Dice):
    """Prints dates in all the forms that Toloka has (openapi, examples)."""

    def print_date(self, moment: datetime) -> str:
        """Print a date, most often whole, or with its fraction or even the seconds cut short."""
        return moment.isoformat(timespec="milliseconds")[: self.pick(_LENGTHS)]


def print_exactly(moment: datetime) -> str:
    """Print a date to the millisecond, without zeros at the end of the fraction."""
    text = moment.isoformat(timespec="milliseconds")[:_MILLISECONDS]
    return text.rstrip("0").removesuffix(".")


def read_date(printed: str) -> datetime:
    """Read a date of a row, in any form, as a moment with a zone."""
    return datetime.fromisoformat(instant(printed, IN_ROW)).replace(tzinfo=timezone.utc)
