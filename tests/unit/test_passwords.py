"""Verification of passwords under a flood of logins."""

from __future__ import annotations

import asyncio
import time

import pytest

from lrs.auth.passwords import PasswordThread


@pytest.mark.slow
async def test_wrong_passwords_take_a_third_of_a_processor() -> None:
    passwords = PasswordThread()
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(passwords.matches("wrong", None) for _ in range(8)))
    assert time.process_time() - used < 0.6 * (time.perf_counter() - began)


async def test_right_password_needs_no_rest() -> None:
    passwords = PasswordThread()
    stored = await passwords.hash("the right password")
    assert await passwords.matches("the right password", stored)
