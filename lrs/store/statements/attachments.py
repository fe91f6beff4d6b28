"""Attachments: contents, stored once per partner and SHA-2, and verified signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements.insert import StatementRow

_INSERT = resources.query("insert_attachments")
_SIGN = resources.query("insert_signatures")
_SIZES = resources.query("list_attachment_sizes")
_CONTENTS = resources.query("get_attachments")

_MAX_CHUNK_BYTES = 4_194_304
"""Total size of the contents held in memory. A larger content forms a chunk alone."""


async def insert(connection: Connection, partner_id: int, rows: Sequence[StatementRow]) -> None:
    """Inserts the attachment contents of the rows, if they are new, and the signature results."""
    contents = {sha2: content for row in rows for sha2, content in row.contents}
    if contents:
        hashes = [bytes.fromhex(sha2) for sha2 in contents]
        await connection.execute(_INSERT, partner_id, hashes, list(contents.values()))
    signatures = [(row.statement_id, signature) for row in rows for signature in row.signatures]
    if signatures:
        await connection.execute(
            _SIGN,
            partner_id,
            [statement_id for statement_id, _ in signatures],
            [bytes.fromhex(signature.sha2) for _, signature in signatures],
            [signature.status for _, signature in signatures],
            [signature.algorithm for _, signature in signatures],
            [signature.key for _, signature in signatures],
            [signature.subject for _, signature in signatures],
        )


async def list_sizes(
    database: Database, partner_id: int, hashes: Sequence[str]
) -> dict[bytes, int]:
    """The sizes of the contents by SHA-2, in the order of `hashes`, without missing ones."""
    requested = [bytes.fromhex(sha2) for sha2 in hashes]
    with translate_errors():
        rows = await database.readers.fetch(_SIZES, partner_id, requested)
    sizes = {row["sha2"]: row["size"] for row in rows}
    return {sha2: sizes[sha2] for sha2 in requested if sha2 in sizes}


def max_chunk_size(sizes: Mapping[bytes, int]) -> int:
    """The most bytes of contents that `stream_contents` holds at a time."""
    return max((sum(sizes[sha2] for sha2 in chunk) for chunk in _chunks(sizes.items())), default=0)


async def stream_contents(
    database: Database, partner_id: int, sizes: Mapping[bytes, int]
) -> AsyncIterator[tuple[str, bytes]]:
    """Pairs of SHA-2 in hexadecimal and content, in the order of `sizes`.

    Reads chunks of at most 4 MiB. No connection is held while a chunk is sent to the client, which
    may be slow.
    """
    for chunk in _chunks(sizes.items()):
        with translate_errors():
            rows = await database.readers.fetch(_CONTENTS, partner_id, chunk)
        contents = {row["sha2"]: row["content"] for row in rows}
        for sha2 in chunk:
            yield sha2.hex(), contents.pop(sha2)


def _chunks(sizes: Iterable[tuple[bytes, int]]) -> Iterable[list[bytes]]:
    chunk: list[bytes] = []
    length = 0
    for sha2, size in sizes:
        if chunk and length + size > _MAX_CHUNK_BYTES:
            yield chunk
            chunk, length = [], 0
        chunk.append(sha2)
        length += size
    if chunk:
        yield chunk
