"""`lrs partners`, help and version."""

from __future__ import annotations

import asyncio
import getpass
import json

import asyncpg
import pytest

from lrs import __version__
from lrs.api.services import Services
from lrs.store import server_properties
from tests.support.cli import Lrs, new_name, refused
from tests.support.commands import command_paths

# Help


@pytest.mark.parametrize("path", list(command_paths()), ids=" ".join)
def test_every_command_has_help(lrs: Lrs, path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = lrs(*path, flag)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")
        assert len(result.stdout.splitlines()) > 4


def test_version_option_prints_the_version(lrs: Lrs) -> None:
    assert __version__ in lrs("--version").stdout


# Partners


def test_added_partner_is_listed(lrs: Lrs) -> None:
    name = new_name()
    result = lrs("partner", "add", name, "--title", "A title", "--home-page", "https://p.example/")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"partner {name}, home page https://p.example\n"
    lines = lrs("partner", "list").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}\t")]
    assert line.split("\t")[1:3] == ["A title", "https://p.example"]


def test_partner_without_home_page_gets_a_default(lrs: Lrs) -> None:
    name = new_name()
    result = lrs("partner", "add", name, LRS_PUBLIC_URL="https://lrs.example")
    assert result.stdout == f"partner {name}, home page https://lrs.example/partners/{name}\n"


def test_existing_partner_name_is_refused(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    assert refused(lrs("partner", "add", name)) == f"Partner {name!r} already exists."


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".hidden", "ü", "x" * 64, "a\n", "-", "%00"])
def test_partner_name_unsafe_in_a_url_is_refused(lrs: Lrs, name: str) -> None:
    sentence = refused(lrs("partner", "add", "--", name))
    assert "is not a valid partner name: use 1 to 63 letters" in sentence


@pytest.mark.parametrize(
    "page", ["", "example.com", "ftp://x.example", "https://", "https://a b", "/"]
)
def test_home_page_without_absolute_url_is_refused(lrs: Lrs, page: str) -> None:
    sentence = refused(lrs("partner", "add", new_name(), "--home-page", page))
    assert "use an absolute URL" in sentence


# Limits


def test_limits_of_a_partner_are_set_listed_and_reset(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    result = lrs(
        "partner", "set", name, "--rate-limit", "500/10 seconds", "--max-stored-bytes", "2GiB",
        "--max-statements-per-day", "none",
    )  # fmt: skip
    expected = "rate_limit=500/10_seconds max_statements_per_day=none max_stored_bytes=2147483648"
    assert result.stdout == f"partner {name}\t{expected}\n"
    (line,) = [line for line in lrs("partner", "list").stdout.splitlines() if name in line]
    assert line.split("\t")[-1] == expected
    lines = lrs("partner", "show", name, LRS_MAX_STATEMENTS_PER_DAY="7").stdout.splitlines()
    assert "rate limit\t500/10 seconds\t(partner)" in lines
    assert "max statements per day\tnone\t(partner)" in lines
    assert "max concurrent requests\t256\t(setting)" in lines
    assert "stored bytes\t0" in [line.partition("\t(")[0] for line in lines]
    reset = ("--rate-limit", "default", "--max-statements-per-day", "default")
    result = lrs("partner", "set", name, *reset, "--max-stored-bytes", "default")
    assert result.stdout == f"partner {name}\n"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--rate-limit", "often", "expected a rate such as 100/second"),
        ("--max-stored-bytes", "1 box", "expected a number of bytes such as 500MB"),
        ("--max-statements-per-day", "-1", "expected a number"),
        ("--max-concurrent-requests", "many", "expected a number"),
        ("--max-concurrent-requests", "9999999999", "expected a number up to 1000000"),
    ],
)
def test_malformed_limit_is_refused(lrs: Lrs, option: str, value: str, expected: str) -> None:
    result = lrs("partner", "set", "acme", option, value)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_set_without_a_limit_or_setting_is_refused(lrs: Lrs) -> None:
    result = lrs("partner", "set", "acme")
    assert (result.exit_code, "Set at least one limit or setting." in result.stderr) == (2, True)


# Settings


def test_setting_of_a_partner_is_set_listed_and_reset(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    result = lrs("partner", "set", name, "--setting", "duplicate-track-event-status=200")
    assert result.stdout == f"partner {name}\tduplicate_track_event_status=200\n"
    (line,) = [line for line in lrs("partner", "list").stdout.splitlines() if name in line]
    assert line.split("\t")[-2] == "duplicate_track_event_status=200"
    lines = lrs("partner", "show", name).stdout.splitlines()
    assert "duplicate track event status\t200\t(partner)" in lines
    reset = lrs("partner", "set", name, "--setting", "duplicate_track_event_status=default")
    assert reset.stdout == f"partner {name}\n"
    lines = lrs("partner", "show", name).stdout.splitlines()
    assert "duplicate track event status\t409\t(default)" in lines


def test_setting_of_reports_without_statements_needs_no_rebuild(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    result = lrs("partner", "set", name, "--setting", "time_zone=Europe/Berlin")
    assert result.stdout == f"partner {name}\ttime_zone=Europe/Berlin\n"
    assert result.stderr == ""
    prefixes = '{"http://example.com/": "project"}'
    lrs("partner", "set", name, "--setting", f"content_types_by_prefix={prefixes}")
    reset = ("content_types_by_prefix=default", "time_zone=default")
    result = lrs("partner", "set", name, "--setting", reset[0], "--setting", reset[1])
    assert result.stdout == f"partner {name}\n"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("time_zone=Mars/Olympus", "a name of the IANA time zone database"),
        ("time_zone=localtime", "a name of the IANA time zone database"),
        ("default_content_type=film", "default_content_type"),
        ('content_types_by_prefix={"": "course"}', "content_types_by_prefix"),
        ("content_types_by_prefix={", "content_types_by_prefix"),
        (
            'content_types_by_prefix={"http://example.com/": "film"}',
            "content_types_by_prefix: Expected a JSON object with names that are not empty, "
            "and the values assessment or certification or chapter or course or",
        ),
        ("roll_up=maybe", "roll_up"),
        (
            "duplicate_track_event_status=500",
            "duplicate_track_event_status: Expected 200 or 409, got '500'.",
        ),
        (
            "strict_callback_idempotency=on",
            "strict_callback_idempotency: Expected true or false, got 'on'.",
        ),
        ("colour=blue", "Unknown setting 'colour'; the settings are "),
        ("blue", "expected KEY=VALUE, got 'blue'"),
    ],
    ids=[
        "zone",
        "zone of the machine",
        "type",
        "prefix",
        "JSON",
        "type of a prefix",
        "text",
        "value",
        "boolean",
        "name",
        "no value",
    ],
)
def test_malformed_setting_is_refused(lrs: Lrs, pair: str, expected: str) -> None:
    name = new_name()
    lrs("partner", "add", name)
    result = lrs("partner", "set", name, "--setting", pair)
    assert result.exit_code != 0
    assert expected in result.stderr


