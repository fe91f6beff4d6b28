"""The rules by which the statements of one partner are projected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from lrs import resources
from lrs.projection.vocabulary import Vocabulary
from lrs.store import partner_settings
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Connection

_SETTINGS = resources.query("get_projection_settings")


@dataclass(frozen=True, slots=True)
class PartnerRules:
    """The server's vocabulary and the partner's settings."""

    vocabulary: Vocabulary
    settings: PartnerSettings = partner_settings.DEFAULTS

    @property
    def time_zone(self) -> tzinfo:
        """The zone of days."""
        name = self.settings.time_zone
        return UTC if name == "UTC" else ZoneInfo(name)

    def default_type(self, activity_id: str) -> str | None:
        """The type of an activity that has none of the report tables."""
        return default_type(self.settings, activity_id)


def default_type(settings: PartnerSettings, activity_id: str) -> str | None:
    """The type of an activity that has none of the report tables; None: it is in no table.

    The longest prefix in `content_types_by_prefix` that the IRI begins with decides.
    """
    by_prefix = settings.content_types_by_prefix
    longest = max(filter(activity_id.startswith, by_prefix), key=len, default=None)
    name = by_prefix[longest] if longest else settings.default_content_type
    return None if name == "none" else name


async def read_settings(connection: Connection, partner_id: int) -> PartnerSettings:
    """The settings of a partner at present."""
    return partner_settings.decode(await connection.fetchval(_SETTINGS, partner_id))


async def load_rules(
    connection: Connection, partner_id: int, vocabulary: Vocabulary
) -> PartnerRules:
    """The rules of a partner at present."""
    return PartnerRules(vocabulary, await read_settings(connection, partner_id))
