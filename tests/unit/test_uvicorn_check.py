"""The check at start that the HTTP protocol works with the installed uvicorn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lrs.errors import OperatorError
from lrs.observability.exposition import samples
from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.uvicorn_check import check_uvicorn


async def test_installed_uvicorn_passes() -> None:
    await check_uvicorn()
    assert [item.value for item in samples({"lrs_shed_requests"}) if item.value] == []


async def test_uvicorn_that_starts_requests_by_another_method_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As uvicorn 0.38 does: without the check, every request would be accepted."""
    monkeypatch.setattr(LimitedHttpProtocol, "_start_asgi_task", HttpToolsProtocol._start_asgi_task)
    with pytest.raises(OperatorError, match=r"do not work with uvicorn \d"):
        await check_uvicorn()


@pytest.mark.parametrize(
    "name", ["_unset_keepalive_if_required", "on_headers_complete", "on_response_complete"]
)
async def test_uvicorn_without_an_expected_method_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(HttpToolsProtocol, name)
    with pytest.raises(OperatorError, match="install the version that lrs-server requires"):
        await check_uvicorn()


async def test_uvicorn_that_never_starts_pipelined_requests_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complete: Callable[[Any], None] = HttpToolsProtocol.on_response_complete

    def complete_without_pipeline(protocol: HttpToolsProtocol) -> None:
        protocol.pipeline.clear()
        complete(protocol)

    monkeypatch.setattr(HttpToolsProtocol, "on_response_complete", complete_without_pipeline)
    with pytest.raises(OperatorError):
        await check_uvicorn()
