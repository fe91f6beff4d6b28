"""Text of a table file: the encoding is detected unless it is chosen."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from lrs.errors import InvalidImport

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FALLBACK = "cp1252"
"""What spreadsheets in Western Europe and America write unless they write Unicode."""

_SAMPLE_BYTES = 4096


class DecodedText(NamedTuple):
    """A text without byte order mark, and the name of its encoding."""

    text: str
    encoding: str

    @property
    def notes(self) -> list[str]:
        """A note if the encoding is not UTF-8."""
        return [] if self.encoding == "utf-8" else [f"The table is read as {self.encoding}."]


def decode(data: bytes, encoding: str | None = None) -> DecodedText:
    """The text of a file: by its byte order mark, else UTF-16, UTF-8 or Windows-1252.

    Raises InvalidImport for an unknown encoding, and for bytes that are invalid in it.
    """
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark) and encoding is None:
            return DecodedText(_decode(data[len(mark) :], name), name)
    name = codec_name(encoding) if encoding else _detected(data)
    return DecodedText(_decode(data, name).removeprefix("\ufeff"), name)


def codec_name(encoding: str) -> str:
    """The name by which Python knows a text encoding. Raises InvalidImport."""
    try:
        codec = codecs.lookup(encoding)
        "".encode(codec.name)  # `hex` and others are no text encodings
    except (LookupError, ValueError):
        raise InvalidImport(
            f"Unknown encoding {encoding[:80]!r}; use a name such as utf-8, utf-16 or cp1252."
        ) from None
    return codec.name


def _detected(data: bytes) -> str:
    sample = data[:_SAMPLE_BYTES]
    # The separators and line ends of a table are ASCII: in UTF-16, one of their bytes is 0.
    if sample.count(0) * 5 > len(sample):
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if _has_utf8_sequences(data):
            raise InvalidImport(
                f"The table is not UTF-8: {error.reason} at byte {error.start}. "
                "Choose the encoding if it is another one."
            ) from None
        return _FALLBACK
    return "utf-8"


def _has_utf8_sequences(data: bytes) -> bool:
    """Whether a text with bytes that are invalid in UTF-8 has characters of UTF-8 beside them."""
    text = data.decode(errors="surrogateescape")
    return any("\x7f" < character < "\ud800" or character > "\udfff" for character in text)


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        reason, start = getattr(error, "reason", str(error)), getattr(error, "start", 0)
        raise InvalidImport(
            f"The table cannot be read as {encoding}: {reason} at byte {start}."
        ) from None
