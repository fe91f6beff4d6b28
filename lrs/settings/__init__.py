"""The settings: one module per subject, one flat record of all.

`environment.py` reads them from environment variables. `docs/configuration.md` lists them by
subject; a test compares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from lrs.errors import OperatorError
from lrs.settings.authentication import AuthenticationSettings
from lrs.settings.database import DatabaseSettings
from lrs.settings.ledger import LedgerSettings
from lrs.settings.monitoring import MonitoringSettings
from lrs.settings.operator_login import OperatorLoginSettings
from lrs.settings.partner_limits import PartnerLimitSettings
from lrs.settings.pipes import PipeSettings
from lrs.settings.reports import ReportSettings
from lrs.settings.request_limits import RequestLimitSettings
from lrs.settings.server import ServerSettings
from lrs.settings.tools import ToolSettings
from lrs.settings.worker_limits import WorkerLimitSettings

PREFIX = "LRS_"


class SettingsError(OperatorError):
    """Invalid setting; the message names the setting and the expected value."""


@dataclass(frozen=True, kw_only=True)
class Settings(
    ServerSettings,
    MonitoringSettings,
    DatabaseSettings,
    AuthenticationSettings,
    OperatorLoginSettings,
    RequestLimitSettings,
    PartnerLimitSettings,
    WorkerLimitSettings,
    LedgerSettings,
    PipeSettings,
    ReportSettings,
    ToolSettings,
):
    """All settings; `docs/configuration.md` repeats each description."""


SUBJECTS = Settings.__bases__
"""The records of the subjects, in the order of `docs/configuration.md`."""


@cache
def settings_schema() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each setting by name, subject by subject: type, description, default."""
    properties = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    return {name: properties[name] for subject in SUBJECTS for name in subject.__annotations__}
