"""Random learner histories: the events, and the statements and track events that report them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lrs.api.services import Services
from lrs.projection import advance
from lrs.projection.vocabulary import load_vocabulary
from lrs.xapi import canvas_callbacks, track_events
from lrs.xapi.canvas_launches import Launch
from tests.support.projection_oracle import Membership, OracleEvent

Json = dict[str, Any]

DAY = datetime(2026, 5, 4, tzinfo=UTC)
VERBS = {
    "registered": "http://adlnet.gov/expapi/verbs/registered",
    "started": "https://activitystrea.ms/schema/1.0/start",
    "progressed": "http://adlnet.gov/expapi/verbs/progressed",
    "completed": "http://adlnet.gov/expapi/verbs/completed",
    "passed": "http://adlnet.gov/expapi/verbs/passed",
    "failed": "http://adlnet.gov/expapi/verbs/failed",
    "worked": "http://adlnet.gov/expapi/verbs/experienced",
}
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
LEARNERS = ["ada", "ben", "eve", "kim"]
COURSES = ["http://datacamp.com/course/1", "http://datacamp.com/course/2"]
CHAPTER = "http://datacamp.com/course-chapter/1"
EXERCISE = "http://example.com/exercises/1"
LESSON = "http://example.com/lessons/1"
PARENTS = {CHAPTER: COURSES[0], EXERCISE: CHAPTER, LESSON: COURSES[1]}
PARTS = {CHAPTER: COURSES[0], EXERCISE: COURSES[0], LESSON: COURSES[1]}
"""The courses that items are parts of."""

TYPES = {CHAPTER: "http://datacamp.com/course-chapter", EXERCISE: "http://datacamp.com/exercise"}
TRACK = "http://datacamp.com/track/1"
ORGANIZATIONS = ["", "north", "south"]
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"


@dataclass(frozen=True)
class SentStatement:
    """One item to send: a statement or a track event, and its event, if it has one."""

    body: Json
    organization: str
    happening: OracleEvent | None
    resource: str = "statements"


async def project_all(services: Services, partner_id: int, limit: int = 1000) -> int:
    """Project all stored statements of a partner; return their number."""
    watermark = await services.watermark_reader.read_watermark(partner_id)
    projected = 0
    async with services.database.readers.acquire() as connection:
        while count := await advance.advance(
            connection, partner_id, load_vocabulary(), watermark, limit=limit
        ):
            projected += count
    return projected


def mailbox(learner: str) -> Json:
    return {"mbox": f"mailto:{learner}@example.com"}


def digest(learner: str) -> Json:
    address = f"mailto:{learner}@example.com"
    return {"mbox_sha1sum": hashlib.sha1(address.encode()).hexdigest()}


class Author:
    """Generates a history; the same for the same seed."""

    def __init__(self, seed: int, home_page: str) -> None:
        self.random = random.Random(seed)
        self.home_page = home_page

    def history(self, count: int) -> list[SentStatement]:
        """In sending order, which differs from the order of the events."""
        sent = [self.item() for _ in range(count)]
        # Later statements define courses at random: without a type they would be parts.
        sent[:0] = [self._defining(course) for course in COURSES]
        for item in self.random.sample(sent[2:], count // 8):
            if item.resource == "statements":
                position = self.random.randrange(2, len(sent) + 1)
                sent.insert(position, self.voiding(item))
        repeated = self.random.sample(sent[2:], count // 8)
        sent += [replace(item, happening=None) for item in repeated]
        return sent

    def memberships(self) -> list[Membership]:
        """With gaps, of some learners only, and of organizations without their events."""
        actual = []
        for learner in LEARNERS[:2]:
            for organization in self.random.sample(ORGANIZATIONS, 2):
                first = (DAY + timedelta(days=self.random.randrange(3))).date()
                gap = first + timedelta(days=2)
                actual.append(Membership(learner, organization, first, gap))
                actual.append(Membership(learner, organization, gap + timedelta(days=1), None))
        return actual

    def _defining(self, course: str) -> SentStatement:
        """A statement about a course without an event."""
        body = {
            "id": self._id(),
            "actor": {"objectType": "Group", "member": [mailbox("admin")]},
            "verb": {"id": VERBS["worked"]},
            "object": {"id": course, "definition": {"type": "http://datacamp.com/course"}},
        }
        return SentStatement(body, "", None)

    def item(self) -> SentStatement:
        make = self.random.choices((self._statement, self._track, self._callback), (6, 3, 2))[0]
        return make()

    def voiding(self, sent: SentStatement) -> SentStatement:
        target = {"objectType": "StatementRef", "id": sent.body["id"]}
        body = {"actor": mailbox("admin"), "verb": {"id": VOIDED}, "object": target}
        return SentStatement({**body, "id": self._id()}, "", None)

    def _id(self) -> str:
        text = f"{self.random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"

    def _at(self) -> datetime:
        """Few different times, so that some events are simultaneous."""
        return DAY + timedelta(hours=3 * self.random.randrange(48))

    def _maybe(self, value: Any) -> Any:
        return value if self.random.random() < 0.5 else None

    def _statement(self) -> SentStatement:
        chance = self.random
        learner, kind = chance.choice(LEARNERS), chance.choice(list(VERBS))
        registration = chance.choice([None, self._of(1), self._of(2)])
        score, seconds = self._maybe(chance.randrange(100)), self._maybe(chance.randrange(4000))
        progress, xp = self._maybe(chance.randrange(101)), self._maybe(chance.randrange(50))
        percentile, mobile = self._maybe(chance.randrange(100)), chance.choice([None, True, False])
        scores = (
            None
            if score is None
            else chance.choice(
                [
                    {"raw": score},
                    {"scaled": score / 100},
                    {"raw": 2 * score + 50, "min": 50, "max": 250},
                    {"raw": score / 4, "max": 25},
                ]
            )
        )
        success, completion = chance.choice([None, None, True, False]), chance.random() < 0.1
        happening = OracleEvent(
            self._id(), learner, chance.choice([*COURSES, CHAPTER, EXERCISE, LESSON]),
            chance.choice(ORGANIZATIONS), "xapi",
            self._at(), "completed" if completion else kind,
            None if seconds is None else 500 * seconds,
            registration=registration, progress=progress, score=score,
            raw_score=None if scores is None else scores.get("raw", score),
            percentile=percentile, xp=xp, is_mobile=mobile,
            success={"passed": True, "failed": False}.get(kind) if success is None else success,
        )  # fmt: skip
        result = {
            "completion": completion or None,
            "success": success,
            "score": scores,
            "duration": None if seconds is None else f"PT{seconds // 2}.{seconds % 2 * 5}S",
            "extensions": _present({PROGRESS: progress, "http://datacamp.com/xp": xp}),
        }
        parent = PARENTS.get(happening.content)
        context = {
            "registration": registration,
            "contextActivities": _present(
                {
                    "parent": [{"id": parent}]
                    if parent
                    else self._maybe([{"id": "http://datacamp.com/course/3"}]),
                    "grouping": self._maybe([self._defined(TRACK, "http://datacamp.com/track")]),
                }
            ),
            "extensions": _present(
                {
                    "http://datacamp.com/percentile": percentile,
                    "http://datacamp.com/isMobile": mobile,
                }
            ),
        }
        body = {
            "id": happening.statement_id,
            "actor": chance.choice([mailbox, digest])(learner),
            "verb": {"id": VERBS[kind]},
            "object": self._defined(happening.content, TYPES.get(happening.content)),
            "result": _present(result),
            "context": _present(context),
            "timestamp": happening.at.isoformat(),
        }
        return SentStatement(body, happening.organization, happening)

    def _defined(self, activity: str, kind: str | None) -> Json:
        """An activity that a tenth of the statements define."""
        definition = _present({"type": kind, "name": {"en": activity}})
        defined = {"id": activity, "definition": definition}
        return defined if self.random.random() < 0.1 else {"id": activity}

    def _of(self, number: int) -> str:
        return f"0000000{number}-3ef0-4ed3-8b37-7f3964730bee"

    def _track(self) -> SentStatement:
        chance = self.random
        organization, learner = chance.choice(ORGANIZATIONS), chance.choice(LEARNERS)
        status, at = chance.choice(["started", "in_progress", "completed"]), self._at()
        spent, percent = self._maybe(chance.randrange(5000)), self._maybe(chance.randrange(101))
        body = {
            "content_id": chance.choice([*COURSES, "ext 101"]),
            "user": f"{learner}@example.com",
            "status": status,
            "event_date": at.isoformat(),
            **_present({"duration_spent": spent, "completion_percentage": percent}),
        }
        stored = track_events.statement(
            body, organization=organization or None, home_page=self.home_page
        )
        happening = OracleEvent(
            stored["id"], learner, stored["object"]["id"], organization, "track", at,
            status.replace("in_progress", "progressed"),
            None if spent is None else 1000 * spent, total=True, progress=percent,
        )  # fmt: skip
        return SentStatement(body, organization, happening, "track")

    def _callback(self) -> SentStatement:
        """A statement as the Canvas callback stores it; its page is no content item."""
        chance = self.random
        launch = Launch("", "player", chance.choice(["42", "43"]), "9", 0, "")
        seconds, at = self._maybe(chance.randrange(900)), self._at()
        sent = {
            "object": {"id": f"http://example.com/pages/{chance.randrange(3)}"},
            "verb": {"id": VERBS[chance.choice(list(VERBS))]},
            "result": {"completion": True, "score": {"raw": 1}}
            | ({} if seconds is None else {"duration": f"PT{seconds}S"}),
            "timestamp": at.isoformat(),
        }
        report = canvas_callbacks.parse_xapi(sent, orjson.dumps(sent))
        statement_id = self._id()
        body = canvas_callbacks.statement(report, launch, self.home_page)
        body["id"] = statement_id
        happening = OracleEvent(
            statement_id, launch.user, f"{self.home_page}/courses/9", "", "canvas", at, "worked",
            None if seconds is None else 1000 * seconds,
        )  # fmt: skip
        return SentStatement(body, "", happening)


def _present(members: Json) -> Json:
    return {name: value for name, value in members.items() if value not in (None, {})}


def expected_events(sent: list[SentStatement]) -> list[OracleEvent]:
    """The events of a stored history: deduplicated, without the voided ones."""
    voided = {
        item.body["object"]["id"] for item in sent if item.body.get("verb", {}).get("id") == VOIDED
    }
    actual = {
        item.happening.statement_id: item.happening
        for item in reversed(sent)
        if item.happening is not None and item.happening.statement_id not in voided
    }
    return list(actual.values())
