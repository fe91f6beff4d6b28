"""Statements as they come in: the shapes of the vendors' documents and richer ones, skewed.

Few learners and few courses make most of the noise: both are drawn from a Zipf-like distribution.
"""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

LEARNERS = 20_000
COURSES = 300
CHAPTERS = 20

VERBS = {
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "progressed": "http://adlnet.gov/expapi/verbs/progressed",
    "started": "https://activitystrea.ms/schema/1.0/start",
}


class Samples:
    """An endless supply, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def statement(self, *, with_id: bool = True) -> dict[str, Any]:
        make = self.random.choices((self._course, self._chapter, self._rich), (5, 3, 2))[0]
        statement = make()
        statement["timestamp"] = "2026-05-08T14:44:01.267Z"
        if with_id:
            statement["id"] = str(UUID(int=self.random.getrandbits(128), version=4))
        return statement

    def learner(self) -> str:
        return f"learner{self._skewed(LEARNERS)}@example.com"

    def course(self) -> str:
        return f"http://datacamp.com/course/{self._skewed(COURSES)}"

    def _skewed(self, count: int) -> int:
        """A number below `count`; small ones are far more frequent."""
        return int(count ** self.random.random()) - 1

    def _told(self, verb: str) -> dict[str, Any]:
        return {
            "actor": {"mbox": f"mailto:{self.learner()}", "objectType": "Agent"},
            "verb": {"id": VERBS[verb], "display": {"en-US": verb.upper()}},
        }

    def _activity(self, activity: str, kind: str) -> dict[str, Any]:
        return {
            "id": activity,
            "definition": {
                "name": {"en-US": "Introduction to Python"},
                "description": {"en-US": "Master the basics of data analysis in Python."},
                "type": f"http://datacamp.com/{kind}",
                "extensions": {"http://datacamp.com/topics": ["Python", "Programming"]},
            },
        }

    def _course(self) -> dict[str, Any]:
        verb = self.random.choice(list(VERBS))
        return {**self._told(verb), "object": self._activity(self.course(), "course")}

    def _chapter(self) -> dict[str, Any]:
        chapter = f"{self.course()}/chapter/{self.random.randrange(CHAPTERS)}"
        return {**self._told("completed"), "object": self._activity(chapter, "course-chapter")}

    def _rich(self) -> dict[str, Any]:
        course = self.course()
        lesson = f"{course}/chapter/{self.random.randrange(CHAPTERS)}"
        return {
            **self._told("completed"),
            "object": self._activity(lesson, "course-chapter"),
            "result": {
                "score": {"scaled": 0.87, "raw": 87, "min": 0, "max": 100},
                "completion": True,
                "success": True,
                "duration": "PT30M12.5S",
            },
            "context": {
                "registration": str(UUID(int=self.random.getrandbits(128), version=4)),
                "platform": "YourLMS",
                "instructor": {"name": "Jane Smith", "mbox": "mailto:jane.smith@yourlms.com"},
                "team": {
                    "objectType": "Group",
                    "account": {"homePage": "https://yourlms.com", "name": "cohort-7"},
                },
                "contextActivities": {
                    "parent": [{"id": course}],
                    "grouping": [{"id": "http://datacamp.com/track/python"}],
                    "category": [{"id": "http://datacamp.com/technology/python"}],
                },
            },
        }
