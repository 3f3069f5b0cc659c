"""What one requester has: rows of all lists that belong together, joinable by ids."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter

from toloka_emulator.data.answers import answer, next_step, truth
from toloka_emulator.data.mixing import (
    MIXER_CONFIG,
    REAL_TASKS,
    TAKEN,
    count_remaining,
    issue_suite,
    make_tasks,
)
from toloka_emulator.data.people import REQUESTER
from toloka_emulator.data.rows import make_row
from toloka_emulator.data.values import Dice, Json, print_exactly, read_date
from toloka_emulator.server.resources import RESOURCES

Account = dict[str, list[Json]]
"""All rows that a requester has, by list."""

_PROJECTS = ("Cats and dogs", "Road signs", "Audio transcripts", "Receipts", "Shop fronts")
_SKILLS = ("English", "Attention to detail", "Image classification", "Transcription")
_PRICES = tuple(Decimal(text) for text in ("0.01", "0.03", "0.05", "0.10", "0.25"))
# What becomes of pools, in turn: some that are open have not seen a submission for days.
_COURSES = ("OPEN", "CLOSED", "CLOSED", "STUCK", "OPEN", "CLOSED", "ARCHIVED", "OPEN")
_BONUSES = 5  # as many are given at once
_FIRST_IDS = {
    "projects": 81_776,
    "pools": 36_502_086,
    "trainings": 31_226_418,
    "skills": 12_648,
    "user_skills": 10_000,
    "user_restrictions": 470_000,
    "user_bonuses": 3_139,
}


def make_account(*, pools: int, assignments: int, seed: int = 0, now: datetime) -> Account:
    """Make rows of all lists that belong together, the same ones for the same arguments.

    Dates lie before `now`, most of them within the 60 days before. Tasks are shared between rows:
    change a row at its top level only.

    Args:
        pools: How many pools.
        assignments: How many assignments, spread over the pools.
        seed: Another account for another seed.
        now: The end of it, with a zone.
    """
    builder = _Builder(Dice(f"account {seed}"), now)
    builder.add_people_and_projects()
    builder.add_apps()
    places = builder.dice.choices(range(pools), k=assignments) if pools else []
    shares = Counter(places)
    for number in range(pools):
        builder.add_pool(number, shares[number])
    builder.add_bonuses()
    return builder.rows


class _Builder:
    def __init__(self, dice: Dice, now: datetime) -> None:
        self.rows: Account = {name: [] for name in RESOURCES}
        self.dice = dice
        self._now = now

    def _ago(self, days: float) -> datetime:
        return self._now - timedelta(days=days)

    def _between(self, first: datetime, last: datetime) -> datetime:
        return first + (last - first) * self.dice.random()

    def _add(self, name: str, at: datetime | None = None, /, **fields: object) -> Json:
        """Add a row; unless told when it came to be, so long ago that all its dates are past."""
        if name in _FIRST_IDS:
            fields["id"] = str(_FIRST_IDS[name] + 7 * len(self.rows[name]))
        at = at or self._between(self._ago(60), self._ago(25))
        row = make_row(name, self.dice, at, **fields)
        self.rows[name].append(row)
        return row

    def add_people_and_projects(self) -> None:
        """Add the requester, Tolokers and what they can do, and projects with a training each."""
        self._add("requester")
        for name in _SKILLS:
            self._add("skills", self._ago(65), name=name, public_name={"EN": name})
        for _ in range(40):
            user_id = self._add("user_metadata")["id"]
            for skill in self.dice.sample(self.rows["skills"], 2):
                self._add("user_skills", user_id=user_id, skill_id=skill["id"])
        for name in _PROJECTS:
            project = self._add("projects", self._ago(65), public_name=name, status="ACTIVE")
            training = f"{name}: training"
            self._add("trainings", self._ago(64), project_id=project["id"], private_name=training)

    def add_apps(self) -> None:
        """Add apps, projects of them, and what is in these."""
        for name in ("Image classification", "Product relevance"):
            app_id = self._add("apps", name=name)["id"]
            project = self._add("app_projects", self._ago(62), app_id=app_id, name=name)
            for _ in range(2):
                batch = self._add("app_batches", app_project_id=project["id"])
                ids = {"app_project_id": project["id"], "batch_id": batch["id"]}
                for _ in range(10):
                    self._add("app_items", read_date(batch["created_at"]), **ids)

    def add_pool(self, number: int, assignments: int) -> None:
        """Add a pool, and all that is in it and about it."""
        dice, course = self.dice, _COURSES[number % len(_COURSES)]
        project = self.rows["projects"][number % len(_PROJECTS)]
        created = self._ago(dice.uniform(8 if course == "STUCK" else 3, 60))
        started = created + timedelta(minutes=dice.uniform(10, 300))
        ended = self._now
        if course == "STUCK":
            ended = self._ago(dice.uniform(3, 7))
        elif course != "OPEN":
            ended = self._between(started + timedelta(hours=8), self._ago(0.1))
        pool = self._add(
            "pools",
            created,
            project_id=project["id"],
            private_name=f"{project['public_name']} · batch {number + 1}",
            reward_per_assignment=dice.pick(_PRICES),
            assignment_max_duration_seconds=600,
            auto_accept_period_day=21,
            mixer_config=MIXER_CONFIG,
            type="REGULAR",
            status="OPEN",
            last_started=print_exactly(started),
        )
        self._add_operation("POOL.OPEN", pool, started - timedelta(seconds=2))
        last = ended - (timedelta(minutes=2) if course == "OPEN" else timedelta(hours=2))
        moments = sorted(self._between(started, last) for _ in range(assignments - 1))
        # In turn, so that nobody gets the same task twice.
        team = itertools.cycle(dice.sample(self.rows["user_metadata"], dice.randrange(12, 31)))
        issued = [
            self._add_assignment(pool, next(team), at, ended)
            for at in [*moments, last][:assignments]
        ]
        done = dice.uniform(0.4, 0.95) if course in {"OPEN", "STUCK"} else 1
        tasks = self._add_tasks(pool, created + timedelta(minutes=5), issued, done)
        if course in {"CLOSED", "ARCHIVED"}:
            self._close(pool, course, ended)
            self._aggregate(pool, tasks, ended + timedelta(minutes=3))
        if number % 5 == 0:
            self._add("webhook_subscriptions", created, pool_id=pool["id"])
            self._add_messages_and_restrictions(pool, created)

    def _close(self, pool: Json, status: str, at: datetime) -> None:
        pool |= {"status": status, "last_stopped": print_exactly(at)}
        pool["last_close_reason"] = self.dice.pick(("COMPLETED", "COMPLETED", "MANUAL", "EXPIRED"))
        self._add_operation("POOL.CLOSE", pool, at - timedelta(seconds=1))
        if status == "ARCHIVED":
            self._add_operation("POOL.ARCHIVE", pool, at + timedelta(hours=1))

    def _add_assignment(self, pool: Json, user: Json, at: datetime, ended: datetime) -> Json:
        """Give a Toloker a suite, and see how far that came before the pool, and all, ended."""
        dice = self.dice
        row = self._add(
            "assignments",
            at,
            pool_id=pool["id"],
            user_id=user["id"],
            tasks=[],
            reward=pool["reward_per_assignment"],
            bonus_ids=[],
            status="ACTIVE",
        )
        done = at + timedelta(seconds=dice.uniform(30, 600))
        checked = done + timedelta(days=dice.expovariate(1))
        for moment in (done, checked, checked + timedelta(days=dice.expovariate(1))):
            if moment < (ended if moment is done else self._now):
                row |= next_step(row, dice, moment)
        if "submitted" in row and dice.chance(0.03):
            details = {"assignment_id": row["id"], "pool_id": pool["id"], "user_id": row["user_id"]}
            self._add("attachments", done - timedelta(seconds=9), details=details)
        return row

    def _add_tasks(self, pool: Json, at: datetime, issued: list[Json], done: float) -> list[Json]:
        """Add the tasks of a pool, made by one operation, and the suites in its assignments.

        Args:
            pool: The pool.
            at: When the tasks came to be.
            issued: Its assignments, in the order they began, still without tasks.
            done: Which share of the tasks they have taken.
        """
        overlap = self.dice.pick((3, 3, 5))
        taken = sum(row["status"] in TAKEN for row in issued)
        suites = math.ceil(taken / done / overlap) or 1
        tasks = make_tasks(self.dice, pool["id"], suites, overlap, at)
        self.rows["tasks"] += tasks
        operation = self._add_operation("TASK.BATCH_CREATE", pool, at)
        for number, task in enumerate(tasks):
            given = {"pool_id": pool["id"], "input_values": task["input_values"]}
            self._log(operation, number, "TASK_CREATE", given, task_id=task["id"])
        self._issue(tasks, overlap, issued)
        return tasks

    def _issue(self, tasks: list[Json], overlap: int, issued: list[Json]) -> None:
        """Give each assignment a suite, and what was submitted its answers."""
        real = [task for task in tasks if not task["infinite_overlap"]]
        golden = tasks[len(real) :]
        suites, taken = [], 0
        for row in issued:
            first = taken // overlap * REAL_TASKS
            share = real[first : first + REAL_TASKS] or real[-REAL_TASKS:]
            suite = issue_suite(self.dice, share, golden, read_date(row["created"]))
            suites.append(suite)
            row |= {"task_suite_id": suite["id"], "tasks": suite["tasks"]}
            if "solutions" in row:
                row["solutions"] = [answer(task, row["user_id"]) for task in row["tasks"]]
            taken += row["status"] in TAKEN
        self.rows["task_suites"] += suites
        count_remaining([*suites, *tasks], issued)

    def _aggregate(self, pool: Json, tasks: list[Json], at: datetime) -> None:
        operation = self._add_operation("SOLUTION.AGGREGATE", pool, at)
        for task in tasks:
            ids = {"operation_id": operation["id"], "pool_id": pool["id"], "task_id": task["id"]}
            self._add("aggregated_solutions", **ids, output_values=truth(task))

    def _add_operation(self, kind: str, pool: Json | None, at: datetime) -> Json:
        """Add an operation that went well."""
        parameters = {"pool_id": pool["id"]} if pool else {}
        return self._add("operations", at, type=kind, status="SUCCESS", parameters=parameters)

    def _log(self, operation: Json, number: int, kind: str, given: Json, **made: str) -> None:
        facts = {"operation_id": operation["id"], "number": number, "type": kind, "success": True}
        self._add("operation_logs", **facts, input=given, output=made)

    def _add_messages_and_restrictions(self, pool: Json, at: datetime) -> None:
        """Let a Toloker ask about a pool, and forbid another one to come back."""
        asking, banned = self.dice.sample(self.rows["user_metadata"], 2)
        ids = {"pool_id": pool["id"], "project_id": pool["project_id"]}
        talking = [REQUESTER, {"id": asking["id"], "role": "USER"}]
        self._add("message_threads", at, interlocutors=talking, meta=ids)
        for scope in ("pool", "project"):
            where = {"scope": scope.upper(), f"{scope}_id": ids[f"{scope}_id"]}
            self._add("user_restrictions", at, user_id=banned["id"], **where)

    def add_bonuses(self) -> None:
        """Give bonuses for some of what was accepted, many by one operation."""
        late = print_exactly(self._ago(0.05))
        accepted = [row for row in self.rows["assignments"] if row["status"] == "ACCEPTED"]
        rewarded = [row for row in accepted if row["accepted"] < late and self.dice.chance(0.03)]
        rewarded.sort(key=itemgetter("accepted"))
        for first in range(0, len(rewarded), _BONUSES):
            self._add_bonuses_of(rewarded[first : first + _BONUSES])

    def _add_bonuses_of(self, rewarded: list[Json]) -> None:
        latest = read_date(rewarded[-1]["accepted"])
        at = min(latest + timedelta(minutes=50), self._ago(0.04))
        operation = self._add_operation("USER_BONUS.BATCH_CREATE", None, at)
        for number, row in enumerate(rewarded):
            ids = {"user_id": row["user_id"], "assignment_id": row["id"]}
            bonus = self._add("user_bonuses", at, amount=row["reward"], **ids)
            row["bonus_ids"] = [bonus["id"]]
            self._log(operation, number, "USER_BONUS_PERSIST", ids, user_bonus_id=bonus["id"])
