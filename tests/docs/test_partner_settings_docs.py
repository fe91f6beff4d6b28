"""docs/partners.md lists every setting of a partner, and no other."""

from __future__ import annotations

import re

from lrs.cli.partner_setting_options import format_value
from lrs.store import partner_settings
from tests.support.files import DOCS

DOCUMENT = (DOCS / "partners.md").read_text(encoding="utf-8")


def test_settings_of_partners_are_listed_with_default_and_description() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (.+) \|$", DOCUMENT.partition("## Settings")[2], re.MULTILINE
    )
    defaults = partner_settings.DEFAULTS
    assert rows == [
        (name, f"`{format_value(getattr(defaults, name))}`", partner_settings.description(name))
        for name in partner_settings.names()
    ]
