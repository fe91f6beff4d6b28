"""The errors of a request, as one tree. Titles are in docs/errors.md, with a row for each code.

    LRSError
    ├── BadRequest                   400  invalid request as a whole
    │   ├── MalformedJSON            400
    │   ├── InvalidParameter         400
    │   ├── InvalidStatement         400  contains all violations
    │   ├── InvalidImport            400  contains the violations of each row
    │   ├── UnsupportedVersion       400
    │   └── UnsupportedMediaType     400
    ├── Unauthorized                 401
    │   └── TokenExpired             401
    ├── Forbidden                    403
    │   ├── MissingScope             403
    │   └── PartnerDisabled          403
    ├── NotFound                     404
    ├── MethodNotAllowed             405
    ├── RequestTimeout               408
    ├── Conflict                     409
    │   ├── DuplicateStatement       409
    │   ├── StatementConflict        409
    │   └── ConcurrencyConflict      409
    ├── PreconditionFailed           412
    ├── TooLarge                     413
    ├── UnsupportedContentEncoding   415
    ├── IdempotencyKeyReused         422
    ├── TooManyRequests              429
    │   └── QuotaExceeded            429
    ├── RequestHeaderFieldsTooLarge  431
    ├── InternalError                500
    ├── Unavailable                  503
    │   ├── OutcomeUnknown           503
    │   └── Overloaded               503
    └── StorageQuotaExceeded         507

Any module may raise these. `lrs.api.problem_details` renders them (RFC 9457); only callbacks are
rendered in Canvas's own format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of an item or a parameter.

    `pointer` is a JSON pointer (RFC 6901) into the item, "" for the item itself, or the name of the
    parameter. `detail` says what is expected. `requirement` names the rule: a section of the xAPI
    specification or of this project's documentation.
    """

    pointer: str
    detail: str
    requirement: str

    def as_dict(self) -> dict[str, str]:
        """The violation as a member of problem details."""
        return {"pointer": self.pointer, "detail": self.detail, "requirement": self.requirement}


class OperatorError(Exception):
    """A command or the server cannot run; the message is one sentence for the operator."""


class LRSError(Exception):
    """A request that fails; `detail` is one or two sentences for the client's developer.

    `headers` are response headers, for example Retry-After. `reason` is for operators only: what a
    client must not learn, such as whether a key exists.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal server error"

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
        self.reason = ""
        self.headers = dict(headers or {})

    def problem(self) -> dict[str, Any]:
        """Problem details (RFC 9457): type, title, status, detail and code; errors if there are."""
        members: dict[str, Any] = {
            "type": f"urn:lrs:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.violations:
            members["errors"] = [violation.as_dict() for violation in self.violations]
        return members

    @property
    def detail_with_cause(self) -> str:
        """The detail and the first line of the cause, for logs and commands; not for clients."""
        lines = str(self.__cause__ or "").strip().splitlines()
        if self.__cause__ is None:
            return self.detail
        reason = lines[0].rstrip(".") if lines else type(self.__cause__).__name__
        return f"{self.detail.rstrip('.')}: {reason}."


class BadRequest(LRSError):
    status = 400
    code = "bad-request"
    title = "Invalid request"


class MalformedJSON(BadRequest):
    code = "malformed-json"
    title = "Malformed JSON"


class InvalidParameter(BadRequest):
    code = "invalid-parameter"
    title = "Invalid parameter"


class InvalidStatement(BadRequest):
    """`statement_id` is the id of the refused item, None without a valid one."""

    code = "invalid-statement"
    title = "Invalid statement"
    statement_id: str | None = None


class InvalidImport(BadRequest):
    code = "invalid-import"
    title = "Invalid import"


class UnsupportedVersion(BadRequest):
    code = "unsupported-version"
    title = "Missing or unsupported xAPI version"


class UnsupportedMediaType(BadRequest):
    code = "unsupported-media-type"
    title = "Unsupported media type"


class Unauthorized(LRSError):
    status = 401
    code = "unauthorized"
    title = "Missing or invalid credentials"


class TokenExpired(Unauthorized):
    code = "token-expired"
    title = "Expired access token"


class Forbidden(LRSError):
    status = 403
    code = "forbidden"
    title = "Access denied"


class MissingScope(Forbidden):
    code = "missing-scope"
    title = "Missing scope"


class PartnerDisabled(Forbidden):
    code = "partner-disabled"
    title = "Disabled partner"


class NotFound(LRSError):
    status = 404
    code = "not-found"
    title = "Not found"


class MethodNotAllowed(LRSError):
    status = 405
    code = "method-not-allowed"
    title = "Method not allowed"


class RequestTimeout(LRSError):
    status = 408
    code = "request-timeout"
    title = "Request timeout"


class Conflict(LRSError):
    status = 409
    code = "conflict"
    title = "Conflict with stored data"


class DuplicateStatement(Conflict):
    code = "duplicate"
    title = "Duplicate statement"


class StatementConflict(Conflict):
    code = "statement-conflict"
    title = "Conflicting statement"


class ConcurrencyConflict(Conflict):
    code = "concurrency-conflict"
    title = "Concurrent document change"


class PreconditionFailed(LRSError):
    status = 412
    code = "precondition-failed"
    title = "Precondition failed"


class TooLarge(LRSError):
    status = 413
    code = "too-large"
    title = "Content too large"


class UnsupportedContentEncoding(LRSError):
    status = 415
    code = "unsupported-content-encoding"
    title = "Unsupported content encoding"


class IdempotencyKeyReused(LRSError):
    status = 422
    code = "idempotency-key-reused"
    title = "Reused idempotency key"


class TooManyRequests(LRSError):
    status = 429
    code = "rate-limit-exceeded"
    title = "Rate limit exceeded"


class QuotaExceeded(TooManyRequests):
    code = "quota-exceeded"
    title = "Quota exceeded"


class RequestHeaderFieldsTooLarge(LRSError):
    status = 431
    code = "head-too-large"
    title = "Request header fields too large"


class InternalError(LRSError):
    pass


class Unavailable(LRSError):
    status = 503
    code = "unavailable"
    title = "Service unavailable"


class OutcomeUnknown(Unavailable):
    """The connection was lost while a change was written: it may have taken effect."""

    code = "outcome-unknown"
    title = "Unknown outcome"


class Overloaded(Unavailable):
    code = "overloaded"
    title = "Server overloaded"


class StorageQuotaExceeded(LRSError):
    status = 507
    code = "quota-exceeded"
    title = "Quota exceeded"
