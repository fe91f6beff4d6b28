"""What makes a resource one of the xAPI interface."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import problem_details
from lrs.api.routing import Handler, Resource, by_method
from lrs.api.xapi import alternate_syntax, response_headers
from lrs.errors import LRSError


class XAPIResource(Resource):
    """Understands the alternate request syntax, and says in every answer which version it is."""

    async def answer(self, request: Request) -> Response:
        if alternate_syntax.is_used(request):
            response = await self._answer_form(request)
        else:
            response = await super().answer(request)
        await response_headers.complete(request, response)
        return response

    async def _answer_form(self, request: Request) -> Response:
        try:
            meant = await alternate_syntax.meant(request)
        except LRSError as error:
            return problem_details.response(error)
        response = await super().answer(meant)
        return alternate_syntax.bodiless(response) if meant.method == "HEAD" else response


def resource(path: str, **handlers: Handler) -> Resource:
    """The same as any other resource's."""
    return XAPIResource(path, by_method(handlers))


NOWHERE = resource("/xapi/{path:path}")
"""All that is not there."""
