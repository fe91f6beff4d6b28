"""Rules for the attachments of statements and the parts of a request that have their bytes.

xAPI 1.0.3 Data 2.4.11 and Communication 1.5.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lrs.errors import BadRequest, Violation
from lrs.xapi import requirements, signatures
from lrs.xapi.multipart import Attachment
from lrs.xapi.validation import Version

Json = dict[str, Any]


def require_declared(statements: Iterable[Json], attachments: Mapping[str, Attachment]) -> None:
    """Raises BadRequest if a part has an attachment that no statement declares."""
    if not attachments:
        return
    declared = {_sha2(item) for statement in statements for _, item in _attachments(statement)}
    if undeclared := [sha2 for sha2 in attachments if sha2 not in declared]:
        raise BadRequest(
            f"No statement has an attachment with the sha2 {undeclared[0]}"
            f" ({len(undeclared)} of {len(attachments)} sent attachments are not declared)."
        )


def check_signatures(statements: Iterable[Json], attachments: Mapping[str, Attachment]) -> None:
    """Raises BadRequest if the verification of the signatures of a request would take too long."""
    count = size = 0
    for index, statement in enumerate(statements):
        signed = {
            _sha2(item)
            for _, item in _attachments(statement)
            if item.get("usageType") == signatures.USAGE_TYPE
        }
        count += len(signed)
        size += sum(len(attachments[sha2].content) for sha2 in signed if sha2 in attachments)
        if count > signatures.MAX_PER_REQUEST:
            raise BadRequest(
                f"Expected at most {signatures.MAX_PER_REQUEST} signatures in a request, "
                f"found {count} up to statement {index}; nothing was stored."
            )
        if size > signatures.MAX_BYTES_PER_REQUEST:
            raise BadRequest(
                f"Expected at most {signatures.MAX_BYTES_PER_REQUEST} bytes of signatures in a "
                f"request, found {size} up to statement {index}; nothing was stored."
            )


def missing_attachments(
    statement: Json, attachments: Mapping[str, Attachment], version: Version = "1.0.3"
) -> list[Violation]:
    """Violations for attachments that have neither a part nor a fileUrl (1.0.3 Data 2.4.11).

    A signature needs a part. `length` is not compared.
    """
    violations = []
    for pointer, attachment in _attachments(statement):
        if _sha2(attachment) in attachments:
            continue
        if attachment.get("usageType") == signatures.USAGE_TYPE:
            detail = "expected a part with this signature in the same request"
            violations.append(Violation(pointer, detail, requirements.SIGNATURE[version]))
        elif "fileUrl" not in attachment:
            detail = "expected a fileUrl, or a part with these bytes in the same request"
            requirement = requirements.ATTACHMENT_CONTENT[version]
            violations.append(Violation(pointer, detail, requirement))
    return violations


def attachment_hashes(statement: Json, *, with_url: bool = True) -> list[tuple[str, str]]:
    """Distinct pairs of sha2 in lower case and contentType of a statement's attachments.

    Without `with_url`, only of those without a fileUrl.
    """
    hashes: dict[str, str] = {}
    for _, attachment in _attachments(statement):
        if with_url or "fileUrl" not in attachment:
            hashes.setdefault(_sha2(attachment), attachment["contentType"])
    return list(hashes.items())


def _attachments(statement: Json) -> Iterator[tuple[str, Json]]:
    """The attachments of a statement and its SubStatement, with JSON pointers."""
    inner = statement.get("object") if isinstance(statement, dict) else None
    for node, prefix in ((statement, "/attachments"), (inner, "/object/attachments")):
        if isinstance(node, dict) and isinstance(node.get("attachments"), list):
            for index, attachment in enumerate(node["attachments"]):
                if isinstance(attachment, dict):
                    yield f"{prefix}/{index}", attachment


def _sha2(attachment: Json) -> str:
    return str(attachment.get("sha2")).lower()
