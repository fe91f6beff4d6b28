"""Dead letters that an operator corrects: what is sent instead of the stored statement."""

from __future__ import annotations

from uuid import UUID

from lrs.errors import TooLarge, Violation
from lrs.ingest.parse import invalid_statement
from lrs.pipes.options import SECTION
from lrs.xapi import strict_json
from lrs.xapi.validation import declared_version, statement_violations, track_violations


def corrected_text(body: bytes, statement_id: UUID, *, is_track_event: bool, max_bytes: int) -> str:
    """The compact text of a corrected statement or track event, which is valid.

    A statement without an id gets that of the dead letter, and may have no other one.

    Raises TooLarge, MalformedJSON, and InvalidStatement with all violations.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"The statement has {len(body)} bytes; the limit is {max_bytes}.")
    value, text = strict_json.parse(body)
    if is_track_event:
        if violations := track_violations(value):
            raise invalid_statement(violations)
        return text.decode()
    version = declared_version(value)
    if violations := statement_violations(value, version, text):
        raise invalid_statement(violations)
    if "id" not in value:
        return (b'{"id":"%b",%b' % (str(statement_id).encode(), text[1:])).decode()
    if value["id"].lower() != str(statement_id):
        detail = f"expected the id of the dead letter, {statement_id}, found {value['id']}"
        raise invalid_statement([Violation("/id", detail, SECTION)])
    return text.decode()
