"""Multipart bodies with attachments: parsing, errors, writing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrs.errors import BadRequest, LRSError, TooLarge, UnsupportedMediaType, Violation
from lrs.xapi import attachment_rules, multipart
from lrs.xapi.multipart import Attachment
from lrs.xapi.signatures import USAGE_TYPE
from tests.support.multipart import attached, body, part, sha256
from tests.support.statements import statement

DASHES = "-------314159265358979323846"
MIXED = f"multipart/mixed; boundary={DASHES}"


def attachment(content: bytes = b"", **members: Any) -> dict[str, Any]:
    return {
        "usageType": "http://example.com/usage/test",
        "display": {"en-US": "A test"},
        "contentType": "text/plain",
        "length": len(content),
        "sha2": sha256(content),
    } | members


JSON_PART = part(b"{}", "Content-Type: application/json")


# Boundary


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (MIXED, DASHES),
        ('multipart/mixed; boundary="a b:c"', "a b:c"),
        ("Multipart/Mixed;charset=utf-8;BOUNDARY=x=y", "x=y"),
    ],
)
def test_boundary_is_parsed_from_the_content_type(header: str, expected: str) -> None:
    assert multipart.boundary(header) == expected


@pytest.mark.parametrize(
    ("header", "error", "named"),
    [
        ("multipart/form-data; boundary=x", UnsupportedMediaType, "multipart/form-data"),
        ("", UnsupportedMediaType, '""'),
        ("multipart/mixed", BadRequest, "no parameter boundary"),
        ("multipart/mixed;", BadRequest, "no parameter boundary"),
        ('multipart/mixed; boundary=""', BadRequest, "no parameter boundary"),
        (f"multipart/mixed; boundary={'x' * 71}", BadRequest, "1 to 70"),
        ("multipart/mixed; boundary=ü", BadRequest, "ASCII"),
        ("multipart/mixed; boundary*=idna''x", BadRequest, "no parameter boundary"),
        ("multipart/mixed; boundary*=undefined''x", BadRequest, "no parameter boundary"),
        (f"multipart/mixed; boundary*{'9' * 5000}=x", BadRequest, "more than 1000 characters"),
    ],
)
def test_content_type_without_valid_boundary_is_refused(
    header: str, error: type[LRSError], named: str
) -> None:
    with pytest.raises(error, match=named):
        multipart.boundary(header)


# Parsing


def test_body_is_parsed_into_json_and_attachments() -> None:
    content = bytes(range(256))
    text, result = multipart.parse(body(JSON_PART, attached(content)), MIXED)
    assert text == b"{}"
    assert result == {sha256(content): Attachment(content, "text/plain")}


def test_irregular_line_ends_and_header_spaces_are_accepted() -> None:
    """ADL's conformance suite sends its signed statements in this form."""
    signature = b"e30.e30.e30"
    text = (
        f"\r\n--{DASHES}\r\nContent-Type:application/json\r\n\r\n{{}}"
        f"\r\n--{DASHES}\r\nContent-Type:application/octet-stream"
        "\r\nContent-Transfer-Encoding:binary"
        f"\r\nX-Experience-API-Hash:{sha256(signature)}\r\n\r\n{signature.decode()}"
        f"\r\n--{DASHES}--"
    )
    json_text, result = multipart.parse(text.encode(), MIXED)
    assert json_text == b"{}"
    assert result == {sha256(signature): Attachment(signature, "application/octet-stream")}


def test_preamble_epilogue_and_spaces_after_a_boundary_are_ignored() -> None:
    dash = f"--{DASHES}".encode()
    text = body(JSON_PART).replace(dash + b"\r\n", dash + b" \t\r\n")
    text = b"This is a message in MIME format.\r\n" + text + b"The end.\r\n--" + dash
    assert multipart.parse(text, MIXED) == (b"{}", {})


def test_folded_headers_in_any_case_are_parsed() -> None:
    content = b"x"
    odd = part(
        content,
        "CONTENT-TYPE: text/plain;\r\n\tcharset=utf-8",
        "content-transfer-encoding:\r\n  Binary",
        f"x-Experience-api-HASH : {sha256(content).upper()} ",
    )
    _, result = multipart.parse(body(JSON_PART, odd), MIXED)
    assert result == {sha256(content): Attachment(content, "text/plain; charset=utf-8")}


def test_body_with_lf_line_ends_is_parsed() -> None:
    content = b"one\r\ntwo\r"
    text = (
        b"--b\nContent-Type: application/json\n\n[]\n--b\nContent-Transfer-Encoding: binary\n"
        b"X-Experience-API-Hash: %s\n\n%s\n--b--\n" % (sha256(content).encode(), content)
    )
    json_text, result = multipart.parse(text, "multipart/mixed; boundary=b")
    assert json_text == b"[]"
    assert result == {sha256(content): Attachment(content, "application/octet-stream")}