def test_limits_of_an_unknown_partner_or_credential_are_refused(lrs: Lrs) -> None:
    for kind in ("partner", "credential"):
        assert "not found" in refused(lrs(kind, "set", "nobody", "--rate-limit", "1/second"))


# The URL of the server


async def test_recorded_url_is_that_of_the_last_started_server(services: Services) -> None:
    for url in ("http://127.0.0.1:18115", "https://lrs.example/learning"):
        await server_properties.record_base_url(services.database, url)
        assert await server_properties.recorded_base_url(services.database) == url


def test_home_page_begins_with_the_recorded_url(lrs: Lrs, recorded: str) -> None:
    name = new_name()
    result = lrs("partner", "add", name, LRS_PUBLIC_URL="")
    assert result.stdout == f"partner {name}, home page {recorded}/partners/{name}\n"
    link = lrs("operator", "add", f"{name}@x.example", "--role", "owner", LRS_PUBLIC_URL="").stdout
    assert link.startswith(f"{recorded}/console/link?token=")


def test_partner_without_a_known_url_is_refused(lrs: Lrs, unrecorded: None) -> None:
    name = new_name()
    sentence = refused(lrs("partner", "add", name, LRS_PUBLIC_URL=""))
    assert sentence.startswith("The URL of the server is not known: set --home-page")
    page = "https://x.example"
    result = lrs("partner", "add", name, "--home-page", page, LRS_PUBLIC_URL="")
    assert result.exit_code == 0, result.output


def execute(url: str, command: str, *arguments: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(command, *arguments)
        await connection.close()

    asyncio.run(run())


@pytest.fixture
def unrecorded(database_url: str) -> None:
    execute(database_url, "delete from server_property")


@pytest.fixture
def recorded(database_url: str, unrecorded: None) -> str:
    url = "http://127.0.0.1:18115"
    execute(database_url, "insert into server_property values ('base_url', $1)", url)
    return url


# Changes


def test_partner_is_changed_disabled_and_enabled(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    page = "https://moved.example"
    assert lrs("partner", "set", name, "--title", "New", "--home-page", page).exit_code == 0
    assert lrs("partner", "disable", name, "--reason", "Ended").stdout == f"disabled {name}\n"
    (row,) = [
        row for row in json.loads(lrs("partner", "list", "--json").stdout) if row["name"] == name
    ]
    assert (row["title"], row["home_page"]) == ("New", page)
    assert row["disabled_reason"] == "Ended"
    assert "Ended" in lrs("partner", "show", name).stdout
    assert lrs("partner", "enable", name).exit_code == 0
    assert "Ended" not in lrs("partner", "show", name).stdout
    assert "not found" in refused(lrs("partner", "disable", "nobody", "--reason", "x"))


def test_changes_by_commands_are_audited(lrs: Lrs) -> None:
    name = new_name()
    lrs("partner", "add", name)
    lrs("credential", "add", name, "--label", "LMS")
    lrs("tool", "add", name, "player")
    lrs("partner", "disable", name, "--reason", "Ended")
    entries = json.loads(lrs("audit", "--partner", name, "--json").stdout)
    actions = ["partner.disable", "tool.add", "credential.add", "partner.add"]
    assert [entry["action"] for entry in entries] == actions
    assert {entry["via"] for entry in entries} == {"cli"}
    assert entries[0]["operator"] == getpass.getuser()
    header, *lines = lrs("audit", "--partner", name, "--limit", "2").stdout.splitlines()
    assert (header.split("\t")[0], len(lines)) == ("at", 2)
    assert lrs("audit", "--action", "tool.", "--hours", "1").stdout.count("tool.add") > 0


@pytest.mark.parametrize(
    "command",
    [
        ("partner", "list"),
        ("credential", "list"),
        ("tool", "list"),
        ("operator", "list"),
        ("audit",),
        ("reports", "lag"),
        ("keys", "list"),
    ],
    ids=" ".join,
)
def test_list_has_a_header_and_a_json_form(lrs: Lrs, name: str, command: tuple[str, ...]) -> None:
    header = lrs(*command).stdout.splitlines()[0].split("\t")
    assert len(header) > 2
    rows = json.loads(lrs(*command, "--json").stdout)
    assert isinstance(rows, list)
