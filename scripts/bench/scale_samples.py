"""Sample items by the million, in the shapes of the vendors' documents.

A learner starts courses, works through their chapters, and sends track events; a few courses are
far more popular than the others. Half of the learners belong to an organization.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from lrs.xapi import track_events

COURSES = 400
CHAPTERS = 5
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
PERIOD = timedelta(days=730)
ORGANIZATION = "north"
TECHNOLOGIES = ("Python", "R", "SQL", "Power BI", "Tableau")
TOPICS = ("Programming", "Data Manipulation", "Data Visualization", "Machine Learning")
VERBS = {
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "progressed": "http://adlnet.gov/expapi/verbs/progressed",
    "started": "https://activitystrea.ms/schema/1.0/start",
}

_OF_TRACK_EVENTS = 0.3
_OF_INSTRUCTORS = 0.2

Json = dict[str, Any]


class Item(NamedTuple):
    """A statement or a track event as it is sent."""

    value: Json
    is_track_event: bool
    organization: str | None


def items(numbers: range, total: int, learners: int) -> Iterator[Item]:
    """The items with these numbers of `total` ones, which are spread over the period.

    The same numbers give the same items.
    """
    chance = random.Random(numbers.start)
    number = numbers.start
    while number < numbers.stop:
        learner = chance.randrange(learners)
        course = int(COURSES ** chance.random()) - 1
        organization = None if learner % 2 else ORGANIZATION
        first = BEGINNING + PERIOD * (number / total)
        for minute, value in enumerate(_session(chance, course, learner)):
            if number == numbers.stop:
                return
            at = (first + timedelta(minutes=10 * minute)).isoformat()
            is_track_event = "event_date" in value
            value["event_date" if is_track_event else "timestamp"] = at
            yield Item(value, is_track_event, organization)
            number += 1


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


def _session(chance: random.Random, course: int, learner: int) -> list[Json]:
    """What a learner sends while working on the chapters of a course."""
    if chance.random() < _OF_TRACK_EVENTS:
        return [_track_event(chance, course, learner) for _ in range(2)]
    first = chance.randrange(CHAPTERS)
    chapters = range(first, min(CHAPTERS, first + chance.randrange(1, 4)))
    contents = [_started(course)] if first == 0 else []
    for chapter in chapters:
        contents.append(_completed(chance, course, chapter))
        contents.append(_progressed(course, 100 * (chapter + 1) // CHAPTERS))
    actor = {"objectType": "Agent", "mbox": f"mailto:{address(learner)}"}
    if learner % 4:
        actor["name"] = f"Learner {learner}"
    return [{"id": _fresh_id(chance), "actor": actor, **content} for content in contents]


def _fresh_id(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


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
    content: Json = {
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
    if chance.random() < _OF_INSTRUCTORS:
        instructor = {"mbox": f"mailto:instructor{chance.randrange(50)}@example.com"}
        content["context"] = {"instructor": instructor, "registration": _fresh_id(chance)}
    return content


def _track_event(chance: random.Random, course: int, learner: int) -> Json:
    return {
        "content_id": f"http://datacamp.com/course/{course}",
        "user": address(learner),
        "status": chance.choice(tuple(track_events.VERBS)),
        "completion_percentage": chance.randrange(100),
        "duration_spent": chance.randrange(10_000),
        "event_date": "",
    }
