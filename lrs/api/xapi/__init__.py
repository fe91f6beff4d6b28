"""The xAPI interface: every resource of the standard, in both of its versions."""

from lrs.api.xapi import documents, known, resources, statements
from lrs.api.xapi.headers import ALLOWED_HEADERS, EXPOSED_HEADERS

__all__ = ["ALLOWED_HEADERS", "EXPOSED_HEADERS", "ROUTES"]

ROUTES = [*statements.ROUTES, *documents.ROUTES, *known.ROUTES, resources.NOWHERE]
