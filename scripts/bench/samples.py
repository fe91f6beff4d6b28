"""Sample statements in the shapes of the vendors' documents and richer ones, with skewed keys.

One learner has 4 % of all statements and one course is the object of 40 %. The other learners and
courses are skewed as well.
"""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

LEARNERS = 100_000
COURSES = 1_000
CHAPTERS = 20

VERBS = {
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "progressed": "http://adlnet.gov/expapi/verbs/progressed",
    "started": "https://activitystrea.ms/schema/1.0/start",
}

BUSY_LEARNER = {"mbox": "mailto:learner0@example.com", "objectType": "Agent"}
BUSY_COURSE = "http://datacamp.com/course/0"
RARE_COURSE = f"http://datacamp.com/course/{COURSES - 1}"

_OF_BUSY_LEARNER = 0.04
_OF_COURSES = 0.7
_OF_BUSY_COURSE = 0.4 / _OF_COURSES

Json = dict[str, Any]


class Samples:
    """Random statements, reproducible by seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def statement(self, statement_id: str | None = None) -> Json:
        """A statement with this id, or with a new one."""
        if self.random.random() < _OF_COURSES:
            make = self.random.choice((self.completed_course, self._course, self._partner))
        else:
            make = self.random.choice((self._chapter, self._rich))
        return {"id": statement_id or self.fresh_id(), **make(), "timestamp": self._timestamp()}

    def completed_course(self) -> Json:
        """A plain course completion, as in DataCamp's document."""
        return self._about_course("completed")

    def fresh_id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def learner(self) -> Json:
        """An agent identified by email or by employee id."""
        if self.random.random() < _OF_BUSY_LEARNER:
            return BUSY_LEARNER
        number = self._skewed(LEARNERS)
        if number % 2:
            account = {"name": f"emp_{number:06}", "homePage": "https://www.datacamp.com"}
            return {"account": account, "objectType": "Agent"}
        return {"mbox": f"mailto:learner{number}@example.com", "objectType": "Agent"}

    def course(self) -> int:
        if self.random.random() < _OF_BUSY_COURSE:
            return 0
        return self._skewed(COURSES)

    def _skewed(self, count: int) -> int:
        """A number from 1 to count - 1; small numbers are more frequent."""
        return 1 + int((count - 1) * self.random.random() ** 2)

    def _timestamp(self) -> str:
        minutes, seconds = divmod(self.random.randrange(86_400), 60)
        hour, minute = divmod(minutes, 60)
        month, day = self.random.randint(1, 12), self.random.randint(1, 28)
        thousandths = self.random.randrange(1000)
        return f"2025-{month:02}-{day:02}T{hour:02}:{minute:02}:{seconds:02}.{thousandths:03}Z"

    def _course(self) -> Json:
        return self._about_course(self.random.choice(("progressed", "started")))

    def _about_course(self, verb: str) -> Json:
        extensions: Json = {"http://datacamp.com/topics": ["Python", "Programming"]}
        if verb == "progressed":
            extensions = {"http://datacamp.com/percentCompleted": self.random.randrange(100)}
        course = f"http://datacamp.com/course/{self.course()}"
        return {
            "actor": self.learner(),
            "verb": _verb(verb),
            "object": _activity(course, "Introduction to Python", "course", extensions),
        }

    def _chapter(self) -> Json:
        """A completed chapter, as in DataCamp's document."""
        course = self.course()
        return {
            "actor": self.learner(),
            "verb": _verb("completed"),
            "object": self._chapter_of(course),
        }

    def _chapter_of(self, course: int) -> Json:
        number = course * CHAPTERS + self.random.randrange(CHAPTERS)
        extensions = {
            "http://datacamp.com/parentId": f"http://datacamp.com/course/{course}",
            "http://datacamp.com/parentContentType": "http://datacamp.com/course",
        }
        chapter = f"http://datacamp.com/course-chapter/{number}"
        return _activity(chapter, "Hello Python!", "course-chapter", extensions)

    def _partner(self) -> Json:
        """A completion with a result and an instructor, as in Percipio's document."""
        return {
            "actor": {**self.learner(), "name": "John Doe"},
            "verb": _verb("completed"),
            "object": {
                "id": f"http://datacamp.com/course/{self.course()}",
                "definition": {
                    "name": {"en-US": "Cloud Foundations"},
                    "description": {"en-US": "Learn the basics of cloud computing."},
                },
                "objectType": "Activity",
            },
            "result": {"completion": True, "success": True, "duration": "PT30M"},
            "context": {"platform": "YourLMS", "instructor": self._instructor()},
        }

    def _rich(self) -> Json:
        """A statement with score, group and context activities, as an LMS sends it."""
        course = self.course()
        raw = self.random.randrange(101)
        return {
            "actor": self._team() if self.random.random() < 0.1 else self.learner(),
            "verb": _verb("completed"),
            "object": self._chapter_of(course),
            "result": {
                "score": {"scaled": raw / 100, "raw": raw, "min": 0, "max": 100},
                "completion": True,
                "success": raw >= 50,
                "duration": f"PT{self.random.randrange(90)}M12.5S",
            },
            "context": {
                "registration": self.fresh_id(),
                "platform": "YourLMS",
                "instructor": self._instructor(),
                "team": {
                    "objectType": "Group",
                    "account": {
                        "homePage": "https://yourlms.com",
                        "name": f"cohort-{self._skewed(200)}",
                    },
                },
                "contextActivities": {
                    "parent": [{"id": f"http://datacamp.com/course/{course}"}],
                    "grouping": [{"id": f"http://datacamp.com/track/{self._skewed(50)}"}],
                    "category": [{"id": f"http://datacamp.com/technology/{self._skewed(20)}"}],
                },
            },
        }

    def _team(self) -> Json:
        members = {str(agent): agent for agent in (self.learner() for _ in range(3))}
        return {"objectType": "Group", "name": "Project team", "member": list(members.values())}

    def _instructor(self) -> Json:
        number = self._skewed(500)
        return {"name": "Jane Smith", "mbox": f"mailto:instructor{number}@yourlms.com"}


def _verb(name: str) -> Json:
    return {"id": VERBS[name], "display": {"en-US": name.upper()}}


def _activity(activity: str, name: str, kind: str, extensions: Json) -> Json:
    return {
        "id": activity,
        "definition": {
            "name": {"en-US": name},
            "description": {"en-US": "Master the basics of data analysis in Python."},
            "type": f"http://datacamp.com/{kind}",
            "extensions": extensions,
        },
    }