def test_lf_boundary_inside_content_does_not_split_a_crlf_body() -> None:
    content = f"\n--{DASHES}\nno\n--{DASHES}--\n\r\n--{DASHES}x\r\n\r\n-{DASHES}".encode()
    _, result = multipart.parse(body(JSON_PART, attached(content)), MIXED)
    assert result[sha256(content)].content == content


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n\r\n", b"--", b"\n", b"\r"])
def test_line_ends_and_dashes_at_content_edges_are_kept(content: bytes) -> None:
    _, result = multipart.parse(body(JSON_PART, attached(content)), MIXED)
    assert result[sha256(content)].content == content


def test_parts_without_headers_or_content_are_parsed() -> None:
    text = b"--b\r\n\r\n\r\n--b\r\n\r\n--b\r\nA: b\r\n\r\n--b--"
    parts = multipart.split(text, "b")
    assert [(item.headers, item.content) for item in parts] == [
        ({}, b""),
        ({}, b""),
        ({"a": "b"}, b""),
    ]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_sha2_variant_is_recognised_by_its_length(algorithm: str) -> None:
    sha2 = hashlib.new(algorithm, b"x").hexdigest()
    _, result = multipart.parse(body(JSON_PART, attached(b"x", sha2.upper())), MIXED)
    assert list(result) == [sha2]


def test_content_sent_twice_is_deduplicated() -> None:
    _, result = multipart.parse(body(JSON_PART, attached(b"x"), attached(b"x")), MIXED)
    assert list(result) == [sha256(b"x")]


# Errors


