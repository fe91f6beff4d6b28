"""Passwords of operators: Argon2id, outside the event loop, a few at a time.

Each hash takes 19 MiB and some 50 ms (OWASP's first recommendation): without a bound, anonymous
clients could take all memory with logins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from lrs.errors import InvalidParameter, Overloaded, Violation

MIN_LENGTH = 12
MAX_LENGTH = 1024

_MAX_WAITING = 20
_REST_RATIO = 2.0

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

# Verified for operators that do not exist, so that their logins take the same time.
_NO_PASSWORD = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"  # noqa: S105
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def check_new_password(password: str, email: str) -> None:
    """Raises InvalidParameter for a password that is too short, too long, or the email."""
    detail = ""
    if len(password) < MIN_LENGTH:
        detail = f"must have at least {MIN_LENGTH} characters, not {len(password)}"
    elif len(password) > MAX_LENGTH:
        detail = f"must have at most {MAX_LENGTH} characters"
    elif password.lower() == email or len(set(password)) < 4:
        detail = "must differ from the email and have at least 4 different characters"
    if detail:
        raise InvalidParameter(
            f"The password {detail}.", violations=[Violation("/password", detail, "Operators")]
        )


class PasswordThread:
    """Hashes and verifies passwords one at a time; one instance per worker."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Raises Overloaded."""
        async with self._queue():
            return await asyncio.to_thread(_hasher.hash, _encoded(password))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; never without a hash. Raises Overloaded.

        After a wrong password the next one waits: a flood of logins has a third of a processor.
        """
        async with self._queue():
            began = time.perf_counter()
            is_match = await asyncio.to_thread(_verify, password, password_hash or _NO_PASSWORD)
            if not is_match:
                await asyncio.sleep(_REST_RATIO * (time.perf_counter() - began))
        return is_match and password_hash is not None

    @asynccontextmanager
    async def _queue(self) -> AsyncIterator[None]:
        if self._waiting >= _MAX_WAITING:
            raise Overloaded("Too many logins at a time.", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1


def _verify(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, _encoded(password))
    except (Argon2Error, InvalidHashError):
        return False


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
