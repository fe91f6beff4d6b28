"""Everything that can go wrong with a request, as one tree.

    LRSError
    ├── BadRequest            400  the request as a whole cannot be read
    │   ├── MalformedJSON     400
    │   ├── InvalidParameter  400
    │   ├── InvalidStatement  400  carries every violation found
    │   ├── InvalidImport     400  carries what is wrong with each row
    │   ├── UnsupportedVersion 400
    │   └── UnsupportedMediaType 400
    ├── Unauthorized          401
    │   └── TokenExpired      401
    ├── Forbidden             403
    │   └── MissingScope      403
    ├── NotFound              404
    ├── MethodNotAllowed      405
    ├── RequestTimeout        408
    ├── Conflict              409
    │   ├── DuplicateStatement 409
    │   ├── StatementConflict 409
    │   └── ConcurrencyConflict 409
    ├── PreconditionFailed    412
    ├── TooLarge              413
    ├── TooManyRequests       429
    ├── RequestHeaderFieldsTooLarge          431
    ├── InternalError         500
    └── Unavailable           503
        └── Overloaded        503

Any module may raise these; `lrs.api.problems` alone renders them (RFC 9457), but for the callback,
which has Canvas's own form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that an item breaks.

    `pointer` is an RFC 6901 JSON pointer into the item ("" is the item itself), `detail` says what
    was expected, `requirement` names the rule: a section of the xAPI specification or of our docs.
    """

    pointer: str
    detail: str
    requirement: str


class OperatorError(Exception):
    """A command or the server cannot run; the message is one sentence for the operator."""


class LRSError(Exception):
    """A request that cannot be served; `detail` is a sentence for the one who sent it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The server failed"

    def __init__(
        self,
        detail: str,
        *,
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.violations = tuple(violations)
        self.headers = dict(headers or {})


class BadRequest(LRSError):
    status = 400
    code = "bad-request"
    title = "The request cannot be read"


class MalformedJSON(BadRequest):
    code = "malformed-json"
    title = "The body is not the JSON that was expected"


class InvalidParameter(BadRequest):
    code = "invalid-parameter"
    title = "A parameter is unknown or malformed"


class InvalidStatement(BadRequest):
    code = "invalid-statement"
    title = "The item breaks the rules for what it is"


class InvalidImport(BadRequest):
    code = "invalid-import"
    title = "What is to be imported breaks the rules for what it is"


class UnsupportedVersion(BadRequest):
    code = "unsupported-version"
    title = "The xAPI version is missing or not supported"


class UnsupportedMediaType(BadRequest):
    code = "unsupported-media-type"
    title = "The content type is not one this resource reads"


class Unauthorized(LRSError):
    status = 401
    code = "unauthorized"
    title = "The request carries no valid credentials"


class TokenExpired(Unauthorized):
    code = "token-expired"
    title = "The access token has expired"


class Forbidden(LRSError):
    status = 403
    code = "forbidden"
    title = "The credentials do not allow this"


class MissingScope(Forbidden):
    code = "missing-scope"
    title = "The credentials lack a scope"


class NotFound(LRSError):
    status = 404
    code = "not-found"
    title = "There is nothing here"


class MethodNotAllowed(LRSError):
    status = 405
    code = "method-not-allowed"
    title = "The resource does not answer this method"


class RequestTimeout(LRSError):
    status = 408
    code = "request-timeout"
    title = "The request took too long to come"


class Conflict(LRSError):
    status = 409
    code = "conflict"
    title = "The request contradicts what is stored"


class DuplicateStatement(Conflict):
    code = "duplicate"
    title = "The same item is already stored"


class StatementConflict(Conflict):
    code = "statement-conflict"
    title = "Another statement with this id is already stored"


class ConcurrencyConflict(Conflict):
    code = "concurrency-conflict"
    title = "The document is not in the state that the request takes it to be in"


class PreconditionFailed(LRSError):
    status = 412
    code = "precondition-failed"
    title = "The document is not the one that If-Match or If-None-Match asks for"


class TooLarge(LRSError):
    status = 413
    code = "too-large"
    title = "The request or item is larger than allowed"


class TooManyRequests(LRSError):
    status = 429
    code = "too-many-requests"
    title = "The credential has used up its rate"


class RequestHeaderFieldsTooLarge(LRSError):
    status = 431
    code = "head-too-large"
    title = "The head of the request is larger than allowed"


class InternalError(LRSError):
    pass


class Unavailable(LRSError):
    status = 503
    code = "unavailable"
    title = "The store cannot be reached"


class Overloaded(Unavailable):
    code = "overloaded"
    title = "The server has more work waiting than it will hold"
