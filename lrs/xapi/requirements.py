"""Requirements: the sections of the specifications that a violation names, by version of xAPI.

The JSON Schemas name the sections of their rules themselves (`x-requirement`).
"""

from __future__ import annotations

from collections.abc import Mapping

from lrs.xapi.validation import Version

Requirement = Mapping[Version, str]


def _requirement(section: str, ieee_section: str) -> Requirement:
    return {"1.0.3": f"xAPI 1.0.3 {section}", "2.0.0": f"IEEE 9274.1.1 {ieee_section}"}


# Statements
STATEMENT_COMPARISON = _requirement("Data 2.3.1", "4.2")
SIGNATURE = _requirement("Data 2.6", "4.2.6")
ATTACHMENT_CONTENT = _requirement("Communication 1.5.2", "4.1.3")

# Resources and their parameters
PUT_STATEMENT = _requirement("Communication 2.1.1", "4.1.6.1")
POST_STATEMENTS = _requirement("Communication 2.1.2", "4.1.6.1")
GET_STATEMENTS = _requirement("Communication 2.1.3", "4.1.6.1")
STATE = _requirement("Communication 2.3", "4.1.6.2")
AGENTS = _requirement("Communication 2.4", "4.1.6.3")
ACTIVITIES = _requirement("Communication 2.5", "4.1.6.4")
AGENT_PROFILE = _requirement("Communication 2.6", "4.1.6.5")
ACTIVITY_PROFILE = _requirement("Communication 2.7", "4.1.6.6")
