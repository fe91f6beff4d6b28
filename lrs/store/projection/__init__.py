"""What is made of the statements for reports: events, facts and records; see docs/reporting.md.

Whoever changes any of it holds the lock of the partner's projection, until the transaction ends.
"""

from lrs.store.projection.follower import Follower
from lrs.store.projection.following import advance, lock
from lrs.store.projection.rebuilding import rebuild
from lrs.store.projection.recomputing import note_changed, recompute
from lrs.store.projection.standing import Reached, Waiting, reached, standing, waiting

__all__ = [
    "Follower",
    "Reached",
    "Waiting",
    "advance",
    "lock",
    "note_changed",
    "reached",
    "rebuild",
    "recompute",
    "standing",
    "waiting",
]
