"""The sections of both specifications, by number: those that requirements may name."""

from __future__ import annotations

DATA = {
    "2.2": "Formatting Requirements",
    "2.3.1": "Statement Immutability",
    "2.3.2": "Voiding",
    "2.4": "Statement Properties",
    "2.4.1": "ID",
    "2.4.2": "Actor",
    "2.4.2.1": "When the Actor objectType is Agent",
    "2.4.2.2": "When the Actor ObjectType is Group",
    "2.4.2.3": "Inverse Functional Identifier",
    "2.4.2.4": "Account Object",
    "2.4.3": "Verb",
    "2.4.4": "Object",
    "2.4.4.1": "When the ObjectType is Activity",
    "2.4.4.2": "When the Object is an Agent or a Group",
    "2.4.4.3": "When the Object is a Statement",
    "2.4.5": "Result",
    "2.4.5.1": "Score",
    "2.4.6": "Context",
    "2.4.6.1": "Registration Property",
    "2.4.6.2": "ContextActivities Property",
    "2.4.7": "Timestamp",
    "2.4.8": "Stored",
    "2.4.9": "Authority",
    "2.4.10": "Version",
    "2.4.11": "Attachments",
    "2.6": "Signed Statements",
    "4.1": "Extensions",
    "4.2": "Language Maps",
    "4.3": "IRIs",
    "4.4": "UUIDs",
    "4.5": "ISO 8601 Timestamps",
    "4.6": "ISO 8601 Durations",
}
"""xAPI 1.0.3, Part Two."""

COMMUNICATION = {
    "1.5.1": "Application/JSON",
    "1.5.2": "Multipart/Mixed",
    "2.1.1": "PUT Statements",
    "2.1.2": "POST Statements",
    "2.1.3": "GET Statements",
    "2.2": "Document Resources",
    "2.3": "State Resource",
    "2.4": "Agents Resource",
    "2.5": "Activities Resource",
    "2.6": "Agent Profile Resource",
    "2.7": "Activity Profile Resource",
    "2.8": "About Resource",
    "3.1": "Concurrency",
}
"""xAPI 1.0.3, Part Three."""

IEEE = {
    "4.1.3": "Content Types",
    "4.1.4": "Concurrency",
    "4.1.6.1": "Statement Resource",
    "4.1.6.2": "State Resource",
    "4.1.6.3": "Agents Resource",
    "4.1.6.4": "Activities Resource",
    "4.1.6.5": "Agent Profile Resource",
    "4.1.6.6": "Activity Profile Resource",
    "4.1.6.7": "About Resource",
    "4.2": "LRS Data Requirements",
    "4.2.2": "Statement",
    "4.2.2.1": "Actor",
    "4.2.2.2": "Verb",
    "4.2.2.3": "Object",
    "4.2.2.4": "Result",
    "4.2.2.5": "Context",
    "4.2.2.6": "Attachments",
    "4.2.5": "Statement Voiding",
    "4.2.6": "Statement Signing",
    "4.2.7": "Additional Requirements for Data Types",
}
"""IEEE 9274.1.1 (xAPI 2.0)."""

TITLES = {
    **{f"xAPI 1.0.3 Data {number}": title for number, title in DATA.items()},
    **{f"xAPI 1.0.3 Communication {number}": title for number, title in COMMUNICATION.items()},
    **{f"IEEE 9274.1.1 {number}": title for number, title in IEEE.items()},
}
