"""The xAPI interface: every resource of the standard, in both of its versions."""

from lrs.api.xapi import documents, entities, resource, statements
from lrs.api.xapi.response_headers import ALLOWED_HEADERS, EXPOSED_HEADERS

__all__ = ["ALLOWED_HEADERS", "EXPOSED_HEADERS", "ROUTES"]

ROUTES = [*statements.ROUTES, *documents.ROUTES, *entities.ROUTES, resource.NOWHERE]
