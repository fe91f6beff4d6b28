"""lrs.client: the vendor's snippet against a running server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pandas
import pytest
from lrs_client import TABLES as CLIENT_TABLES
from lrs_client import ConnectorError, DataConnector

from lrs.api.services import Services
from lrs.environment import from_environment
from lrs.reports.tables import TABLES
from tests.support.partners import Partner
from tests.support.reports import DAY, SNIPPET, World, evaluated

VARIABLES = ("LRS_URL", "LRS_PARTNER", "LRS_KEY", "LRS_SECRET")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, server: str, partner: Partner) -> None:
    values = (server, partner.name, partner.key, partner.secret)
    for variable, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(variable, value)


def connector(server: str, credentials: Partner, **changed: str) -> DataConnector:
    variables = {
        "url": server,
        "partner": credentials.name,
        "key": credentials.key,
        "secret": credentials.secret,
    }
    return DataConnector(**variables | changed)


@pytest.mark.slow
async def test_vendor_snippet_runs_with_another_import_only(
    environment: None, services: Services, partner: Partner
) -> None:
    await World(services.database, partner.partner_id).classroom()
    actual = await asyncio.to_thread(evaluated, SNIPPET)
    expected: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for number, teams in enumerate((1, 2, 1)):
        for position, technology in enumerate(("Python", "Python", "SQL")):
            for days in (0, 2, 5, 9):
                day = DAY + timedelta(days=days + number)
                total = expected[day - timedelta(days=day.weekday()), technology]
                total[0] += teams * 900.0 * (number + 1) / 3600
                total[1] += teams * 50.0 * (position + 1)
    assert list(actual.columns) == ["week_start_date", "technology", "time_spent", "xp"]
    assert {
        (row.week_start_date.date(), row.technology): [row.time_spent, row.xp]
        for row in actual.itertuples()
    } == expected


@pytest.mark.slow
async def test_client_has_a_method_per_table(server: str, partner: Partner) -> None:
    dc = connector(server, partner)
    assert set(CLIENT_TABLES) == set(TABLES)
    assert set(TABLES) <= set(dir(dc))
    for name, table in TABLES.items():
        frame = await asyncio.to_thread(getattr(dc, name))
        columns = [column.name for column in table.columns]
        if name == "course_dim":  # the vendor's own name
            columns[columns.index("course_xp")] = "xp"
        assert list(frame.columns) == columns
    with pytest.raises(AttributeError, match="No table named 'nothing'"):
        _ = dc.nothing


async def test_expired_token_is_renewed(server: str, partner: Partner) -> None:
    dc = connector(server, partner)
    dc._token = "expired"
    assert list((await asyncio.to_thread(dc.user_team_bridge)).columns) == ["user_id", "team_id"]


async def test_day_columns_are_pandas_datetimes(server: str, partner: Partner) -> None:
    frame = await asyncio.to_thread(connector(server, partner).date_dim)
    assert pandas.api.types.is_datetime64_any_dtype(frame["week_start_date"])
    assert set(frame["week_start_date"].dt.day_of_week) == {0}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"secret": "wrong"}, "Token request failed"),
        ({"partner": "another"}, "does not belong to partner 'another'"),
        ({"url": "http://127.0.0.1:1"}, "Cannot reach http://127.0.0.1:1"),
    ],
)
async def test_failed_request_raises_connector_error_with_the_cause(
    server: str, partner: Partner, changed: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConnectorError, match=reason):
        await asyncio.to_thread(connector(server, partner, **changed).user_dim)


def test_missing_variables_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(
        ConnectorError, match="Missing partner: pass it as an argument or set LRS_PARTNER"
    ):
        DataConnector("http://127.0.0.1:1")


def test_client_variables_are_ignored_by_the_server() -> None:
    assert from_environment(dict.fromkeys(VARIABLES, "x")) == from_environment({})


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["pandas", "pyarrow", "httpx"])
def test_missing_package_names_the_distribution_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import lrs_client"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: lrs_client needs {missing}: pip install lrs-client"
    )


@pytest.mark.slow
def test_client_does_not_import_the_server() -> None:
    """It is installed without it."""
    program = "import sys; import lrs_client; sys.exit('lrs' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
