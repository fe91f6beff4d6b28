"""Preconditions: If-Match and If-None-Match (RFC 9110 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lrs.errors import BadRequest, PreconditionFailed

# Clients that compute the hash of a document themselves send no quotes. xAPIWrapper sends two pairs
# if it has the value of the header ETag.
_TAG = re.compile(
    r'\s*+(?:(?:[Ww]/)?(?:"{2}([^\s,"*]+)"{2}|"([\x21\x23-\x7e\x80-\xff]*)"|([^\s,"*]+)))?\s*+(?:,|$)'
)
# Proxies that compress add their encoding to an ETag: Apache -gzip, Jetty --gzip. Ours are hashes.
_ENCODING_SUFFIX = re.compile(r"(?<=[0-9a-fA-F])(?:--?|[;:.+])(?:gzip|gz|br|zstd|deflate|df)$")


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags of If-Match or If-None-Match, weak ones included, or `*`."""

    any: bool
    tags: frozenset[str]

    def match(self, etag: str | None) -> bool:
        """Whether they match the ETag; None for a document that does not exist."""
        return etag is not None and (self.any or etag in self.tags)


@dataclass(frozen=True, slots=True)
class Preconditions:
    """Both headers of a request; None for a header that was not sent."""

    if_match: Tags | None
    if_none_match: Tags | None

    def __bool__(self) -> bool:
        return self.if_match is not None or self.if_none_match is not None

    def not_modified(self, etag: str) -> bool:
        """Whether GET returns 304. Raises PreconditionFailed for If-Match."""
        self._check_match(etag)
        return self.if_none_match is not None and self.if_none_match.match(etag)

    def check(self, etag: str | None) -> None:
        """Raises PreconditionFailed unless the document may be changed."""
        self._check_match(etag)
        if etag and self.if_none_match is not None and self.if_none_match.match(etag):
            raise PreconditionFailed(
                f'The document has the ETag "{etag}", which If-None-Match excludes.'
            )

    def _check_match(self, etag: str | None) -> None:
        # A proxy that compresses marks an ETag as weak. It is a hash of the content: the comparison
        # is as good as a strong one.
        if self.if_match is not None and not self.if_match.match(etag):
            state = f'has the ETag "{etag}"' if etag else "does not exist"
            raise PreconditionFailed(f"The document {state}, which does not satisfy If-Match.")


def parse(if_match: Sequence[str], if_none_match: Sequence[str]) -> Preconditions:
    """Parses the values of each header field. Raises BadRequest if malformed."""
    return Preconditions(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))


def _tags(name: str, lines: Sequence[str]) -> Tags | None:
    text = ",".join(lines).strip()
    if not lines:
        return None
    if text == "*":
        return Tags(True, frozenset())
    tags: set[str] = set()
    position = 0
    while position < len(text):
        match = _TAG.match(text, position)
        if match is None:
            raise BadRequest(f'{name} must be * or a list of entity tags like "0a1b".')
        if match.lastindex:
            tags.add(_ENCODING_SUFFIX.sub("", match[match.lastindex]))
        position = match.end()
    return Tags(False, frozenset(tags))
