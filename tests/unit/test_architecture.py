"""Import rules between the packages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lrs
from lrs.api.routes import ROUTES

ROOT = Path(lrs.__file__).parent
FILES = {
    ".".join(("lrs", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


# From the top down: a module imports only from layers below its own and from its own package.
LAYERS = (
    {"cli"},
    {"server"},
    {"app"},
    {"backup"},
    {"bootstrap"},
    {"console"},
    {"api"},
    {"admin"},
    {"pipes"},
    {"auth"},
    {"ingest"},
    {"people"},
    {"catalog"},
    {"imports"},
    {"reports"},
    {"projection"},
    {"ledger"},
    {"limits"},
    {"store"},
    {"xapi"},
    {"environment"},
    {"settings"},
    {"periodic"},
    {"cursors", "errors", "observability", "plurals", "resources", "threads"},
    {"pacing"},
)
STANDALONE = {"embedded_postgres"}
"""Imported where a server or a command needs them, and importing only the bottom layer."""

NO_IO = {
    "asyncio", "asyncpg", "httpx", "io", "os", "pathlib", "random", "secrets", "socket", "sqlite3",
    "subprocess", "tempfile", "threading", "time", "urllib.request", "logging",
}  # fmt: skip


def imports(module: str) -> set[str]:
    """The full names of what a module imports, imports for type checking included."""
    names = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in FILES else str(node.module))
    return names


IMPORTS = {module: imports(module) for module in FILES}
LEVELS = {name: level for level, layer in enumerate(LAYERS) for name in layer}


def package(module: str) -> str:
    """The package, or the module, directly below `lrs`; empty for `lrs` itself."""
    return module.removeprefix("lrs").lstrip(".").partition(".")[0]


def is_within(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")


def importers(name: str) -> set[str]:
    """The modules that import a package or anything in it."""
    return {
        module
        for module, imported in IMPORTS.items()
        if any(is_within(other, name) for other in imported)
    }


def test_every_package_has_a_layer() -> None:
    assert {package(module) for module in FILES} - {""} == LEVELS.keys() | STANDALONE


@pytest.mark.parametrize("module", sorted(FILES))
def test_module_imports_only_from_layers_below(module: str) -> None:
    own = package(module)
    for other in sorted(IMPORTS[module]):
        name = package(other)
        if not is_within(other, "lrs") or name in ("", own) or name in STANDALONE:
            continue
        level = LEVELS.get(own, LEVELS["settings"])
        assert LEVELS[name] > level, f"{module} imports {other}"


def test_only_persistence_imports_asyncpg() -> None:
    packages = {package(module) for module in importers("asyncpg")}
    assert packages <= {"backup", "ingest", "people", "reports", "projection", "store"}


def test_only_http_layers_import_starlette() -> None:
    assert {package(module) for module in importers("starlette")} <= {
        "api",
        "app",
        "console",
        "server",
    }


@pytest.mark.parametrize("module", sorted(name for name in FILES if is_within(name, "lrs.xapi")))
def test_rules_of_the_standard_do_no_io(module: str) -> None:
    assert IMPORTS[module].isdisjoint(NO_IO)


def uses_postgres(module: str) -> bool:
    """Whether a module imports the driver or the store."""
    return any(
        is_within(other, name) for other in IMPORTS[module] for name in ("asyncpg", "lrs.store")
    )


RULES = sorted(
    module
    for module in FILES
    if package(module) in {"people", "projection", "reports"} and not uses_postgres(module)
)
"""The business rules of learners and reports: the modules without SQL."""


@pytest.mark.parametrize("module", RULES)
def test_module_without_sql_does_no_io(module: str) -> None:
    """Neither itself nor through a module that it imports."""
    assert IMPORTS[module].isdisjoint(NO_IO)
    assert not [other for other in IMPORTS[module] & FILES.keys() if uses_postgres(other)]


def test_business_rules_are_apart_from_sql() -> None:
    rules = {"people.plan", "projection.events", "projection.vocabulary", "reports.encoders"}
    assert {f"lrs.{name}" for name in rules} <= set(RULES)


def interface(module: str) -> str:
    """The HTTP interface that a module belongs to: `xapi`, `canvas`, or the partners' own."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["lrs", "api"] and parts[2:] else ""


def test_interfaces_do_not_import_each_other() -> None:
    """A module whose handlers have routes is an interface; only the table of routes imports it."""
    routed = {route.endpoint.__module__ for route in ROUTES}
    for module in (name for name in FILES if is_within(name, "lrs.api")):
        foreign = {
            other for other in IMPORTS[module] & routed if interface(other) != interface(module)
        }
        assert not foreign or module == "lrs.api.routes", module


def test_given_database_does_not_load_the_embedded_one() -> None:
    """No module imports it at the top level: it is imported where it is started."""
    for module in importers("lrs.embedded_postgres"):
        if package(module) == "embedded_postgres":
            continue
        for node in ast.parse(FILES[module].read_text()).body:
            if isinstance(node, ast.ImportFrom):
                imported = {f"{node.module}.{alias.name}" for alias in node.names}
                assert not any(is_within(name, "lrs.embedded_postgres") for name in imported), (
                    module
                )
