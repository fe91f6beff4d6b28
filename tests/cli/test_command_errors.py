"""Commands without a database: one sentence, a status other than 0, and nothing is created."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lrs.cli.main import main
from tests.support.cli import refused
from tests.support.commands import command_paths, resolve

CREATE_A_DATABASE = {("serve",), ("migrate",), ("restore",)}
NEED_NO_DATABASE = {("backup", "verify"), ("token",)}
COMMANDS = [
    path
    for path in command_paths()
    if not isinstance(resolve(path)[0], click.Group)
    and path not in CREATE_A_DATABASE | NEED_NO_DATABASE
]
# Options without which a command has nothing to do.
OPTIONS = {
    ("content", "link"): ["https://x.example/a", "https://x.example/b"],
    ("credential", "set"): ["--label", "x"],
    ("operator", "set"): ["--role", "viewer"],
    ("partner", "set"): ["--title", "x"],
    ("pipe", "add"): ["--pull", "--key", "x"],
    ("pipe", "drop"): ["--all"],
    ("pipe", "retry"): ["--all"],
    ("pipe", "set"): ["--every", "5"],
}
FILES = {
    ("content", "import"): "type,content\nCourse,https://x.example/a\n",
    ("people", "import"): "type,user\nuser,x\n",
}


def value(parameter: click.Parameter, path: tuple[str, ...], folder: Path) -> str:
    """A valid value of a required argument or option."""
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[0])
    if isinstance(parameter.type, click.types.UUIDParameterType):
        return "6fb8a5c8-0000-4000-8000-000000000000"
    if isinstance(parameter.type, click.Path | click.File):
        file = folder / "file.csv"
        file.write_text(FILES.get(path, ""))
        is_folder = isinstance(parameter.type, click.Path) and not parameter.type.file_okay
        return str(folder / "out" if is_folder else file)
    return "x"


def arguments(path: tuple[str, ...], folder: Path) -> list[str]:
    command, _ = resolve(path)
    words = [*path]
    for parameter in command.params:
        if parameter.required:
            name = parameter.opts[:1] if isinstance(parameter, click.Option) else []
            words += [*name, value(parameter, path, folder)]
    return [*words, *OPTIONS.get(path, ())]


def call(path: tuple[str, ...], folder: Path, **variables: str) -> Result:
    environment: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("LRS_")
    }
    environment |= {"SECRET": "s" * 32, "PASSPHRASE": "correct horse battery"}
    return CliRunner().invoke(main, arguments(path, folder), env=environment | variables)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_command_without_a_database_is_refused_and_creates_nothing(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    sentence = refused(call(path, tmp_path, LRS_DATA_DIRECTORY=str(data)))
    assert sentence.startswith(f"There is no database in {data}: run the command in the directory")
    assert not data.exists()