ENCODED = part(
    b"eA==", "Content-Transfer-Encoding: base64", f"X-Experience-API-Hash: {sha256(b'x')}"
)
HASHLESS = part(b"x", "Content-Transfer-Encoding: binary")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "no line"),
        (JSON_PART, "no line"),
        (body(JSON_PART, boundary="other"), "no line"),
        (body(), "no part"),
        (body(JSON_PART)[:-4], "without the closing line"),
        (body(JSON_PART)[:-4] + b"x", "without the closing line"),
        (body(part(b"{}", "Content-Type: text/plain")), 'Part 1: .*"text/plain"'),
        (body(part(b"{}")), "Part 1: expected the statements"),
        (JSON_PART + b"\r\n" + body(attached(b"x")), 'Part 1: .*"text/plain"'),
        (body(part(b"e30=", "Content-Type: application/json", "Content-Transfer-Encoding: base64")),
         "Part 1: expected no Content-Transfer-Encoding"),
        (body(JSON_PART, JSON_PART), "Part 2: .*X-Experience-API-Hash is missing"),
        (body(JSON_PART, attached(b"x"), ENCODED), 'Part 3: .*binary, found "base64"'),
        (body(JSON_PART, HASHLESS), "Part 2: .*X-Experience-API-Hash is missing"),
        (body(JSON_PART, attached(b"x", sha256(b"y"))), f"Part 2: .*{sha256(b'x')}"),
        (body(JSON_PART, attached("\ufffd".encode(), sha256(b"\xff"))), "it has U.FFFD"),
        (body(JSON_PART, attached(b"x", sha256(b"x")[:40])), "Part 2: expected X-Exp"),
        (body(JSON_PART, attached(b"x", "g" * 64)), "Part 2: expected X-Exp"),
        (body(JSON_PART, b"Content-Type: text/plain"), "Part 2: expected headers .* empty line"),
        (body(JSON_PART, part(b"", "no header")), 'Part 2: expected a header, found "no header"'),
        (body(JSON_PART, part(b"", "a b: c")), "Part 2: expected a header"),
        (body(JSON_PART, part(b"", "a: b\rc: d")), "Part 2: expected a header"),
        (body(JSON_PART, part(b"", "A: b", "a: c")), 'Part 2: the header "a" is repeated'),
        (body(JSON_PART, part(b"", "a: " + "b" * 8_192)), "Part 2: expected headers within"),
    ],
)  # fmt: skip
def test_malformed_body_is_refused_with_its_cause(text: bytes, named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        multipart.parse(text, MIXED)


def test_header_of_maximum_size_is_accepted() -> None:
    text = "a: " + "b" * (multipart.MAX_HEADER_BYTES - 5)
    assert multipart.split(body(part(b"", text)), DASHES)[0].headers == {"a": text[3:]}


def test_more_than_max_parts_raises_too_large() -> None:
    most = [part(b"")] * multipart.MAX_PARTS
    assert len(multipart.split(body(*most), DASHES)) == multipart.MAX_PARTS
    with pytest.raises(TooLarge):
        multipart.split(body(*most, part(b"")), DASHES)


pieces = st.sampled_from(
    [
        b"--b",
        b"--b--",
        b"\r\n",
        b"\n",
        b"\r",
        b":",
        b"-",
        b" ",
        b"a: b",
        b"\0",
        JSON_PART,
        attached(b"x"),
    ]
)


@given(st.lists(pieces | st.binary(max_size=5)).map(b"".join))
def test_any_body_is_parsed_or_raises_bad_request(text: bytes) -> None:
    with suppress(BadRequest):
        multipart.parse(text, "multipart/mixed; boundary=b")


@given(
    st.text()
    | st.text().map("multipart/mixed; {}".format)
    | st.text().map("multipart/mixed; boundary={}".format)
)
@example("multipart/mixed; boundary*=x''%ff")
def test_any_content_type_has_a_boundary_or_raises_bad_request(header: str) -> None:
    try:
        result = multipart.boundary(header)
    except BadRequest:
        return
    assert re.fullmatch("[ -~]{1,70}", result)


# Attachments of statements


X, Y = attachment(b"x"), attachment(b"y")
RECEIVED_X = {sha256(b"x"): Attachment(b"x", "text/plain")}


def inner(*attachments: dict[str, Any]) -> dict[str, Any]:
    target = {"objectType": "SubStatement", **statement(attachments=list(attachments))}
    return statement(object=target)


def missing_attachments(
    statements: list[dict[str, Any]], came: dict[str, multipart.Attachment]
) -> list[list[Violation]]:
    """Missing attachments of each statement, after every received part is missing_attachments."""
    attachment_rules.require_declared(statements, came)
    return [attachment_rules.missing_attachments(item, came) for item in statements]


def pointers(statements: list[dict[str, Any]], came: dict[str, Attachment]) -> list[list[str]]:
    return [[item.pointer for item in some] for some in missing_attachments(statements, came)]


def test_attachment_with_content_or_file_url_is_complete() -> None:
    elsewhere = Y | {"fileUrl": "http://example.com/y"}
    upper = X | {"sha2": X["sha2"].upper(), "length": 99}
    assert pointers([statement(attachments=[X, elsewhere])], RECEIVED_X) == [[]]
    assert pointers([statement(attachments=[upper]), inner(X)], RECEIVED_X) == [[], []]
    assert pointers([statement(attachments=[elsewhere]), statement()], {}) == [[], []]


def test_attachment_without_content_or_file_url_is_reported() -> None:
    some = [statement(attachments=[X, Y]), statement(), inner(X, Y) | {"attachments": [Y]}]
    assert pointers(some, RECEIVED_X) == [
        ["/attachments/1"],
        [],
        ["/attachments/0", "/object/attachments/1"],
    ]
    assert pointers([statement(attachments=[X])], {}) == [["/attachments/0"]]


def test_signature_with_file_url_only_is_reported() -> None:
    signature = X | {"usageType": USAGE_TYPE, "fileUrl": "http://example.com/x"}
    assert pointers([statement(attachments=[signature])], {}) == [["/attachments/0"]]
    assert pointers([statement(attachments=[signature])], RECEIVED_X) == [[]]


def test_part_without_matching_attachment_raises_bad_request() -> None:
    with pytest.raises(BadRequest, match=sha256(b"x")):
        missing_attachments([statement(attachments=[Y]), statement()], RECEIVED_X)


@pytest.mark.parametrize("attachments", [None, 1, "x", {}, [1, None], [{}], [{"sha2": 3}]])
def test_invalid_attachments_match_no_part(attachments: Any) -> None:
    """Validation reports them."""
    broken = [statement(attachments=attachments), {}, {"object": 1}, 7]
    attachment_rules.require_declared([*broken, statement(attachments=[X])], RECEIVED_X)
    with pytest.raises(BadRequest, match="not declared"):
        attachment_rules.require_declared(broken, RECEIVED_X)


def test_attachment_hashes_are_distinct_and_lower_case() -> None:
    upper = X | {"sha2": X["sha2"].upper(), "contentType": "text/html"}
    some = inner(upper, Y | {"contentType": "image/png"}) | {"attachments": [X]}
    assert attachment_rules.attachment_hashes(some) == [
        (X["sha2"], "text/plain"),
        (Y["sha2"], "image/png"),
    ]
    assert attachment_rules.attachment_hashes(statement()) == []


# Boundaries without a line ending before them


CONTENTS = [
    [b"first", b"second"],
    [bytes(range(256)), b""],
    [b"ends with\r\n", b"\r\n", b"x" * 70_000],
    [f"a --{DASHES}\r\n b".encode(), b"after a boundary inside"],
]


def without_line_endings(contents: list[bytes]) -> bytes:
    """A body as TinCanJS writes it: no line ending between an attachment and the boundary."""
    mark = f"--{DASHES}".encode()
    text = mark + b"\r\nContent-Type: application/json\r\n\r\n{}\r\n"
    for content in contents:
        text += mark + b"\r\n" + attached(content)
    return text + mark + b"--"


@pytest.mark.parametrize("contents", CONTENTS)
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\nepilogue"])
def test_missing_line_ending_before_a_boundary_is_accepted(
    contents: list[bytes], end: bytes
) -> None:
    _, attachments = multipart.parse(without_line_endings(contents) + end, MIXED)
    assert [item.content for item in attachments.values()] == contents


@given(contents=st.lists(st.binary(max_size=40), unique=True, max_size=5), ends=st.booleans())
def test_contents_with_and_without_line_endings_are_the_same(
    contents: list[bytes], ends: bool
) -> None:
    text = body(JSON_PART, *map(attached, contents)) if ends else without_line_endings(contents)
    _, attachments = multipart.parse(text, MIXED)
    assert [item.content for item in attachments.values()] == contents


def test_boundary_inside_a_content_with_another_hash_is_refused() -> None:
    text = without_line_endings([b"first", b"second"]).replace(b"first", b"First")
    with pytest.raises(BadRequest, match="Part 2: X-Experience-API-Hash"):
        multipart.parse(text, MIXED)


def test_part_without_transfer_encoding_is_accepted() -> None:
    text = body(JSON_PART, part(b"x", f"X-Experience-API-Hash: {sha256(b'x')}"))
    _, attachments = multipart.parse(text, MIXED)
    assert [item.content for item in attachments.values()] == [b"x"]


# Writing


def written(attachments: list[tuple[str, str, bytes]], boundary: str) -> bytes:
    parts = [
        multipart.attachment_head(boundary, sha2, kind) + content
        for sha2, kind, content in attachments
    ]
    return b"".join(
        [multipart.statements_part(b"{}", boundary), *parts, multipart.closing_boundary(boundary)]
    )


def test_multipart_body_is_written_byte_for_byte() -> None:
    sha2 = sha256(b"x")
    lines = [
        b"--b",
        b"Content-Type: application/json",
        b"",
        b"{}",
        b"--b",
        b"Content-Type: text/plain",
        b"Content-Transfer-Encoding: binary",
        b"X-Experience-API-Hash: " + sha2.encode(),
        b"",
        b"x",
        b"--b--",
    ]
    assert written([(sha2.upper(), "text/plain", b"x")], "b") == b"\r\n".join(lines)


def test_line_ends_in_a_content_type_add_no_headers() -> None:
    head = multipart.attachment_head("b", "0" * 64, "text/plain\r\nSet-Cookie: a=b")
    assert b"Cookie" not in head


def delimiter_like_contents(boundary: str) -> st.SearchStrategy[bytes]:
    """Contents that look like multipart syntax, except for the delimiter itself."""
    lookalikes = [b"--", b"\r\n", b"\n", b"\r\n\r\n", b"\r\n--", f"--{boundary}".encode(),
                  f"\n--{boundary}\n".encode(), f"\r\n--{boundary}0".encode(),
                  f"\r\n-{boundary}--\r\n".encode(), f"--{boundary}--".encode()]  # fmt: skip
    some = st.lists(st.binary(max_size=20) | st.sampled_from(lookalikes), max_size=8).map(b"".join)
    delimiter = re.compile(rb"\r\n--%s(--)?[ \t]*(\r\n|\Z)" % boundary.encode())
    # The first line of the content follows the empty line after the headers.
    return some.filter(lambda content: not delimiter.search(b"\r\n" + content + b"\r\n"))


@given(data=st.data(), name=st.sampled_from(["0b", DASHES, "a b"]))
def test_written_body_is_parsed_to_the_same_attachments(data: st.DataObject, name: str) -> None:
    contents = data.draw(st.lists(delimiter_like_contents(name), max_size=4))
    hashed: Callable[[bytes], str] = data.draw(
        st.sampled_from([sha256, lambda content: hashlib.sha512(content).hexdigest()])
    )
    some = [(hashed(content), "image/png", content) for content in contents]
    text, result = multipart.parse(written(some, name), f'multipart/mixed; boundary="{name}"')
    assert text == b"{}"
    assert result == {sha2: Attachment(content, kind) for sha2, kind, content in some}
