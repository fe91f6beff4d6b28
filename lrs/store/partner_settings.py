"""Settings of a partner: behaviour that differs between partners, in one column of `partner`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import msgspec

from lrs.errors import InvalidParameter

ContentType = Literal[
    "course",
    "chapter",
    "exercise",
    "practice",
    "project",
    "assessment",
    "certification",
    "track",
    "workspace",
    "none",
]
"""A type of content items that has report tables, or none."""

DEFAULT = "default"
"""The value that removes a setting, so that the default applies."""


class PartnerSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of one partner; each field has a default and a description for `lrs partner`.

    Values are written as text on the command line and as JSON in the column.
    """

    duplicate_track_event_status: Annotated[
        Literal[200, 409],
        msgspec.Meta(description="HTTP status of a track event that is already stored."),
    ] = 409
    default_content_type: Annotated[
        ContentType,
        msgspec.Meta(
            description="Type in reports of an activity whose definition has no type with report "
            "tables; none: it is in no Data Connector table."
        ),
    ] = "course"
    content_types_by_prefix: Annotated[
        dict[Annotated[str, msgspec.Meta(min_length=1)], ContentType],
        msgspec.Meta(
            description="The same by the beginning of the activity's IRI, as JSON object; the "
            "longest one counts."
        ),
    ] = {}
    language: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)],
        msgspec.Meta(
            description="Preferred language of titles and descriptions in reports, as language tag."
        ),
    ] = "en"
    keep_refused_items: Annotated[
        bool,
        msgspec.Meta(
            description="Whether the text of refused items is kept, not only their errors."
        ),
    ] = True
    strict_callback_idempotency: Annotated[
        bool,
        msgspec.Meta(
            description=(
                "Whether a callback with the id of an earlier one of its launch is never counted, "
                "also with another content or after ten minutes."
            )
        ),
    ] = False
    time_zone: Annotated[
        str,
        msgspec.Meta(description="Time zone of days in reports, such as Europe/Berlin."),
    ] = "UTC"
    organization_from_memberships: Annotated[
        bool,
        msgspec.Meta(
            description="Whether reports take the organization of an event without one from the "
            "memberships of its learner."
        ),
    ] = True
    roll_up: Annotated[
        bool,
        msgspec.Meta(description="Whether course_fact includes the work on the parts of a course."),
    ] = True
    fold_mail_case: Annotated[
        bool,
        msgspec.Meta(
            description="Whether mail addresses that differ in letter case only are one learner in "
            "reports and look-ups. After a change, the projector regroups the learners."
        ),
    ] = True
    silence_alarm_seconds: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] | None,
        msgspec.Meta(
            description="Silence after which the alarm fires; null: judged by the usual gap, "
            "0: never."
        ),
    ] = None
    refusal_alarm_percent: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=100,
            description="Share of refused items at which the alarm fires; 0: never.",
        ),
    ] = 10


DEFAULTS = PartnerSettings()

APPLIED_BY_REBUILD = frozenset(
    {
        "content_types_by_prefix",
        "default_content_type",
        "language",
        "organization_from_memberships",
        "roll_up",
        "time_zone",
    }
)
"""Settings that apply to statements projected before by a rebuild of the reports only.

The projector rebuilds them in the background.
"""

_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(PartnerSettings)}


def names() -> list[str]:
    """The names of all settings."""
    return list(_FIELDS)


def description(name: str) -> str:
    """The description of a setting, for help and docs."""
    info = msgspec.inspect.type_info(_FIELDS[name].type)
    assert isinstance(info, msgspec.inspect.Metadata), f"{name} has no description"  # noqa: S101
    return str((info.extra_json_schema or {})["description"])


def decode(text: str | None) -> PartnerSettings:
    """The settings in the column; members of later versions are ignored."""
    return msgspec.json.decode(text, type=PartnerSettings) if text else DEFAULTS


def encode(settings: PartnerSettings) -> str:
    """The text for the column: what differs from the defaults."""
    return msgspec.json.encode(settings).decode()


def encode_applied_by_rebuild(settings: PartnerSettings) -> str:
    """The same text with the settings that a rebuild applies."""
    values = {name: getattr(settings, name) for name in APPLIED_BY_REBUILD}
    return encode(PartnerSettings(**values))


def change(settings: PartnerSettings, changes: Mapping[str, Any]) -> PartnerSettings:
    """The settings with the changes, whose values are text or JSON values; see `DEFAULT`.

    Raises InvalidParameter, which names the setting and what was expected.
    """
    values = {name: getattr(settings, name) for name in _FIELDS}
    for name, value in changes.items():
        field = _FIELDS.get(name)
        if field is None:
            raise InvalidParameter(
                f"Unknown setting {name[:80]!r}; the settings are {', '.join(_FIELDS)}."
            )
        values[name] = (
            getattr(DEFAULTS, name) if value == DEFAULT else _convert(name, value, field.type)
        )
    return PartnerSettings(**values)


def _convert(name: str, value: Any, expected: Any) -> Any:
    """The value of the type; a text is read as JSON where it holds an object or array."""
    try:
        if isinstance(value, str) and value[:1] in ("{", "["):
            return msgspec.json.decode(value, type=expected)
        converted = msgspec.convert(value, expected, strict=False)
        if name == "time_zone" and converted not in available_timezones() - {"localtime"}:
            raise msgspec.ValidationError("Expected a name of the IANA time zone database")
        return converted
    except msgspec.DecodeError as error:
        info = msgspec.inspect.type_info(expected)
        if isinstance(info, msgspec.inspect.Metadata):
            info = info.type
        reason = str(error)
        if isinstance(info, msgspec.inspect.LiteralType):
            reason = f"Expected {' or '.join(map(str, info.values))}"
        elif isinstance(info, msgspec.inspect.DictType):
            members = info.value_type
            if isinstance(members, msgspec.inspect.LiteralType):
                expected_members = " or ".join(map(str, members.values))
                reason = (
                    "Expected a JSON object with names that are not empty, "
                    f"and the values {expected_members}"
                )
        elif isinstance(info, msgspec.inspect.BoolType):
            reason = "Expected true or false"
        raise InvalidParameter(f"{name}: {reason}, got {str(value)[:80]!r}.") from None


def differing(settings: PartnerSettings) -> dict[str, Any]:
    """The settings that differ from the defaults, by name, as JSON values."""
    values: dict[str, Any] = msgspec.to_builtins(settings)
    return values
