"""The watchdog of reporting roles: ends sessions that exceed a limit.

A role can change every default of its sessions, so that only limits from outside hold: it looks at
all sessions about twice a second. On the embedded database it also sees their processes: it lowers
their priority and limits their memory when it first sees them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import asyncpg

from lrs import resources
from lrs.reports.report_schema import quoted
from lrs.reports.session_limits import Session, SessionLimits, WriterDetector, exceeding
from lrs.store.postgres import Pool, translate_errors

_SESSIONS = resources.query("list_reporting_sessions")
_END_SESSION = resources.query("end_session")

_log = logging.getLogger("lrs.reports")


class Processes(Protocol):
    """The processes of the sessions, on the same machine."""

    def restrain(self, pid: int) -> None:
        """Lower the priority of a process, and limit its memory as far as the system allows."""

    def memory_bytes(self, pid: int) -> int: ...

    def temp_file_bytes(self) -> dict[int, int]: ...

    def free_disk_bytes(self) -> int:
        """The free space of the volume with the temporary files."""


class ReportWatchdog:
    """Ends the sessions of reporting roles over `limits`; `processes` on the embedded database."""

    def __init__(
        self, pool: Pool, limits: SessionLimits, processes: Processes | None = None
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._processes = processes
        self._writers = WriterDetector()
        self._restrained: set[int] = set()
        self._hidden_roles: set[str] = set()

    async def run_once(self) -> dict[int, str]:
        """Look at all sessions once. Returns the process ids of ended ones, with the reason.

        Raises Unavailable.
        """
        with translate_errors():
            rows = await self._pool.fetch(_SESSIONS)
            self._warn_of_hidden_roles({row["role"] for row in rows if row["hidden"]})
            sessions = [_session(row) for row in rows if not row["hidden"]]
            self._restrain({session.pid for session in sessions})
            temp_files = self._processes.temp_file_bytes() if self._processes else {}
            limits = self._limits_on_disk(sum(temp_files.values()))
            reasons = exceeding(sessions, limits, self._memory(sessions), temp_files)
            for role in self._writers.observe(sessions, time.monotonic()):
                reasons |= await self._disable(role, sessions)
            exceeding_limits = [session for session in sessions if session.pid in reasons]
            ended = [session for session in exceeding_limits if await self._end(session)]
        for session in ended:
            reason = reasons[session.pid]
            _log.warning(
                "session of a reporting role ended: %s", reason, extra={"role": session.role}
            )
        return {session.pid: reasons[session.pid] for session in ended}

    def _restrain(self, pids: set[int]) -> None:
        if self._processes:
            for pid in pids - self._restrained:
                self._processes.restrain(pid)
        self._restrained = pids

    def _memory(self, sessions: Iterable[Session]) -> dict[int, int]:
        if not self._processes:
            return {}
        return {session.pid: self._processes.memory_bytes(session.pid) for session in sessions}

    def _limits_on_disk(self, used: int) -> SessionLimits:
        """The limits, with at most a quarter of the space that is free or used temporarily."""
        if not self._processes:
            return self._limits
        quarter = (self._processes.free_disk_bytes() + used) // 4
        temp_file_bytes = min(self._limits.temp_file_bytes, quarter)
        return replace(self._limits, temp_file_bytes=temp_file_bytes)

    async def _disable(self, role: str, sessions: Iterable[Session]) -> dict[int, str]:
        """Disable a role that keeps writing. Returns its sessions, which are to be ended."""
        try:
            await self._pool.execute(f"alter role {quoted(role)} nologin")
        except asyncpg.InsufficientPrivilegeError:
            _log.warning("no privilege to disable a reporting role", extra={"role": role})
        else:
            self._writers.forget(role)
            _log.error(
                "reporting role disabled because it keeps writing; `lrs reports grant` enables it",
                extra={"role": role},
            )
        return {
            session.pid: "the role keeps writing"
            for session in sessions
            if session.role == role and session.pid == session.leader_pid
        }

    async def _end(self, session: Session) -> bool:
        try:
            await self._pool.execute(_END_SESSION, session.pid, session.started_at)
        except asyncpg.InsufficientPrivilegeError:
            self._warn_of_hidden_roles({session.role})
            return False
        return True

    def _warn_of_hidden_roles(self, roles: set[str]) -> None:
        for role in roles - self._hidden_roles:
            _log.warning(
                "sessions of a reporting role are not limited: the server's role may not see or "
                "end them; see `lrs reports grant`",
                extra={"role": role},
            )
        self._hidden_roles |= roles


def _session(row: asyncpg.Record) -> Session:
    return Session(**{name: value for name, value in row.items() if name != "hidden"})
