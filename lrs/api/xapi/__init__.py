"""The xAPI interface: every resource of the standard, in both of its versions."""

from lrs.api.xapi import documents, known, statements
from lrs.api.xapi.headers import ALLOWED_HEADERS, EXPOSED_HEADERS, XAPIHeaders
from lrs.api.xapi.syntax import AlternateSyntax

__all__ = ["ALLOWED_HEADERS", "EXPOSED_HEADERS", "ROUTES", "AlternateSyntax", "XAPIHeaders"]

ROUTES = [*statements.ROUTES, *documents.ROUTES, *known.ROUTES]
