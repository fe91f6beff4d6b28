"""The overview of partners."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from lrs.api.admin import overview
from lrs.console.pages import read_twin, twin_page

get_overview = twin_page(overview.get_overview, "overview.html", "/overview")


async def overview_of(request: Request) -> Any:
    """What the partner in the path has sent. Raises NotFound."""
    name = request.path_params["partner"]
    data = await read_twin(request, overview.get_overview, {"partner": name})
    return data["partners"][0]
