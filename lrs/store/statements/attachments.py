"""Contents of attachments, kept once per partner and SHA-2, and what was found of signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from lrs import resources
from lrs.store.postgres import Connection, Database, errors_translated
from lrs.store.statements.insert import Prepared

_INSERT = resources.query("insert_attachments")
_SIGN = resources.query("insert_signatures")
_SIZES = resources.query("list_attachment_sizes")
_CONTENTS = resources.query("get_attachments")

# What is held in memory at a time; a single content may be longer.
_PORTION = 4_194_304


async def write(connection: Connection, partner_id: int, prepared: Sequence[Prepared]) -> None:
    """Keeps what came with some statements, and what was found of their signatures."""
    contents = {sha2: content for each in prepared for sha2, content in each.contents}
    if contents:
        hashes = [bytes.fromhex(sha2) for sha2 in contents]
        await connection.execute(_INSERT, partner_id, hashes, list(contents.values()))
    found = [(each.statement_id, signature) for each in prepared for signature in each.signatures]
    if found:
        await connection.execute(
            _SIGN,
            partner_id,
            [statement_id for statement_id, _ in found],
            [bytes.fromhex(signature.sha2) for _, signature in found],
            [signature.status for _, signature in found],
            [signature.algorithm for _, signature in found],
            [signature.key for _, signature in found],
            [signature.subject for _, signature in found],
        )


async def contents(
    database: Database, partner_id: int, hashes: Sequence[str]
) -> AsyncIterator[tuple[str, bytes]]:
    """The contents that are here of those asked for, by SHA-2, in that order, a few at a time.

    No connection is held while one is being sent to a client, who may be slow.
    """
    asked = [bytes.fromhex(sha2) for sha2 in hashes]
    with errors_translated():
        sizes = await database.readers.fetch(_SIZES, partner_id, asked)
    here = {row["sha2"]: row["size"] for row in sizes}
    for portion in _portions((sha2, here[sha2]) for sha2 in asked if sha2 in here):
        with errors_translated():
            rows = await database.readers.fetch(_CONTENTS, partner_id, portion)
        found = {row["sha2"]: row["content"] for row in rows}
        for sha2 in portion:
            yield sha2.hex(), found.pop(sha2)


def _portions(sizes: Iterable[tuple[bytes, int]]) -> Iterable[list[bytes]]:
    portion: list[bytes] = []
    length = 0
    for sha2, size in sizes:
        if portion and length + size > _PORTION:
            yield portion
            portion, length = [], 0
        portion.append(sha2)
        length += size
    if portion:
        yield portion
