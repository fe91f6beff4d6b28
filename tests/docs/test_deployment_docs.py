"""docs/deployment.md: settings, limits and timeouts agree with the server."""

from __future__ import annotations

import configparser
import re

from lrs.environment import from_environment
from lrs.settings import PREFIX, Settings, settings_schema
from tests.support.doc_examples import blocks
from tests.support.reverse_proxies import DOCUMENT
from tests.support.settings_docs import variable

TEXT = DOCUMENT.read_text(encoding="utf-8")
NGINX = "".join(blocks(DOCUMENT, "nginx"))
(CADDY,) = blocks(DOCUMENT, "caddyfile")
DEFAULTS = Settings()
MEBIBYTE = 1024 * 1024


def numbers(pattern: str, text: str) -> set[int]:
    numbers = {int(number) for number in re.findall(pattern, text, re.MULTILINE)}
    assert numbers, pattern
    return numbers


def test_named_settings_exist() -> None:
    named = {name.removesuffix("_FILE") for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", TEXT)}
    assert named <= {variable(name) for name in settings_schema()}


def test_examples_of_settings_are_valid() -> None:
    values = re.findall(rf"^({PREFIX}\w+)=(\S+)$", TEXT, re.MULTILINE)
    settings = from_environment(dict(values))
    assert settings.public_url == "https://lrs.example.com"
    assert settings.trusted_proxies == "10.0.0.2"


def test_proxies_close_idle_connections_before_the_server() -> None:
    idle = numbers(r"keepalive_timeout (\d+)s;", NGINX) | numbers(r"^\s*keepalive (\d+)s$", CADDY)
    assert max(idle) < DEFAULTS.keep_alive_timeout_seconds


def test_body_and_page_sizes_are_those_of_the_server() -> None:
    assert numbers(r"client_max_body_size (\d+)m;", NGINX) == {DEFAULTS.max_body_bytes // MEBIBYTE}


def test_proxy_waits_longer_than_the_database() -> None:
    assert min(numbers(r"proxy_read_timeout (\d+)s;", NGINX)) > DEFAULTS.database_timeout_seconds


def test_defaults_in_the_text_are_those_of_the_settings() -> None:
    stated = re.findall(rf"`({PREFIX}[A-Z_]+)` \((\d+)( MiB)?\)", TEXT)
    assert len(stated) >= 4
    for name, number, unit in stated:
        default = getattr(DEFAULTS, name.removeprefix(PREFIX).lower())
        assert int(number) * (MEBIBYTE if unit else 1) == default, name


def test_systemd_waits_for_the_shutdown() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    (unit,) = blocks(DOCUMENT, "ini")
    parser.read_string(unit)
    service = parser["Service"]
    assert int(service["TimeoutStopSec"]) > DEFAULTS.shutdown_timeout_seconds
    assert service["ExecStart"].endswith("/lrs serve")
    connections = DEFAULTS.max_connections
    assert int(service["LimitNOFILE"]) > 4 * connections
