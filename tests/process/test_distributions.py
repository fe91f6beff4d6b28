"""The contents of the built distributions."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

import lrs

ROOT = Path(lrs.__file__).parent.parent
DATA = ("sql", "schemas", "vocabulary")


@dataclass(frozen=True)
class Wheel:
    path: Path
    files: frozenset[str]
    metadata: Message


@pytest.fixture(scope="module")
def server_wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build(ROOT, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build(ROOT / "clients/python", tmp_path_factory.mktemp("client"))


def build(project: Path, target: Path) -> Wheel:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (path,) = target.glob("*.whl")
    with ZipFile(path) as archive:
        files = frozenset(archive.namelist())
        (metadata,) = (name for name in files if name.endswith(".dist-info/METADATA"))
        return Wheel(path, files, message_from_string(archive.read(metadata).decode()))


def source_files(directory: Path) -> set[str]:
    """The files of a directory, as paths relative to its parent."""
    return {
        path.relative_to(directory.parent).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def package_files(wheel: Wheel) -> set[str]:
    return {name for name in wheel.files if ".dist-info/" not in name}


def test_server_wheel_contains_the_package_and_its_data_only(server_wheel: Wheel) -> None:
    data = {f"lrs/{name}" for directory in DATA for name in source_files(ROOT / directory)}
    assert package_files(server_wheel) == source_files(ROOT / "lrs") | data
    assert "lrs/py.typed" in server_wheel.files


def test_client_wheel_contains_the_client_only(client_wheel: Wheel) -> None:
    package = ROOT / "clients/python/lrs_client"
    assert package_files(client_wheel) == source_files(package)
    assert "lrs_client/py.typed" in client_wheel.files


def test_wheels_share_no_file(server_wheel: Wheel, client_wheel: Wheel) -> None:
    assert server_wheel.files.isdisjoint(client_wheel.files)


def test_metadata_names_the_distribution_version_and_licence(
    server_wheel: Wheel, client_wheel: Wheel
) -> None:
    for wheel, name in ((server_wheel, "lrs-server"), (client_wheel, "lrs-client")):
        assert wheel.metadata["Name"] == name
        assert wheel.metadata["Version"] == lrs.__version__
        assert wheel.metadata["License-Expression"] == "Apache-2.0"
        assert any(path.endswith(".dist-info/licenses/LICENSE") for path in wheel.files)


def test_every_dependency_has_a_lower_and_an_upper_bound(
    server_wheel: Wheel, client_wheel: Wheel
) -> None:
    for wheel in (server_wheel, client_wheel):
        requirements = wheel.metadata.get_all("Requires-Dist", [])
        assert requirements
        for requirement in requirements:
            if not requirement.startswith("lrs-server["):
                assert ">=" in requirement, requirement
                assert "<" in requirement, requirement


def test_client_does_not_require_the_server(client_wheel: Wheel) -> None:
    requirements = client_wheel.metadata.get_all("Requires-Dist", [])
    assert not any(requirement.startswith("lrs") for requirement in requirements)


def test_changelog_has_an_entry_for_the_version() -> None:
    assert f"\n## [{lrs.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_client_licence_is_the_licence_of_the_repository() -> None:
    assert (ROOT / "clients/python/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_server_wheel_runs_outside_a_checkout(server_wheel: Wheel, tmp_path: Path) -> None:
    """SQL, schemas and vocabulary are read from the package."""
    with ZipFile(server_wheel.path) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import lrs; from lrs import resources\n"
        "print(lrs.__file__)\n"
        f"print(*map(resources.directory, {DATA}), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    completed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    package = tmp_path / "site" / "lrs"
    assert completed.stdout.splitlines() == [
        str(package / "__init__.py"),
        *(str(package / kind) for kind in DATA),
    ]
