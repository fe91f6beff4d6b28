"""Documents: whose they are, when they may be changed, how they merge.

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
from lrs.xapi import index_keys, query_params, strict_json
from lrs.xapi.preconditions import Preconditions
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
    section: str


STATE = Kind("state", "stateId", ("activityId", "agent"), ("registration",), "2.3")
AGENT_PROFILE = Kind("agent profile", "profileId", ("agent",), (), "2.6")
ACTIVITY_PROFILE = Kind("activity profile", "profileId", ("activityId",), (), "2.7")


@dataclass(frozen=True, slots=True)
class Scope:
    """What documents belong to. `agent` is the identity (see links), `registration` None if none
    was given: for one document that means the one without, for many it means all of them.
    """

    kind: str
    activity: str | None
    agent: str | None
    registration: str | None

    @property
    def key(self) -> bytes:
        """The same for every registration, so that those of one activity and agent lie together."""
        return _hash(self.kind, self.activity, self.agent)

    def document_key(self, document_id: str) -> bytes:
        return _hash(self.registration, document_id)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the parameters name: one document, or all of a scope if `document_id` is empty."""

    scope: Scope
    document_id: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes as they were sent or merged. `etag` is their SHA-1 in hexadecimal, as xAPI 1.0.3
    Communication 3.1 has it, without the quotes.
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


def parse(given: Iterable[tuple[str, str]], kind: Kind, method: str) -> Asked:
    """What the parameters ask for (the tables of xAPI 1.0.3 Communication 2.3, 2.6 and 2.7).

    Raises InvalidParameter naming every parameter that is unknown, repeated, malformed, missing or
    out of place.
    """
    section = f"xAPI 1.0.3 Communication {kind.section}"
    since = ("since",) if method == "GET" else ()
    taken = (*kind.required, *kind.optional, kind.id_parameter, *since)
    one_only = method in ("PUT", "POST") or (method == "DELETE" and kind is not STATE)
    values = query_params.parse(
        given,
        {name: _READERS[name] for name in taken},
        required=(*kind.required, kind.id_parameter) if one_only else kind.required,
        section=section,
    )
    if "since" in values and kind.id_parameter in values:
        misplaced = ("since", f"cannot be given together with {kind.id_parameter}")
        query_params.raise_if_invalid([misplaced], section=section)
    agent = index_keys.agent_identity(values["agent"]) if "agent" in values else None
    scope = Scope(kind.name, values.get("activityId"), agent, values.get("registration"))
    return Asked(scope, values.get(kind.id_parameter, ""), values.get("since"))


_READERS: dict[str, query_params.Parser] = {
    "activityId": query_params.iri,
    "agent": query_params.agent,
    "registration": query_params.uuid,
    "stateId": query_params.text,
    "profileId": query_params.text,
    "since": query_params.timestamp,
}


def check_put(
    kind: Kind, version: Version, conditions: Preconditions, found: Document | None
) -> None:
    """Whether a document may be replaced (xAPI 1.0.3 Communication 3.1, IEEE 9274.1.1 4.1.4).

    Raises PreconditionFailed; or, without preconditions, ConcurrencyConflict for one that exists,
    and BadRequest for a new profile in 1.0.3. State in 1.0.3 may be replaced unseen.
    """
    conditions.check(found.etag if found else None)
    if conditions or may_replace_unseen(kind, version):
        return
    if found is not None:
        raise ConcurrencyConflict(
            "The document exists already, and the request does not say which version it replaces. "
            "GET its present state, and PUT again with its ETag in If-Match; nothing was changed."
        )
    if version == "1.0.3":
        raise BadRequest(
            f"PUT on this {kind.name} needs If-Match with the ETag of the document that it "
            "replaces, or If-None-Match: * for a new one."
        )


def may_replace_unseen(kind: Kind, version: Version) -> bool:
    return kind is STATE and version == "1.0.3"


def check_post(sent: Document) -> None:
    """Raises MalformedJSON if what is said to be JSON is not an object (Communication 2.2)."""
    if sent.is_json:
        _object(sent.content, "The document sent")


def merged(stored: Document, sent: Document, limit: int) -> Document:
    """The stored document with the members of the one sent put in (Communication 2.2).

    Members that only one of them has stay as they were written. Raises UnsupportedMediaType or
    MalformedJSON unless both are JSON objects, TooLarge if the result has more than `limit` bytes.
    """
    if not (stored.is_json and sent.is_json):
        named, one = ("stored", stored) if sent.is_json else ("sent", sent)
        raise UnsupportedMediaType(
            f"Only {JSON} can be merged, and the document {named} is {one.content_type[:80]}."
        )
    members = {
        **_object(stored.content, "The document stored"),
        **_object(sent.content, "The document sent"),
    }
    content = strict_json.join_members(members)
    if len(content) > limit:
        raise TooLarge(f"The merged document would be larger than {limit} bytes.")
    return Document.of(content, stored.content_type)


def _object(content: bytes, named: str) -> dict[str, bytes]:
    try:
        value = strict_json.loads(content)
    except MalformedJSON as error:
        raise MalformedJSON(f"{named} cannot be merged. {error.detail}") from None
    if not isinstance(value, dict):
        raise MalformedJSON(f"{named} is JSON, but not an object, and cannot be merged.")
    return strict_json.members(content)
