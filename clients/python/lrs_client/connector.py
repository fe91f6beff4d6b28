"""The connector: one method per report table."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

try:
    import httpx
    import pandas
    from pyarrow import parquet
except ImportError as error:
    raise ImportError(f"lrs_client needs {error.name}: pip install lrs-client") from error

TABLES = (
    "assessment_dim",
    "assessment_fact",
    "assignment_dim",
    "assignment_fact",
    "certification_dim",
    "certification_fact",
    "chapter_dim",
    "chapter_fact",
    "content_dim",
    "content_fact",
    "course_dim",
    "course_fact",
    "date_dim",
    "exercise_dim",
    "exercise_fact",
    "group_dim",
    "learner_dim",
    "learner_identifier_dim",
    "learner_record",
    "practice_dim",
    "practice_fact",
    "project_dim",
    "project_fact",
    "publication_fact",
    "statements",
    "team_dim",
    "track_content_dim",
    "track_content_fact",
    "track_dim",
    "track_fact",
    "uncounted",
    "user_dim",
    "user_team_bridge",
    "workspace_dim",
    "workspace_fact",
    "workspace_visit_fact",
)


# In the vendor's client `course_dim` has `xp`, which its snippet tells apart by suffixes. The file
# has `course_xp`, because `xp` is ambiguous in the vendor's SQL.
_VENDOR_NAMES = {"course_dim": {"course_xp": "xp"}}


class ConnectorError(Exception):
    """The server is unreachable or refuses the request. The message states the reason."""


class DataConnector:
    """Downloads report tables: one method per name in TABLES, such as `course_fact()`.

    An omitted argument is read from the environment: LRS_URL, LRS_PARTNER, LRS_KEY, LRS_SECRET.
    The credential needs the scope `reports/read`. `timeout` is in seconds.
    Raises ConnectorError when a value is missing.
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
        self._url = _argument("url", url).rstrip("/")
        self._partner = _argument("partner", partner)
        self._credentials = (_argument("key", key), _argument("secret", secret))
        self._token = ""
        self._timeout = timeout

    def table(self, name: str) -> pandas.DataFrame:
        """Download one table; `course_dim` has the vendor's column `xp`. Raises ConnectorError."""
        path = (
            f"/v1/partners/{quote(self._partner, safe='')}/reports/{quote(name, safe='')}.parquet"
        )
        with TemporaryFile() as file:
            try:
                with httpx.Client(base_url=self._url, timeout=self._timeout) as http:
                    self._download(http, path, file)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ConnectorError(f"Cannot reach {self._url}: {error}.") from error
            file.seek(0)
            frame = parquet.read_table(file).to_pandas(date_as_object=False)
        return frame.rename(columns=_VENDOR_NAMES.get(name, {}))

    def _download(self, http: httpx.Client, path: str, file: IO[bytes]) -> None:
        """Try the current token first, then a new one: the current one may be expired."""
        for token in (self._token, None):
            self._token = token or self._new_token(http)
            headers = {"Authorization": f"Bearer {self._token}"}
            with http.stream("GET", path, headers=headers) as response:
                if response.status_code == 200:
                    file.writelines(response.iter_bytes())
                    return
                response.read()
            if response.status_code != 401:
                break
        raise ConnectorError(_reason(response))

    def _new_token(self, http: httpx.Client) -> str:
        form = {"grant_type": "client_credentials"}
        response = http.post("/oauth2/token", data=form, auth=self._credentials)
        if response.status_code != 200:
            raise ConnectorError(f"Token request failed: {_reason(response)}")
        return str(response.json()["access_token"])

    def __getattr__(self, name: str) -> Callable[[], pandas.DataFrame]:
        if name not in TABLES:
            raise AttributeError(f"No table named {name!r}.")
        return partial(self.table, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]


def _argument(name: str, value: str | None) -> str:
    variable = f"LRS_{name.upper()}"
    argument = value or os.environ.get(variable)
    if not argument:
        raise ConnectorError(f"Missing {name}: pass it as an argument or set {variable}.")
    return argument


def _reason(response: httpx.Response) -> str:
    """The detail of a problem document (RFC 9457) or of an OAuth 2.0 error (RFC 6749)."""
    try:
        body: dict[str, Any] = response.json()
        return str(body.get("detail") or body["error_description"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The server responded with status {response.status_code}."
