"""multipart/mixed bodies: statements with their attachments, parsed and written.

xAPI 1.0.3 Communication 1.5.2, IEEE 9274.1.1 4.1.3; syntax of RFC 2046 5.1. The first part is JSON;
every other part has the bytes of an attachment and its SHA-2.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from itertools import chain, islice, pairwise
from typing import Any

from lrs.errors import BadRequest, TooLarge, UnsupportedMediaType
from lrs.plurals import quantity
from lrs.xapi.validation_messages import excerpt

Json = dict[str, Any]

MAX_PARTS = 1_000
MAX_HEADER_BYTES = 8_192
MAX_CONTENT_TYPE_LENGTH = 1_000

_HASH = "x-experience-api-hash"
_OCTETS = "application/octet-stream"
_ALGORITHMS = {64: "sha256", 96: "sha384", 128: "sha512"}
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")
_FIRST_LINE = re.compile(rb"--([0-9A-Za-z'+_.-]{1,70})\r\nContent-Type:", re.IGNORECASE)
_EOL = b"\r\n"
_UNENCODED = ("binary", "8bit", "7bit")
_HEX = re.compile(r"[0-9a-f]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body; header names are in lower case."""

    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment of a request."""

    content: bytes
    content_type: str


# Parsing


def boundary(content_type: str) -> str:
    """The boundary parameter of a Content-Type header. Raises BadRequest, UnsupportedMediaType."""
    if len(content_type) > MAX_CONTENT_TYPE_LENGTH:  # email.message parses it in quadratic time
        raise BadRequest(f"The Content-Type has more than {MAX_CONTENT_TYPE_LENGTH} characters.")
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() != "multipart/mixed":
        raise UnsupportedMediaType(f"Expected multipart/mixed, found {excerpt(content_type)}.")
    try:
        value = header.get_boundary()
    except ValueError:  # invalid parameter encoding (RFC 2231)
        value = None
    if not value:
        raise BadRequest("The Content-Type multipart/mixed has no parameter boundary.")
    if not _BOUNDARY.fullmatch(value):
        raise BadRequest("The boundary must be 1 to 70 printable ASCII characters (RFC 2046).")
    return value


def inferred_content_type(body: bytes) -> str | None:
    """The Content-Type of a body that begins with a boundary line; None for any other body."""
    first = _FIRST_LINE.match(body)
    return content_type(first[1].decode()) if first else None


def split(body: bytes, boundary: str) -> list[Part]:
    """The parts of a body. Preamble and epilogue are ignored. Raises BadRequest, TooLarge."""
    eol, delimiters = _delimiters(body, boundary)
    return [
        _part(body, number, before.end(), after.start(), eol)
        for number, (before, after) in enumerate(pairwise(delimiters), 1)
    ]


def parse(body: bytes, content_type: str) -> tuple[bytes, dict[str, Attachment]]:
    """The JSON text of a request, and its attachments by SHA-2 in lower case.

    Raises BadRequest, UnsupportedMediaType, TooLarge.
    """
    mark = boundary(content_type)
    first, *others = split(body, mark)
    _require_json(first)
    attachments: dict[str, Attachment] = {}
    for sha2, part in _verified(others, mark):
        kind = part.headers.get("content-type") or _OCTETS
        attachments.setdefault(sha2, Attachment(part.content, kind))
    return first.content, attachments


def _verified(parts: Iterable[Part], boundary: str) -> Iterator[tuple[str, Part]]:
    """The attachments with their SHA-2, verified with the bytes. Raises BadRequest.

    TinCanJS, ADL's xAPIWrapper and @xapi/xapi write no line ending between an attachment and the
    next boundary. A part whose hash does not fit is cut at such a boundary if the hash fits then.
    """
    for number, part in enumerate(parts, 2):
        sha2, algorithm = _declared_hash(part.headers, number)
        actual = hashlib.new(algorithm, part.content).hexdigest()
        if actual == sha2:
            yield sha2, part
        elif separated := _separate(part, number, boundary):
            yield from separated
        else:
            raise BadRequest(
                f"Part {number}: X-Experience-API-Hash is not the {algorithm} of its "
                f"{quantity(len(part.content), 'byte')}, which is {actual}{_cause(part.content)}."
            )


def _cause(content: bytes) -> str:
    """The likely cause of a wrong hash."""
    if "\N{REPLACEMENT CHARACTER}".encode() in content:  # TinCanJS in Node
        return "; it has U+FFFD: a client that sends text replaced the bytes that are not UTF-8"
    return ""


def _separate(part: Part, number: int, boundary: str) -> list[tuple[str, Part]]:
    """The attachments in a part, cut at boundaries; none unless every hash fits.

    Each byte is hashed once.
    """
    line = re.compile(rb"--%s(--)?[ \t]*+(\r?\n|\Z)" % re.escape(boundary.encode()))
    text, stop = part.content + _EOL, len(part.content)
    separated: list[tuple[str, Part]] = []
    start, headers = 0, part.headers
    sha2, algorithm = _declared_hash(part.headers, number)
    hashed, position = hashlib.new(algorithm), 0
    for mark in islice(line.finditer(text, 0, stop), MAX_PARTS):
        if mark.start() < start:
            continue
        hashed.update(text[position : mark.start()])
        position = mark.start()
        if hashed.hexdigest() != sha2:
            continue
        separated.append((sha2, Part(headers, text[start:position])))
        if mark[1]:
            return separated
        headers, start = _head(text, number, mark.end() - len(mark[2]), stop, mark[2])
        sha2, algorithm = _declared_hash(headers, number)
        hashed, position = hashlib.new(algorithm), start
    for end in (stop, len(text)):  # the last line ending may be content
        hashed.update(text[position:end])
        position = end
        if hashed.hexdigest() == sha2:
            return [*separated, (sha2, Part(headers, text[start:end]))]
    return []


def _delimiters(body: bytes, boundary: str) -> tuple[bytes, list[re.Match[bytes]]]:
    """The line ending and the boundary lines of a body, up to the closing one.

    LF as line ending is accepted only if the body has no boundary line that ends with CRLF.
    """
    for eol in (b"\r\n", b"\n"):
        line = rb"--%s(--)?[ \t]*+(?=%s|\Z)" % (re.escape(boundary.encode()), eol)
        at_start = re.match(line, body)
        delimiters: list[re.Match[bytes]] = []
        for match in chain([at_start] if at_start else [], re.finditer(eol + line, body)):
            delimiters.append(match)
            if match[1]:
                return eol, _require_parts(delimiters)
            if len(delimiters) > MAX_PARTS:
                raise TooLarge(f"The body has more than {MAX_PARTS} parts.")
        if delimiters:
            return eol, [*delimiters, _closing_without_line_ending(body, boundary, delimiters[-1])]
    raise BadRequest(f"The body has no line --{boundary}, the boundary in Content-Type.")


def _closing_without_line_ending(
    body: bytes, boundary: str, last: re.Match[bytes]
) -> re.Match[bytes]:
    """The last closing boundary, where a client omits the line ending before it."""
    mark = re.compile(rb"--%s--[ \t]*+(?=\r?\n|\Z)" % re.escape(boundary.encode()))
    closing = deque(mark.finditer(body, last.end()), maxlen=1)
    if not closing:
        raise BadRequest(f"The body ends without the closing line --{boundary}--.")
    return closing[0]


def _require_parts(delimiters: list[re.Match[bytes]]) -> list[re.Match[bytes]]:
    if len(delimiters) < 2:
        raise BadRequest("The body has no part: its first boundary is the closing one.")
    return delimiters


def _part(body: bytes, number: int, start: int, stop: int, eol: bytes) -> Part:
    """The part between two delimiters; the line ending before a delimiter belongs to it."""
    headers, content_start = _head(body, number, start, stop, eol)
    return Part(headers, body[content_start:stop])


def _head(
    body: bytes, number: int, start: int, stop: int, eol: bytes
) -> tuple[dict[str, str], int]:
    """The headers after a delimiter, and the position of the content. Raises BadRequest."""
    header_limit = start + MAX_HEADER_BYTES + 3 * len(eol)
    blank = body.find(2 * eol, start, min(stop + len(eol), header_limit))
    if blank < 0:
        raise BadRequest(
            f"Part {number}: expected headers within {MAX_HEADER_BYTES} bytes and an empty line."
        )
    text = body[start + len(eol) : blank].decode(errors="replace")
    return _headers(text, number), blank + 2 * len(eol)


def _headers(text: str, number: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in re.split(r"\r?\n", _FOLD.sub(" ", text)) if text else ():
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise BadRequest(f"Part {number}: expected a header, found {excerpt(line)}.")
        if name in headers:
            raise BadRequest(f"Part {number}: the header {excerpt(name)} is repeated.")
        headers[name] = value.strip()
    return headers


def _require_json(part: Part) -> None:
    kind = part.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(
            f"Part 1: expected the statements, as application/json, found {excerpt(kind)}."
        )
    encoding = part.headers.get("content-transfer-encoding", "binary")
    if encoding.lower() not in _UNENCODED:
        raise BadRequest(
            f"Part 1: expected no Content-Transfer-Encoding, found {excerpt(encoding)}."
        )


def _declared_hash(headers: Mapping[str, str], number: int) -> tuple[str, str]:
    """The value of X-Experience-API-Hash, and its algorithm."""
    encoding = headers.get("content-transfer-encoding", "binary")
    if encoding.lower() not in _UNENCODED:
        raise BadRequest(
            f"Part {number}: expected Content-Transfer-Encoding: binary, found {excerpt(encoding)}."
        )
    if _HASH not in headers:
        raise BadRequest(
            f"Part {number}: the header X-Experience-API-Hash is missing. "
            "Part 1 has all statements; every other part is an attachment."
        )
    sha2 = headers[_HASH].lower()
    algorithm = _ALGORITHMS.get(len(sha2)) if _HEX.fullmatch(sha2) else None
    if algorithm is None:
        raise BadRequest(
            f"Part {number}: expected X-Experience-API-Hash to be the hexadecimal digits "
            f"of a SHA-256, SHA-384 or SHA-512, found {excerpt(sha2)}."
        )
    return sha2, algorithm


# Matching


# Writing


def content_type(boundary: str) -> str:
    """The Content-Type header of a body with this boundary."""
    return f"multipart/mixed; boundary={boundary}"


def statements_part(json_text: bytes, boundary: str) -> bytes:
    """The first part: the JSON text."""
    return f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode() + json_text


def attachment_head(boundary: str, sha2: str, kind: str) -> bytes:
    """The boundary and headers before the bytes of an attachment, which are streamed."""
    safe = _OCTETS if _CONTROL.search(kind) else kind
    return (
        f"\r\n--{boundary}\r\nContent-Type: {safe}\r\nContent-Transfer-Encoding: binary\r\n"
        f"X-Experience-API-Hash: {sha2.lower()}\r\n\r\n"
    ).encode()


def closing_boundary(boundary: str) -> bytes:
    """The end of the body. TinCanPHP takes a line ending after it for another part."""
    return f"\r\n--{boundary}--".encode()
