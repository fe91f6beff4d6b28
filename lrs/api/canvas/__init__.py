"""Canvas's interface: callbacks of LTI tools, their URLs, and reports of what they told."""

from lrs.api.canvas import callbacks, tools, views

ROUTES = [*callbacks.ROUTES, *tools.ROUTES, *views.ROUTES]

__all__ = ["ROUTES"]
