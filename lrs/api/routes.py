"""The routes: one row per path and method. Print them with `python -m lrs.api.routes`."""

from __future__ import annotations

import sys

from starlette.routing import Route

from lrs.api import (
    content_items,
    health,
    learner_records,
    learners,
    metrics,
    oauth,
    openapi,
    partners,
    people_import,
    refusals,
    report_tables,
    whoami,
)
from lrs.api.admin import session
from lrs.api.canvas import callbacks, page_views, tools
from lrs.api.router import EncodedPathRoute
from lrs.api.xapi import documents, entities, statements

_PARTNER = "/v1/partners/{partner}"
_ORGANIZATION = "/v1/partners/{partner}/organizations/{organization}"
_LEARNER = "/learners/{learner}"
_CONTENT = "/contents/{content}"
_TOOL = "/v1/partners/{partner}/tools/{tool}"
_COURSE = "/api/v1/courses/{course}/analytics"

# GET includes HEAD. Paths with parameters are tried from the top: frequent ones come first.
ROUTES: list[Route] = [
    # Partners: statements and track events
    Route(_PARTNER + "/statements", partners.get_statements),
    Route(_PARTNER + "/statements", partners.post_statements, methods=["POST"]),
    Route(_ORGANIZATION + "/statements", partners.get_statements),
    Route(_ORGANIZATION + "/statements", partners.post_statements, methods=["POST"]),
    Route(_PARTNER + "/track", partners.post_track, methods=["POST"]),
    Route(_ORGANIZATION + "/track", partners.post_track, methods=["POST"]),
    # Partners: what arrived
    Route(_PARTNER + "/whoami", whoami.get_whoami),
    Route(_PARTNER + "/refusals", refusals.get_refusals),
    Route(_PARTNER + "/refusals/{refusal}", refusals.get_refusal),
    Route(_PARTNER + "/refusals/{refusal}/resubmit", refusals.resubmit_refusal, methods=["POST"]),
    # Canvas: callbacks of LTI tools
    Route("/api/lti/v1/xapi/{token}", callbacks.post_xapi, methods=["POST"]),
    Route("/api/lti/v1/caliper/{token}", callbacks.post_caliper, methods=["POST"]),
    # xAPI
    Route("/xapi/statements", statements.get_statements),
    Route("/xapi/statements", statements.post_statements, methods=["POST"]),
    Route("/xapi/statements", statements.put_statement, methods=["PUT"]),
    Route("/xapi/activities/state", documents.get_document),
    Route("/xapi/activities/state", documents.put_document, methods=["PUT"]),
    Route("/xapi/activities/state", documents.post_document, methods=["POST"]),
    Route("/xapi/activities/state", documents.delete_document, methods=["DELETE"]),
    Route("/xapi/agents/profile", documents.get_document),
    Route("/xapi/agents/profile", documents.put_document, methods=["PUT"]),
    Route("/xapi/agents/profile", documents.post_document, methods=["POST"]),
    Route("/xapi/agents/profile", documents.delete_document, methods=["DELETE"]),
    Route("/xapi/activities/profile", documents.get_document),
    Route("/xapi/activities/profile", documents.put_document, methods=["PUT"]),
    Route("/xapi/activities/profile", documents.post_document, methods=["POST"]),
    Route("/xapi/activities/profile", documents.delete_document, methods=["DELETE"]),
    Route("/xapi/agents", entities.get_agent),
    Route("/xapi/activities", entities.get_activity),
    Route("/xapi/about", entities.get_about),
    # Reports
    Route(_PARTNER + "/reports", report_tables.get_tables),
    Route(_PARTNER + "/reports/{table}", report_tables.get_table),
    EncodedPathRoute(_PARTNER + _LEARNER + "/records", learner_records.get_learner_records),
    EncodedPathRoute(_PARTNER + _LEARNER + "/records.csv", learner_records.get_learner_records),
    EncodedPathRoute(_ORGANIZATION + _LEARNER + "/records", learner_records.get_learner_records),
    EncodedPathRoute(
        _ORGANIZATION + _LEARNER + "/records.csv", learner_records.get_learner_records
    ),
    EncodedPathRoute(_PARTNER + _CONTENT + "/records", learner_records.get_content_records),
    EncodedPathRoute(_PARTNER + _CONTENT + "/records.csv", learner_records.get_content_records),
    EncodedPathRoute(_ORGANIZATION + _CONTENT + "/records", learner_records.get_content_records),
    EncodedPathRoute(
        _ORGANIZATION + _CONTENT + "/records.csv", learner_records.get_content_records
    ),
    # Administration of a partner
    Route(_PARTNER + "/people/imports", people_import.post_import, methods=["POST"]),
    Route(_PARTNER + "/learners", learners.get_learners),
    EncodedPathRoute(_PARTNER + _LEARNER, learners.get_learner),
    EncodedPathRoute(_PARTNER + _LEARNER, learners.delete_learner, methods=["DELETE"]),
    EncodedPathRoute(_PARTNER + _LEARNER + "/merge", learners.merge_learner, methods=["POST"]),
    EncodedPathRoute(_PARTNER + _LEARNER + "/detach", learners.detach_identifier, methods=["POST"]),
    EncodedPathRoute(_PARTNER + _LEARNER + "/rename", learners.rename_learner, methods=["POST"]),
    EncodedPathRoute(_PARTNER + _LEARNER + "/restore", learners.restore_learner, methods=["POST"]),
    Route(_PARTNER + "/contents", content_items.get_contents),
    EncodedPathRoute(_PARTNER + _CONTENT, content_items.delete_content, methods=["DELETE"]),
    EncodedPathRoute(
        _PARTNER + _CONTENT + "/restore", content_items.restore_content, methods=["POST"]
    ),
    Route(_PARTNER + "/tools", tools.get_tools),
    Route(_PARTNER + "/tools", tools.post_tools, methods=["POST"]),
    Route(_TOOL, tools.delete_tool, methods=["DELETE"]),
    Route(_TOOL + "/rotate", tools.rotate_tool, methods=["POST"]),
    Route(_TOOL + "/callback-urls", tools.post_callback_urls, methods=["POST"]),
    # Canvas: page view reports
    EncodedPathRoute("/api/v1/users/{user}/page_views", page_views.get_page_views),
    EncodedPathRoute("/api/v1/users/{user}/page_views.csv", page_views.get_page_views_csv),
    EncodedPathRoute(_COURSE + "/activity", page_views.get_course_activity),
    EncodedPathRoute(_COURSE + "/student_summaries", page_views.get_student_summaries),
    EncodedPathRoute(_COURSE + "/users/{user}/activity", page_views.get_user_activity),
    # Operators
    Route("/v1/admin/session", session.get_session),
    Route("/v1/admin/session", session.post_session, methods=["POST"]),
    Route("/v1/admin/session", session.delete_session, methods=["DELETE"]),
    Route("/v1/admin/session/link", session.post_link, methods=["POST"]),
    # OAuth 2.0
    Route("/oauth2/token", oauth.post_token, methods=["POST"]),
    Route("/oauth2-provider/token", oauth.post_token, methods=["POST"]),
    Route("/.well-known/jwks.json", oauth.get_keys),
    Route("/.well-known/oauth-authorization-server", oauth.get_metadata),
    # Operations and documentation
    Route("/healthz", health.get_health),
    Route("/readyz", health.get_ready),
    Route("/metrics", metrics.get_metrics),
    Route("/", openapi.get_root),
    Route("/openapi.json", openapi.get_openapi),
    Route("/schemas/{path:path}", openapi.get_schema),
    Route("/docs", openapi.get_page),
    Route("/docs/{file}", openapi.get_static),
]


def main() -> None:
    for route in ROUTES:
        methods = ",".join(sorted(route.methods or ()))
        handler = f"{route.endpoint.__module__}.{route.endpoint.__name__}"
        sys.stdout.write(f"{methods:9} {route.path}  {handler}\n")


if __name__ == "__main__":
    main()
