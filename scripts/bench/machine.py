"""The machine and what runs on it, as a result must say to be compared with others."""

from __future__ import annotations

import asyncio
import platform
from importlib.metadata import version
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]

_SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


def described() -> dict[str, str]:
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores, {memory:.0f} GB of memory",
        "system": platform.platform(terse=True),
        "python": f"{platform.python_version()}, {libraries}",
    }


def database(dsn: str) -> str:
    return asyncio.run(_database(dsn))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


async def _database(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        values = [await connection.fetchval(f"show {name}") for name in _SETTINGS]
    finally:
        await connection.close()
    told = ", ".join(f"{name} {value}" for name, value in zip(_SETTINGS, values, strict=True))
    return f"PostgreSQL: {told}."
