"""Rules of the document resources: scope, concurrency and merge.

xAPI 1.0.3 Communication 2.2, 2.3, 2.6, 2.7 and 3.1; IEEE 9274.1.1 4.1.4, 4.1.6.2, 4.1.6.5, 4.1.6.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b, sha1

import orjson

from lrs.errors import (
    BadRequest,
    ConcurrencyConflict,
    MalformedJSON,
    TooLarge,
    UnsupportedMediaType,
)
from lrs.xapi import index_keys, query_params, requirements, strict_json
from lrs.xapi.preconditions import Preconditions
from lrs.xapi.requirements import Requirement
from lrs.xapi.validation import Version

ANY_BYTES = "application/octet-stream"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three document resources, and its parameters."""

    name: str
    id_parameter: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    requirement: Requirement


STATE = Kind("state", "stateId", ("activityId", "agent"), ("registration",), requirements.STATE)
AGENT_PROFILE = Kind("agent profile", "profileId", ("agent",), (), requirements.AGENT_PROFILE)
ACTIVITY_PROFILE = Kind(
    "activity profile", "profileId", ("activityId",), (), requirements.ACTIVITY_PROFILE
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The activity, agent and registration that documents belong to.

    `agent` is an identity (see index_keys). Without a registration, a single document is the one
    without a registration; a list covers all registrations.
    """

    kind: str
    activity: str | None
    agent: str | None
    registration: str | None

    @property
    def key(self) -> bytes:
        """A hash without the registration: documents of one activity and agent are adjacent."""
        return _hash(self.kind, self.activity, self.agent)

    def document_key(self, document_id: str) -> bytes:
        return _hash(self.registration, document_id)


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """Parsed parameters: one document, or all of a scope if `document_id` is empty."""

    scope: Scope
    document_id: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Document:
    """Content as sent or merged. `etag` is its SHA-1 in hexadecimal (xAPI 1.0.3 Communication 3.1),
    without quotes.
    """

    content: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, content_type: str) -> Document:
        return cls(content, content_type, sha1(content, usedforsecurity=False).hexdigest())

    @property
    def is_json(self) -> bool:
        return self.content_type.partition(";")[0].strip().lower() == JSON


def _hash(*parts: str | None) -> bytes:
    return blake2b(orjson.dumps(parts), digest_size=16).digest()


def parse(
    pairs: Iterable[tuple[str, str]], kind: Kind, method: str, version: Version = "1.0.3"
) -> DocumentQuery:
    """The query in the parameters (tables of xAPI 1.0.3 Communication 2.3, 2.6 and 2.7).

    Raises InvalidParameter with every parameter that is unknown, repeated, malformed, missing or
    not allowed.
    """
    section = kind.requirement[version]
    since = ("since",) if method == "GET" else ()
    allowed = (*kind.required, *kind.optional, kind.id_parameter, *since)
    single = method in ("PUT", "POST") or (method == "DELETE" and kind is not STATE)
    values = query_params.parse(
        pairs,
        {name: _PARSERS[name] for name in allowed},
        required=(*kind.required, kind.id_parameter) if single else kind.required,
        section=section,
    )
    if "since" in values and kind.id_parameter in values:
        conflict = ("since", f"cannot be given together with {kind.id_parameter}")
        query_params.raise_if_invalid([conflict], section=section)
    agent = index_keys.agent_identity(values["agent"]) if "agent" in values else None
    scope = Scope(kind.name, values.get("activityId"), agent, values.get("registration"))
    return DocumentQuery(scope, values.get(kind.id_parameter, ""), values.get("since"))


_PARSERS: dict[str, query_params.Parser] = {
    "activityId": query_params.iri,
    "agent": query_params.agent,
    "registration": query_params.uuid,
    "stateId": query_params.text,
    "profileId": query_params.text,
    "since": query_params.timestamp,
}


def check_put(
    kind: Kind, version: Version, preconditions: Preconditions, stored: Document | None
) -> None:
    """Checks that a PUT may replace the stored document.

    xAPI 1.0.3 Communication 3.1, IEEE 9274.1.1 4.1.4. Raises PreconditionFailed. Without
    preconditions, raises ConcurrencyConflict for a stored document, and BadRequest for a new
    profile in 1.0.3. State in 1.0.3 needs no preconditions.
    """
    preconditions.check(stored.etag if stored else None)
    if preconditions or replaces_unconditionally(kind, version):
        return
    if stored is not None:
        raise ConcurrencyConflict(
            "The document exists and the request has no If-Match. "
            "Send GET, then PUT again with the ETag in If-Match; nothing was changed."
        )
    if version == "1.0.3":
        raise BadRequest(
            f"PUT of a {kind.name} needs If-Match with the ETag of the stored document, "
            "or If-None-Match: * for a new one."
        )


def replaces_unconditionally(kind: Kind, version: Version) -> bool:
    return kind is STATE and version == "1.0.3"


def check_post(sent: Document) -> None:
    """Raises MalformedJSON if a JSON document is not an object (Communication 2.2)."""
    if sent.is_json:
        _require_object(sent.content, "The sent document")


def merge(stored: Document, sent: Document, limit: int) -> Document:
    """The stored document, updated with the members of the sent one (Communication 2.2).

    Bytes of each member are kept. Raises UnsupportedMediaType or MalformedJSON unless both are JSON
    objects, TooLarge if the result has more than `limit` bytes.
    """
    if not (stored.is_json and sent.is_json):
        name, document = ("stored", stored) if sent.is_json else ("sent", sent)
        raise UnsupportedMediaType(
            f"Only {JSON} can be merged; the {name} document is {document.content_type[:80]}."
        )
    members = {
        **_object(stored.content, "The stored document"),
        **_object(sent.content, "The sent document"),
    }
    content = strict_json.join_members(members)
    if len(content) > limit:
        raise TooLarge(f"The merged document would be larger than {limit} bytes.")
    return Document.of(content, stored.content_type)


def _object(content: bytes, name: str) -> dict[str, bytes]:
    _require_object(content, name)
    return strict_json.members(content)


def _require_object(content: bytes, name: str) -> None:
    try:
        value = strict_json.loads(content)
    except MalformedJSON as error:
        raise MalformedJSON(f"{name} cannot be merged. {error.detail}") from None
    if not isinstance(value, dict):
        raise MalformedJSON(f"{name} is not a JSON object and cannot be merged.")
