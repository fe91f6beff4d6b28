"""What is made of the statements for reports: events, facts and records; see docs/reporting.md.

Whoever changes any of it holds the lock of the partner's projection, until the transaction ends.
"""

from lrs.projection.advance import advance, lock
from lrs.projection.lag import Reached, Waiting, reached, standing, waiting
from lrs.projection.projector import Follower
from lrs.projection.rebuild import rebuild
from lrs.projection.recompute import note_changed, recompute

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
