"""Canvas's interface: callbacks of LTI tools, their URLs, and reports of what they told."""

from lrs.api.canvas import callbacks, page_views, tools

ROUTES = [*callbacks.ROUTES, *tools.ROUTES, *page_views.ROUTES]

__all__ = ["ROUTES"]
