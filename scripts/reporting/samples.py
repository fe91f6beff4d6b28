"""Statements as they are stored, made by the million: the shapes of the vendors' documents.

A learner starts courses, works through their chapters, and is heard of by track events; a few
courses are far more popular than the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from lrs.store.statements import sequence
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys, track_events

COURSES = 400
CHAPTERS = 5
DAYS = 730
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
TECHNOLOGIES = ("Python", "R", "SQL", "Power BI", "Tableau")
TOPICS = ("Programming", "Data Manipulation", "Data Visualization", "Machine Learning")
VERBS = {
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "progressed": "http://adlnet.gov/expapi/verbs/progressed",
    "started": "https://activitystrea.ms/schema/1.0/start",
}
COLUMNS = (
    *("partner_id", "sequence", "statement_id", "verb_key", "authority_key", "actor_key"),
    *("object_key", "organization", "digest", "payload"),
)
AUTHORITY = {"objectType": "Agent", "account": {"homePage": "https://lrs.example", "name": "bench"}}

Json = dict[str, Any]


def rows(count: int, learners: int, partner_id: int, seed: int = 1) -> Iterator[tuple[Any, ...]]:
    """Rows of the statement table, in the order of COLUMNS and of their storing."""
    chance = random.Random(seed)
    own = key_salt(partner_id)
    keys = {verb: index_keys.verb_key(verb) ^ own for verb in VERBS.values()}
    for number, statement in enumerate(_statements(chance, count, learners)):
        statement_id = UUID(int=chance.getrandbits(128), version=4)
        statement["id"] = str(statement_id)
        statement["stored"] = statement["timestamp"]
        yield (
            partner_id,
            sequence.first_at(BEGINNING + timedelta(days=DAYS) * (number / count)),
            statement_id,
            keys[statement["verb"]["id"]],
            1,
            (index_keys.actor_key(statement) or 0) ^ own,
            (index_keys.object_key(statement) or 0) ^ own,
            None,
            statement_id.bytes * 2,
            orjson.dumps(statement).decode(),
        )


def address(learner: int) -> str:
    return f"learner{learner}@example.com"


def people(learners: int, teams: int = 20) -> list[Json]:
    """Rows of a people import: users with an account and a team each."""
    records: list[Json] = [
        {"type": "team", "team": f"team-{team}", "name": f"Team {team}"} for team in range(teams)
    ]
    for learner in range(learners):
        user, team = f"emp_{learner}", f"team-{learner % teams}"
        records += [
            {"type": "user", "user": user, "email": address(learner)},
            {"type": "identifier", "user": user, "kind": "track", "value": str(learner)},
            {"type": "membership", "user": user, "team": team, "from": "2024-01-01"},
        ]
    return records


def definitions() -> Iterator[tuple[str, Json]]:
    """The activities of the statements, with definitions."""
    for course in range(COURSES):
        yield _course(course)["id"], _course(course)["definition"]
        for chapter in range(CHAPTERS):
            activity = _chapter(course, chapter)
            yield activity["id"], activity["definition"]


def _statements(chance: random.Random, count: int, learners: int) -> Iterator[Json]:
    """Sessions in sequence: a learner works on the chapters of a course."""
    number = 0
    while number < count:
        learner = address(chance.randrange(learners))
        course = int(COURSES ** chance.random()) - 1
        session = _session(chance, course, learner)[: count - number]
        for minute, statement in enumerate(session):
            moment = BEGINNING + timedelta(days=DAYS) * (number / count)
            yield {
                "actor": {"objectType": "Agent", "mbox": f"mailto:{learner}"},
                **statement,
                "timestamp": (moment + timedelta(minutes=10 * minute)).isoformat(),
                "authority": AUTHORITY,
                "version": "1.0.0",
            }
        number += len(session)


def _session(chance: random.Random, course: int, learner: str) -> list[Json]:
    if chance.random() < 0.3:
        return [_tracked(chance, course, learner) for _ in range(2)]
    first = chance.randrange(CHAPTERS)
    chapters = range(first, min(CHAPTERS, first + chance.randrange(1, 4)))
    begun = [_started(course)] if first == 0 else []
    return begun + [
        statement
        for chapter in chapters
        for statement in (
            _completed(chance, course, chapter),
            _progressed(course, 100 * (chapter + 1) // CHAPTERS),
        )
    ]


def _verb(name: str) -> Json:
    return {"id": VERBS[name], "display": {"en-US": name.upper()}}


def _course(course: int) -> Json:
    return {
        "id": f"http://datacamp.com/course/{course}",
        "definition": {
            "name": {"en-US": f"Introduction to {TECHNOLOGIES[course % 5]} {course}"},
            "description": {"en-US": "Master the basics of data analysis."},
            "type": "http://datacamp.com/course",
            "extensions": {
                "http://datacamp.com/topics": [TECHNOLOGIES[course % 5], TOPICS[course % 4]]
            },
        },
    }


def _chapter(course: int, chapter: int) -> Json:
    return {
        "id": f"http://datacamp.com/course-chapter/{course * CHAPTERS + chapter}",
        "definition": {
            "name": {"en-US": f"Chapter {chapter}"},
            "description": {"en-US": "An introduction to the basics."},
            "type": "http://datacamp.com/course-chapter",
            "extensions": {
                "http://datacamp.com/parentId": f"http://datacamp.com/course/{course}",
                "http://datacamp.com/parentContentType": "http://datacamp.com/course",
            },
        },
    }


def _started(course: int) -> Json:
    return {"verb": _verb("started"), "object": _course(course)}


def _progressed(course: int, percent: int) -> Json:
    target = _course(course)
    target["definition"]["extensions"]["http://datacamp.com/percentCompleted"] = percent
    return {"verb": _verb("progressed"), "object": target}


def _completed(chance: random.Random, course: int, chapter: int) -> Json:
    return {
        "verb": _verb("completed"),
        "object": _chapter(course, chapter),
        "result": {
            "completion": True,
            "success": True,
            "score": {"raw": chance.randrange(100), "min": 0, "max": 100},
            "duration": f"PT{chance.randrange(60)}M{chance.randrange(60)}S",
            "extensions": {"http://datacamp.com/xp": 10 * chance.randrange(100)},
        },
    }


def _tracked(chance: random.Random, course: int, learner: str) -> Json:
    event = {
        "content_id": f"http://datacamp.com/course/{course}",
        "user": learner,
        "status": chance.choice(tuple(track_events.VERBS)),
        "event_date": "2024-05-13T14:25:00Z",
        "completion_percentage": chance.randrange(100),
        "duration_spent": chance.randrange(10_000),
    }
    made = track_events.statement(event, organization=None, home_page="https://partner.example")
    return {name: made[name] for name in ("verb", "object", "result", "context")}
