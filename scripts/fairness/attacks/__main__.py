"""Run one attack."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from scripts.fairness.attacks import ATTACKS, Target


def main() -> None:
    # A machine of its own would run the attacker: as a session of the lowest priority, it takes
    # hardly any processor time from the server and the victim.
    os.setsid()
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    target = Target(**json.load(sys.stdin))
    asyncio.run(ATTACKS[sys.argv[1]](target))


if __name__ == "__main__":
    main()
