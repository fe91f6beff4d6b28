"""The routes of the console: pages, not part of the OpenAPI document."""

from __future__ import annotations

from starlette.routing import Route

from lrs.console import (
    accounts,
    administration,
    arrivals,
    contents,
    learners,
    learning,
    live,
    login,
    oidc,
    pages,
    static_files,
    tools,
)

_PARTNER = "/console/partners/{partner}"
_KEY = _PARTNER + "/credentials/{key}"
_TOOL = _PARTNER + "/tools/{tool}"
_CONTENT = _PARTNER + "/contents/{content}"
_LEARNER = _PARTNER + "/learners/{learner}"
_OPERATOR = "/console/operators/{email}"
_SESSION = _OPERATOR + "/sessions/{session}"
_REFUSAL = _PARTNER + "/refusals/{refusal}"

CONSOLE_ROUTES: list[Route] = [
    Route("/", login.get_start),
    Route("/console/login", login.get_login),
    Route("/console/login", login.post_login, methods=["POST"]),
    Route("/console/link", login.get_link),
    Route("/console/link", login.post_link, methods=["POST"]),
    Route("/console/oidc/login", oidc.get_login),
    Route("/console/oidc/callback", oidc.get_callback),
    Route("/console/logout", login.post_logout, methods=["POST"]),
    Route("/console/static/{file}", static_files.get_static),
    # What arrives
    Route("/console", arrivals.get_overview),
    Route("/console/help", pages.get_help),
    Route(_PARTNER + "/connect", arrivals.get_connect),
    Route(_PARTNER + "/connect", arrivals.post_connect, methods=["POST"]),
    Route(_PARTNER + "/connect/check", arrivals.post_check, methods=["POST"]),
    Route("/console/attempts", arrivals.get_attempts),
    Route(_PARTNER + "/refusals", arrivals.get_refusals),
    Route(_REFUSAL, arrivals.get_refusal),
    Route(_REFUSAL + "/resubmit", arrivals.post_resubmit, methods=["POST"]),
    Route(_REFUSAL + "/drop", arrivals.post_drop, methods=["POST"]),
    Route(_PARTNER + "/live", live.get_live),
    Route(_PARTNER + "/live/events", live.get_events),
    # Administration
    Route("/console/partners", administration.get_partners),
    Route("/console/partners", administration.post_partners, methods=["POST"]),
    Route(_PARTNER, administration.get_partner),
    Route(_PARTNER, administration.post_partner, methods=["POST"]),
    Route(_PARTNER + "/disable", administration.get_disable),
    Route(_PARTNER + "/disable", administration.post_disable, methods=["POST"]),
    Route(_PARTNER + "/enable", administration.post_enable, methods=["POST"]),
    Route("/console/credentials", administration.get_all_credentials),
    Route(_PARTNER + "/credentials", administration.get_credentials),
    Route(_PARTNER + "/credentials", administration.post_credentials, methods=["POST"]),
    Route(_KEY, administration.get_credential),
    Route(_KEY, administration.post_credential, methods=["POST"]),
    Route(_KEY + "/rotate", administration.post_rotate, methods=["POST"]),
    Route(_KEY + "/revoke", administration.get_revoke),
    Route(_KEY + "/revoke", administration.post_revoke, methods=["POST"]),
    Route(_PARTNER + "/tools", tools.get_tools),
    Route(_PARTNER + "/tools", tools.post_tools, methods=["POST"]),
    Route(_TOOL + "/rotate", tools.post_rotate, methods=["POST"]),
    Route(_TOOL + "/revoke", tools.get_revoke),
    Route(_TOOL + "/revoke", tools.post_revoke, methods=["POST"]),
    Route("/console/operators", accounts.get_operators),
    Route("/console/operators", accounts.post_operators, methods=["POST"]),
    Route(_OPERATOR, accounts.get_operator),
    Route(_OPERATOR, accounts.post_operator, methods=["POST"]),
    Route(_OPERATOR + "/link", accounts.post_link, methods=["POST"]),
    Route(_OPERATOR + "/tokens", accounts.post_token, methods=["POST"]),
    Route(_SESSION + "/revoke", accounts.get_session_revocation),
    Route(_SESSION + "/revoke", accounts.post_session_revocation, methods=["POST"]),
    Route(_OPERATOR + "/revoke", accounts.get_revocation),
    Route(_OPERATOR + "/revoke", accounts.post_revocation, methods=["POST"]),
    Route(_OPERATOR + "/disable", accounts.get_revocation),
    Route(_OPERATOR + "/disable", accounts.post_revocation, methods=["POST"]),
    Route(_OPERATOR + "/enable", accounts.post_enable, methods=["POST"]),
    Route("/console/audit", administration.get_audit),
    Route("/console/system", administration.get_system),
    # What was learned
    Route(_PARTNER + "/statements", learning.get_statements),
    Route(_PARTNER + "/organizations/{organization}/statements", learning.get_statements),
    Route(_KEY + "/statements", learning.get_statements),
    Route(_PARTNER + "/statements/{statement}", learning.get_statement),
    Route(_PARTNER + "/statements/{statement}/void", learning.get_void),
    Route(_PARTNER + "/statements/{statement}/void", learning.post_void, methods=["POST"]),
    Route(_PARTNER + "/learners", learners.get_learners),
    Route(_LEARNER, learners.get_learner),
    Route(_LEARNER + "/documents/{document}", learners.get_document),
    Route(_LEARNER + "/link", learners.get_change),
    Route(_LEARNER + "/link", learners.post_change, methods=["POST"]),
    Route(_LEARNER + "/detach", learners.get_change),
    Route(_LEARNER + "/detach", learners.post_change, methods=["POST"]),
    Route(_LEARNER + "/delete", learners.get_change),
    Route(_LEARNER + "/delete", learners.post_change, methods=["POST"]),
    Route(_LEARNER + "/restore", learners.post_restore, methods=["POST"]),
    Route(_PARTNER + "/contents", contents.get_contents),
    Route(_CONTENT, contents.get_content),
    Route(_CONTENT + "/type", contents.post_type, methods=["POST"]),
    Route(_CONTENT + "/delete", contents.get_delete),
    Route(_CONTENT + "/delete", contents.post_delete, methods=["POST"]),
    Route(_CONTENT + "/restore", contents.post_restore, methods=["POST"]),
    Route(_PARTNER + "/reports", learning.get_reports),
]
