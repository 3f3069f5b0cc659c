"""A world whose rows belong together: what one requester has, joinable by ids over all lists."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from toloka_emulator.data import apps, work
from toloka_emulator.data.changes import begin, next_change
from toloka_emulator.data.parts import app_id, object_id, pool_object_id, random_uuid, user_id
from toloka_emulator.data.pools import (
    OWNER,
    Dice,
    Json,
    make_filter,
    make_pool,
    print_exactly,
    read_date,
)
from toloka_emulator.data.rows import MAKERS

_SUITES = 20  # the most in a pool; more assignments make a greater overlap
_BONUSES = 20  # as many are given at once
# What a project is of: its name, what a task shows, and what may be answered.
_TOPICS: tuple[tuple[str, str, tuple[Json, ...]], ...] = (
    ("Cats and dogs", "image", ({"result": "cat"}, {"result": "dog"}, {"result": "other"})),
    ("Road signs", "photo", ({"signs": ["stop"]}, {"signs": ["yield", "no entry"]}, {"signs": []})),
    ("Audio transcripts", "audio", ({"text": "good morning"}, {"text": "слово за словом"})),
    ("Receipts", "scan", ({"total": Decimal("12.50")}, {"total": Decimal("7.05")})),
    ("Search relevance", "query", ({"relevance": 5}, {"relevance": 3}, {"relevance": 1})),
    ("Shop fronts", "place", ({"open": True, "name": "Café"}, {"open": False, "name": None})),
)
# How pools fare, in turn: some that are open have not seen a submission for days.
_FATES = ("OPEN", "CLOSED", "CLOSED", "STUCK", "OPEN", "CLOSED", "ARCHIVED", "OPEN")
_SKILLS = ("English", "Attention to detail", "Image classification", "Transcription")
Account = dict[str, list[Json]]
"""All rows that a requester has, by list."""

_REWARDS = tuple(Decimal(text) for text in ("0.01", "0.03", "0.05", "0.10", "0.25"))


def make_account(*, pools: int, assignments: int, seed: int = 0, now: datetime) -> Account:
    """Make rows of all lists that belong together, the same ones for the same arguments.

    Dates lie before `now`, most of them within the 60 days before. Tasks are shared between rows:
    change a row at its top level only.

    Args:
        pools: How many pools.
        assignments: How many assignments, spread over the pools.
        seed: Another world for another seed.
        now: The end of it, with a zone.
    """
    world = _World(Dice(f"world {seed}"), now)
    world.people()
    world.projects(min(len(_TOPICS), 1 + pools // 5))
    world.apps()
    shares = world.shares(pools, assignments)
    for number, share in enumerate(shares):
        world.pool(number, share)
    world.bonuses()
    world.talk()
    return {name: world.rows[name] for name in MAKERS.keys() | {"pools"}}


class _World:
    """A world in the making."""

    def __init__(self, dice: Dice, now: datetime) -> None:
        self.rows: defaultdict[str, list[Json]] = defaultdict(list)
        self._dice = dice
        self._now = now
        self._users = [user_id(dice) for _ in range(40)]
        self._rewarded: list[Json] = []  # assignments with a bonus

    def _ago(self, days: float) -> datetime:
        return self._now - timedelta(days=days)

    def _between(self, first: datetime, last: datetime) -> datetime:
        return first + (last - first) * self._dice.random()

    def _add(self, name: str, row: Json) -> Json:
        self.rows[name].append(row)
        return row

    def people(self) -> None:
        """Make the requester, the Tolokers, what they can do and where they may not."""
        dice = self._dice
        self._add("requester", work.make_requester(dice))
        for number, name in enumerate(_SKILLS):
            self._add("skills", self._skill(str(12_648 + number), name))
        for user in self._users:
            self._add("user_metadata", work.make_user_metadata(user, dice))
            for skill in dice.sample(self.rows["skills"], dice.randrange(1, 4)):
                self._add("user_skills", self._user_skill(user, skill["id"]))

    def _skill(self, skill_id: str, name: str) -> Json:
        return {
            "id": skill_id,
            "name": name,
            "public_name": {"EN": name},
            "private_comment": "Set by hand",
            "public_requester_description": {"EN": f"How good one is at: {name}"},
            "hidden": False,
            "skill_ttl_hours": 720,
            "training": False,
            "owner": OWNER,
            "created": print_exactly(self._ago(self._dice.uniform(70, 90))),
        }

    def _user_skill(self, user: str, skill_id: str) -> Json:
        created = self._ago(self._dice.uniform(1, 60))
        value = self._dice.randrange(40, 101)
        return {
            "id": str(10_000 + len(self.rows["user_skills"])),
            "skill_id": skill_id,
            "user_id": user,
            "value": value,
            "exact_value": Decimal(value),
            "created": print_exactly(created),
            "modified": print_exactly(self._between(created, self._now)),
        }

    def projects(self, count: int) -> None:
        """Make projects, and a training for every other."""
        for number, (topic, shown, _) in enumerate(_TOPICS[:count]):
            created = self._ago(self._dice.uniform(65, 90))
            project_id = str(81_776 + 11 * number)
            self._add("projects", self._project(project_id, topic, shown, created))
            if number % 2 == 0:
                self._add("trainings", self._training(project_id, topic, created))

    def _project(self, project_id: str, topic: str, shown: str, created: datetime) -> Json:
        answer = next(iter(_outputs(topic)[0]))
        return {
            "id": project_id,
            "public_name": topic,
            "public_description": f"Look at one {shown} after the other",
            "public_instructions": f"<p>Look at the {shown}, and say what is there.</p>",
            "private_comment": f"{topic}, for the weekly report",
            "task_spec": {
                "input_spec": {shown: {"type": "string", "required": True, "hidden": False}},
                "output_spec": {answer: {"type": "json", "required": True, "hidden": False}},
                "view_spec": {"type": "classic", "markup": "", "script": "", "styles": ""},
            },
            "assignments_issuing_type": "AUTOMATED",
            "assignments_automerge_enabled": False,
            "status": "ACTIVE",
            "owner": OWNER,
            "created": print_exactly(created),
        }

    def _training(self, project_id: str, topic: str, created: datetime) -> Json:
        return {
            "id": str(31_226_418 + len(self.rows["trainings"])),
            "project_id": project_id,
            "private_name": f"{topic}: training",
            "public_instructions": "",
            "inherited_instructions": True,
            "may_contain_adult_content": False,
            "assignment_max_duration_seconds": 600,
            "training_tasks_in_task_suite_count": 5,
            "task_suites_required_to_pass": 1,
            "mix_tasks_in_creation_order": True,
            "shuffle_tasks_in_task_suite": False,
            "metadata": {},
            "owner": OWNER,
            "status": "OPEN",
            "created": print_exactly(created + timedelta(hours=1)),
            "last_started": print_exactly(created + timedelta(hours=2)),
        }

    def shares(self, pools: int, assignments: int) -> list[int]:
        """Say how many assignments each pool has; they differ."""
        places = [0.0]
        for _ in range(pools):
            places.append(places[-1] + self._dice.uniform(0.3, 1.7))
        bounds = [round(assignments * place / places[-1]) for place in places[1:]]
        return [bound - before for before, bound in zip([0, *bounds], bounds, strict=False)]

    def pool(self, number: int, assignments: int) -> None:
        """Make a pool, and all that is in it."""
        dice, fate = self._dice, _FATES[number % len(_FATES)]
        created = self._ago(dice.uniform(8 if fate == "STUCK" else 3, 60))
        started = created + timedelta(minutes=dice.uniform(10, 300))
        ended = self._now
        if fate == "STUCK":
            ended = self._ago(dice.uniform(3, 7))
        elif fate != "OPEN":
            ended = self._between(started + timedelta(hours=8), self._ago(0.1))
        pool = self._add("pools", self._pool(number, created, started))
        suites = self._suites(pool, created, assignments)
        self._operation("POOL.OPEN", pool, started - timedelta(seconds=2))
        last = ended - (timedelta(minutes=2) if fate == "OPEN" else timedelta(hours=2))
        moments = [self._between(started, last) for _ in range(assignments - 1)]
        for at in [*sorted(moments), last][:assignments]:
            self._assignment(pool, dice.pick(suites), at, ended)
        if fate in {"CLOSED", "ARCHIVED"}:
            self._close(pool, fate, ended, suites)
        if number % 10 == 0:
            self._watch(pool, created)

    def _pool(self, number: int, created: datetime, started: datetime) -> Json:
        dice = self._dice
        project = self.rows["projects"][number % len(self.rows["projects"])]
        return make_pool(
            str(36_502_086 + 7 * number),
            print_exactly(created),
            project_id=project["id"],
            private_name=f"{project['public_name']} · batch {number + 1}",
            private_comment=f"Batch {number + 1}, made on {created:%d %B}",
            reward_per_assignment=dice.pick(_REWARDS),
            status="OPEN",
            filter=make_filter(dice),
            priority=dice.randrange(101),
            owner=OWNER,
            last_started=print_exactly(started),
        )

    def _suites(self, pool: Json, created: datetime, assignments: int) -> list[Json]:
        """Make the tasks of a pool in one operation, and the suites that they are in."""
        count = max(1, min(_SUITES, assignments // 3))
        shown = next(shown for topic, shown, _ in _TOPICS if pool["private_name"].startswith(topic))
        at = created + timedelta(minutes=5)
        details = {"total_count": 2 * count, "valid_count": 2 * count, "not_valid_count": 0}
        operation = self._operation("TASK.BATCH_CREATE", pool, at, details=details)
        suites = []
        for number in range(count):
            common = {
                "pool_id": pool["id"],
                "overlap": -(-assignments // count) or 1,
                "infinite_overlap": False,
                "remaining_overlap": 0,
                "reserved_for": [],
                "unavailable_for": [],
                "created": print_exactly(at),
            }
            tasks = [self._task(pool, f"{shown}{number}-{side}", shown, at) for side in "ab"]
            for place, task in enumerate(tasks, start=2 * number):
                self._add("tasks", {**task, **common})
                self._add(
                    "operation_logs",
                    {
                        "operation_id": operation["id"],
                        "number": place,
                        "type": "TASK_CREATE",
                        "success": True,
                        "input": {"pool_id": pool["id"], "input_values": task["input_values"]},
                        "output": {"task_id": task["id"]},
                    },
                )
            suite_id = pool_object_id(pool["id"], at, self._dice)
            suite = {"id": suite_id, "tasks": tasks, "mixed": True, "automerged": False, **common}
            suites.append(self._add("task_suites", suite))
        return suites

    def _task(self, pool: Json, name: str, shown: str, at: datetime) -> Json:
        return {
            "id": pool_object_id(pool["id"], at, self._dice),
            "input_values": {shown: f"https://example.com/{pool['id']}/{name}"},
        }

    def _assignment(self, pool: Json, suite: Json, at: datetime, ended: datetime) -> None:
        """Let a Toloker take a suite, and see how far that came before the pool, and all, ended."""
        dice = self._dice
        row = begin(
            pool["id"],
            at,
            dice,
            task_suite_id=suite["id"],
            user_id=dice.pick(self._users),
            reward=pool["reward_per_assignment"],
            tasks=suite["tasks"],
            mixed=True,
        )
        done = at + timedelta(seconds=dice.uniform(30, 600))
        checked = done + timedelta(days=dice.expovariate(1))
        for moment in (done, checked, checked + timedelta(days=dice.expovariate(1))):
            if moment < (ended if moment is done else self._now):
                row |= next_change("assignments", row, dice, moment)
        if "submitted" in row:
            outputs = _outputs(pool["private_name"])
            row["solutions"] = [{"output_values": dice.pick(outputs)} for _ in suite["tasks"]]
            if dice.chance(0.03):
                self._attach(row, done)
        late = print_exactly(self._ago(0.05))  # too late for a bonus
        if row["status"] == "ACCEPTED" and row["accepted"] < late and dice.chance(0.03):
            row["bonus_ids"] = [str(3_139 + len(self._rewarded))]
            self._rewarded.append(row)
        self._add("assignments", row)

    def _attach(self, assignment: Json, at: datetime) -> None:
        self._add(
            "attachments",
            {
                "id": random_uuid(self._dice),
                "attachment_type": "ASSIGNMENT_ATTACHMENT",
                "name": f"photo-{len(self.rows['attachments']) + 1}.jpg",
                "details": {
                    "user_id": assignment["user_id"],
                    "assignment_id": assignment["id"],
                    "pool_id": assignment["pool_id"],
                },
                "owner": OWNER,
                "created": print_exactly(at - timedelta(seconds=9)),
                "media_type": "image/jpeg",
            },
        )

    def _close(self, pool: Json, status: str, at: datetime, suites: list[Json]) -> None:
        """Close a pool, and aggregate its answers."""
        dice = self._dice
        reason = dice.pick(("COMPLETED", "COMPLETED", "MANUAL", "EXPIRED"))
        pool |= {"status": status, "last_stopped": print_exactly(at), "last_close_reason": reason}
        self._operation("POOL.CLOSE", pool, at - timedelta(seconds=1))
        if status == "ARCHIVED":
            self._operation("POOL.ARCHIVE", pool, self._between(at, self._ago(0.02)))
        operation = self._operation("SOLUTION.AGGREGATE", pool, at + timedelta(minutes=3))
        for task in (task for suite in suites for task in suite["tasks"]):
            self._add(
                "aggregated_solutions",
                {
                    "operation_id": operation["id"],
                    "confidence": Decimal(f"{dice.uniform(0.5, 1):.4f}"),
                    "pool_id": pool["id"],
                    "task_id": task["id"],
                    "output_values": dice.pick(_outputs(pool["private_name"])),
                },
            )

    def _operation(
        self, kind: str, pool: Json | None, at: datetime, *, details: Json | None = None
    ) -> Json:
        """Make an operation that went well."""
        return self._add(
            "operations",
            {
                "id": random_uuid(self._dice),
                "type": kind,
                "status": "SUCCESS",
                "submitted": print_exactly(at),
                "started": print_exactly(at + timedelta(milliseconds=131)),
                "finished": print_exactly(at + timedelta(milliseconds=759)),
                "progress": 100,
                "parameters": {"pool_id": pool["id"]} if pool else {},
                "details": details or {},
            },
        )

    def _watch(self, pool: Json, created: datetime) -> None:
        for event in ("ASSIGNMENT_SUBMITTED", "POOL_CLOSED"):
            self._add(
                "webhook_subscriptions",
                {
                    "id": object_id(created, self._dice),
                    "event_type": event,
                    "webhook_url": f"https://example.com/toloka/{event.lower()}",
                    "pool_id": pool["id"],
                    "created": print_exactly(created + timedelta(minutes=1)),
                },
            )

    def bonuses(self) -> None:
        """Give the bonuses, many at once."""
        for first in range(0, len(self._rewarded), _BONUSES):
            given = self._rewarded[first : first + _BONUSES]
            latest = max(read_date(row["accepted"]) for row in given)
            at = self._between(latest, self._ago(0.01))
            details = {"total_count": len(given), "success_count": len(given)}
            operation = self._operation("USER_BONUS.BATCH_CREATE", None, at, details=details)
            for number, assignment in enumerate(given):
                [bonus_id] = assignment["bonus_ids"]
                bonus = {
                    "user_id": assignment["user_id"],
                    "amount": self._dice.pick(_REWARDS),
                    "private_comment": "Good work",
                    "public_title": {"EN": "Good job!"},
                    "public_message": {"EN": "You are one of the best"},
                    "without_message": False,
                    "assignment_id": assignment["id"],
                }
                created = print_exactly(at)
                self._add("user_bonuses", {"id": bonus_id, **bonus, "created": created})
                self._add(
                    "operation_logs",
                    {
                        "operation_id": operation["id"],
                        "number": number,
                        "type": "USER_BONUS_PERSIST",
                        "success": True,
                        "input": bonus,
                        "output": {"user_bonus_id": bonus_id},
                    },
                )

    def talk(self) -> None:
        """Let Tolokers ask, and forbid some of them to come back."""
        pools = self.rows["pools"]
        for number, user in enumerate(self._users[:12] if pools else []):
            pool = pools[number % len(pools)]
            at = self._between(read_date(pool["created"]), self._now)
            self._add("message_threads", self._thread(user, pool, at))
            if number % 4 == 0:
                self._add("user_restrictions", self._restriction(user, pool, at))

    def _thread(self, user: str, pool: Json, at: datetime) -> Json:
        toloker = {"id": user, "role": "USER"}
        return {
            "id": object_id(at, self._dice),
            "topic": {"EN": f"About {pool['private_name']}"},
            "interlocutors_inlined": True,
            "interlocutors": [{"id": OWNER["id"], "role": "REQUESTER", "myself": True}, toloker],
            "messages_inlined": True,
            "messages": [
                {
                    "text": {"EN": "Is there more of it?"},
                    "from": toloker,
                    "created": print_exactly(at),
                }
            ],
            "meta": {"pool_id": pool["id"], "project_id": pool["project_id"]},
            "folders": ["INBOX", "UNREAD"],
            "answerable": True,
            "created": print_exactly(at),
        }

    def _restriction(self, user: str, pool: Json, at: datetime) -> Json:
        number = len(self.rows["user_restrictions"])
        where: tuple[Json, ...] = (
            {"scope": "POOL", "pool_id": pool["id"]},
            {"scope": "PROJECT", "project_id": pool["project_id"]},
            {"scope": "ALL_PROJECTS"},
        )
        return {
            "id": str(470_000 + number),
            "user_id": user,
            "private_comment": "Answers too fast",
            **where[number % len(where)],
            "will_expire": print_exactly(at + timedelta(days=10)),
            "created": print_exactly(at),
        }

    def apps(self) -> None:
        """Make templates of apps, projects of them, and what is in these."""
        dice = self._dice
        for name in ("Image classification", "Product relevance"):
            app = self._add("apps", apps.make_app(app_id(dice), name, dice))
            created = self._ago(dice.uniform(30, 60))
            project = self._add("app_projects", _app_project(app, created, dice))
            for batch in range(2):
                self._batch(project, batch, self._between(created, self._ago(2)))

    def _batch(self, project: Json, number: int, created: datetime) -> None:
        dice = self._dice
        batch_id, items = app_id(dice), []
        for place in range(10):
            item: Json = {
                "id": app_id(dice),
                "app_project_id": project["id"],
                "batch_id": batch_id,
                "status": "NEW",
                "input_data": {"id": str(place), "text": f"Thing {place}"},
                "output_data": {},
                "errors": [],
                "created_at": print_exactly(created + timedelta(seconds=place)),
            }
            for hours in (1, 4):
                if number == 0 or dice.chance(0.5):
                    at = created + timedelta(hours=hours + place / 10)
                    item |= next_change("app_items", item, dice, at)
            items.append(self._add("app_items", item))
        counts = {
            status: sum(item["status"] == status for item in items) for status in apps.ITEM_STATUSES
        }
        self._add(
            "app_batches",
            {
                "id": batch_id,
                "app_project_id": project["id"],
                "status": "PROCESSING" if counts["NEW"] + counts["PROCESSING"] else "COMPLETED",
                "name": f"{project['name']}, batch {number + 1}",
                "items_count": len(items),
                "item_price": project["item_price"],
                "cost": project["item_price"] * len(items),
                "cost_of_processed": project["item_price"] * counts["COMPLETED"],
                "created_at": print_exactly(created),
                "started_at": print_exactly(created + timedelta(minutes=30)),
                "read_only": False,
                "validation_errors": {},
                "items_processed_count": counts["COMPLETED"],
                "items_per_state": counts,
                "current_time": print_exactly(self._now - timedelta(seconds=1)),
                "priority_order": "FIVE",
            },
        )


def _app_project(app: Json, created: datetime, dice: Dice) -> Json:
    name = f"{app['name']} for the shop"
    return {
        "id": app_id(dice),
        "app_id": app["id"],
        "parent_app_project_id": "",
        "status": "READY",
        "created": print_exactly(created),
        "name": name,
        "parameters": apps.make_parameters(name),
        "errors": [],
        "item_price": Decimal("0.07"),
        "read_only": False,
        "app": {"id": app["id"], "name": app["name"]},
    }


def _outputs(name: str) -> tuple[Json, ...]:
    """Give what may be answered in a project, or in a pool, of this name."""
    return next(outputs for topic, _, outputs in _TOPICS if name.startswith(topic))
