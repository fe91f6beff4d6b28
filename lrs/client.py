"""A partner's reports as pandas tables, over HTTP.

    from lrs.client import DataConnector

    dc = DataConnector()  # LRS_URL, LRS_PARTNER, LRS_KEY and LRS_SECRET, or the arguments
    dc.course_fact().merge(dc.course_dim(), on="course_id")

Needs the extra `client`: pandas and pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

import httpx

from lrs.reporting.tables import TABLES

try:
    import pandas
    from pyarrow import parquet
except ImportError as error:
    raise ImportError("lrs.client needs pandas and pyarrow: install lrs[client].") from error


class ConnectorError(Exception):
    """The server cannot be reached, or refuses; the message says why."""


class DataConnector:
    """Has a method for each table that the server can send: `course_fact()`, `user_dim()`, …

    What is not given as an argument is read from the environment.
    """

    def __init__(
        self,
        url: str | None = None,
        partner: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        *,
        timeout: float = 300.0,
    ) -> None:
        self._url = _given("url", url).rstrip("/")
        self._partner = _given("partner", partner)
        self._credentials = (_given("key", key), _given("secret", secret))
        self._token = ""
        self._timeout = timeout

    def table(self, name: str) -> pandas.DataFrame:
        """A table by its name, as it stands now. Raises ConnectorError."""
        path = (
            f"/v1/partners/{quote(self._partner, safe='')}/reports/{quote(name, safe='')}.parquet"
        )
        with TemporaryFile() as file:
            try:
                with httpx.Client(base_url=self._url, timeout=self._timeout) as http:
                    self._download(http, path, file)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ConnectorError(f"{self._url} does not answer: {error}.") from error
            file.seek(0)
            return parquet.read_table(file).to_pandas(date_as_object=False)

    def _download(self, http: httpx.Client, path: str, file: IO[bytes]) -> None:
        """With the token there is, or with a new one if that has expired."""
        for token in (self._token, None):
            self._token = token or self._new_token(http)
            headers = {"Authorization": f"Bearer {self._token}"}
            with http.stream("GET", path, headers=headers) as answer:
                if answer.status_code == 200:
                    file.writelines(answer.iter_bytes())
                    return
                answer.read()
            if answer.status_code != 401:
                break
        raise ConnectorError(_reason(answer))

    def _new_token(self, http: httpx.Client) -> str:
        form = {"grant_type": "client_credentials"}
        answer = http.post("/oauth2/token", data=form, auth=self._credentials)
        if answer.status_code != 200:
            raise ConnectorError(f"There is no token: {_reason(answer)}")
        return str(answer.json()["access_token"])

    def __getattr__(self, name: str) -> Callable[[], pandas.DataFrame]:
        if name not in TABLES:
            raise AttributeError(f"There is no table {name!r}.")
        return partial(self.table, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]


def _given(name: str, value: str | None) -> str:
    found = value or os.environ.get(f"LRS_{name.upper()}")
    if not found:
        raise ConnectorError(f"Give {name}, or set LRS_{name.upper()}.")
    return found


def _reason(answer: httpx.Response) -> str:
    try:
        told: dict[str, Any] = answer.json()
        return str(told.get("detail") or told["error_description"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The server answered with status {answer.status_code}."
