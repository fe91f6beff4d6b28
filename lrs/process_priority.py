"""What a process may take of the processor when others want it, too."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_NICE = 19
_ATTEMPTS = 5


def lower(pid: int) -> None:
    """Lets other processes go first, as far as the system and our rights allow it."""
    with suppress(AttributeError, OSError):  # not everywhere
        given = os.getpriority(os.PRIO_PROCESS, pid)
        os.setpriority(os.PRIO_PROCESS, pid, given + _NICE)  # the system knows the most
        if os.getsid(pid) == pid:
            _lower_session(pid)


def _lower_session(pid: int) -> None:
    """Linux may divide the processor among sessions first; that a process is nice counts within."""
    for _ in range(_ATTEMPTS):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))
            return
        except BlockingIOError:  # one such change in a tenth of a second
            time.sleep(0.1)
