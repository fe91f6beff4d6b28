"""The routes of the console: pages, not part of the OpenAPI document."""

from __future__ import annotations

from starlette.routing import Route

from lrs.console import login, oidc, static_files

CONSOLE_ROUTES: list[Route] = [
    Route("/console", login.get_home),
    Route("/console/login", login.get_login),
    Route("/console/login", login.post_login, methods=["POST"]),
    Route("/console/link", login.get_link),
    Route("/console/link", login.post_link, methods=["POST"]),
    Route("/console/oidc/login", oidc.get_login),
    Route("/console/oidc/callback", oidc.get_callback),
    Route("/console/logout", login.post_logout, methods=["POST"]),
    Route("/console/static/{file}", static_files.get_static),
]
