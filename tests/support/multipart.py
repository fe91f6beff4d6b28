"""Parts and bodies of multipart/mixed."""

from __future__ import annotations

import hashlib

DASHES = "-------314159265358979323846"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def part(content: bytes, *headers: str) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + content


def attached(content: bytes, sha2: str | None = None) -> bytes:
    return part(
        content,
        "Content-Type: text/plain",
        "Content-Transfer-Encoding: binary",
        f"X-Experience-API-Hash: {sha2 or sha256(content)}",
    )


def body(*parts: bytes, boundary: str = DASHES) -> bytes:
    dash = f"--{boundary}".encode()
    return b"".join(dash + b"\r\n" + item + b"\r\n" for item in parts) + dash + b"--\r\n"
