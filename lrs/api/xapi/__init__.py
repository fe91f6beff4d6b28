"""The xAPI interface: every resource of the standard, in both of its versions."""

from lrs.api.xapi import statements
from lrs.api.xapi.headers import XAPIHeaders

__all__ = ["ROUTES", "XAPIHeaders"]

ROUTES = [*statements.ROUTES]
