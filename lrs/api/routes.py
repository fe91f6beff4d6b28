"""The routes: one row per path and method. Print them with `python -m lrs.api.routes`."""

from __future__ import annotations

import sys

from starlette.routing import Route

from lrs.api import (
    catalog_import,
    content_aliases,
    content_items,
    health,
    learner_records,
    learners,
    metrics,
    oauth,
    openapi,
    partner_statements,
    people_import,
    record_list,
    refusals,
    report_tables,
    whoami,
)
from lrs.api.admin import attempts as admin_attempts
from lrs.api.admin import audit as admin_audit
from lrs.api.admin import contents as admin_contents
from lrs.api.admin import credentials as admin_credentials
from lrs.api.admin import exports as admin_exports
from lrs.api.admin import learner_changes as admin_learner_changes
from lrs.api.admin import learners as admin_learners
from lrs.api.admin import learning as admin_learning
from lrs.api.admin import operators as admin_operators
from lrs.api.admin import outcomes as admin_outcomes
from lrs.api.admin import overview as admin_overview
from lrs.api.admin import partners as admin_partners
from lrs.api.admin import pipe_letters as admin_letters
from lrs.api.admin import pipes as admin_pipes
from lrs.api.admin import refusals as admin_refusals
from lrs.api.admin import session
from lrs.api.admin import statements as admin_statements
from lrs.api.admin import submissions as admin_submissions
from lrs.api.admin import system as admin_system
from lrs.api.admin import tools as admin_tools
from lrs.api.canvas import callbacks, page_views, tools
from lrs.api.router import EncodedPathRoute
from lrs.api.xapi import documents, entities, statements

_PARTNER = "/v1/partners/{partner}"
_ORGANIZATION = "/v1/partners/{partner}/organizations/{organization}"
_LEARNER = "/learners/{learner}"
_CONTENT = "/contents/{content}"
_TOOL = "/v1/partners/{partner}/tools/{tool}"
_ADMIN = "/v1/admin/partners/{partner}"
_OPERATOR = "/v1/admin/operators/{email}"
_KEY = "/credentials/{key}"
_PIPE = "/v1/admin/partners/{partner}/pipes/{pipe}"
_LETTER = _PIPE + "/letters/{letter}"
_COURSE = "/api/v1/courses/{course}/analytics"

# GET includes HEAD. Paths with parameters are tried from the top: frequent ones come first.
ROUTES: list[Route] = [
    # Partners: statements and track events
    Route(_PARTNER + "/statements", partner_statements.get_statements),
    Route(_PARTNER + "/statements", partner_statements.post_statements, methods=["POST"]),
    Route(_ORGANIZATION + "/statements", partner_statements.get_statements),
    Route(_ORGANIZATION + "/statements", partner_statements.post_statements, methods=["POST"]),
    Route(_PARTNER + "/track", partner_statements.post_track, methods=["POST"]),
    Route(_ORGANIZATION + "/track", partner_statements.post_track, methods=["POST"]),
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
    Route(_PARTNER + "/records", record_list.get_records),
    Route(_PARTNER + "/records.csv", record_list.get_records_csv),
    Route(_PARTNER + "/records.ndjson", record_list.get_records_ndjson),
    Route(_PARTNER + "/records.parquet", record_list.get_records_parquet),
    Route(_ORGANIZATION + "/records", record_list.get_records),
    Route(_ORGANIZATION + "/records.csv", record_list.get_records_csv),
    Route(_ORGANIZATION + "/records.ndjson", record_list.get_records_ndjson),
    Route(_ORGANIZATION + "/records.parquet", record_list.get_records_parquet),
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
    Route(_PARTNER + "/contents/imports", catalog_import.post_import, methods=["POST"]),
    Route(_PARTNER + "/contents/aliases", content_aliases.post_aliases, methods=["POST"]),
    EncodedPathRoute(_PARTNER + _CONTENT + "/aliases", content_aliases.get_aliases),
    EncodedPathRoute(
        _PARTNER + _CONTENT + "/aliases", content_aliases.put_aliases, methods=["PUT"]
    ),
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
    Route("/v1/admin/operators", admin_operators.get_operators),
    Route("/v1/admin/operators", admin_operators.post_operators, methods=["POST"]),
    Route(_OPERATOR, admin_operators.get_operator),
    Route(_OPERATOR, admin_operators.patch_operator, methods=["PATCH"]),
    Route(_OPERATOR + "/link", admin_operators.post_link, methods=["POST"]),
    Route(_OPERATOR + "/tokens", admin_operators.post_token, methods=["POST"]),
    Route(_OPERATOR + "/sessions", admin_operators.get_sessions),
    Route(
        _OPERATOR + "/sessions/{session}/revoke", admin_operators.revoke_session, methods=["POST"]
    ),
    Route(_OPERATOR + "/revoke", admin_operators.revoke_sessions, methods=["POST"]),
    Route(_OPERATOR + "/disable", admin_operators.disable_operator, methods=["POST"]),
    Route(_OPERATOR + "/enable", admin_operators.enable_operator, methods=["POST"]),
    Route("/v1/admin/partners", admin_partners.get_partners),
    Route("/v1/admin/partners", admin_partners.post_partners, methods=["POST"]),
    Route(_ADMIN, admin_partners.get_partner),
    Route(_ADMIN, admin_partners.patch_partner, methods=["PATCH"]),
    Route(_ADMIN + "/disable", admin_partners.disable_partner, methods=["POST"]),
    Route(_ADMIN + "/enable", admin_partners.enable_partner, methods=["POST"]),
    Route(_ADMIN + "/limits", admin_partners.get_limits),
    Route("/v1/admin/credentials", admin_credentials.get_all_credentials),
    Route(_ADMIN + "/credentials", admin_credentials.get_credentials),
    Route(_ADMIN + "/credentials", admin_credentials.post_credentials, methods=["POST"]),
    Route(_ADMIN + _KEY, admin_credentials.get_credential),
    Route(_ADMIN + _KEY, admin_credentials.patch_credential, methods=["PATCH"]),
    Route(_ADMIN + _KEY + "/addresses", admin_credentials.get_addresses),
    Route(_ADMIN + _KEY + "/rotate", admin_credentials.rotate_credential, methods=["POST"]),
    Route(_ADMIN + _KEY + "/revoke", admin_credentials.revoke_credential, methods=["POST"]),
    Route(_ADMIN + _KEY + "/statements", admin_statements.get_statements),
    Route(_ADMIN + "/tools", admin_tools.get_tools),
    Route(_ADMIN + "/tools", admin_tools.post_tools, methods=["POST"]),
    Route(_ADMIN + "/tools/{tool}/rotate", admin_tools.rotate_tool, methods=["POST"]),
    Route(_ADMIN + "/tools/{tool}/revoke", admin_tools.revoke_tool, methods=["POST"]),
    Route(_ADMIN + "/statements", admin_statements.get_statements),
    Route(_ADMIN + "/organizations/{organization}/statements", admin_statements.get_statements),
    Route(_ADMIN + "/learners", admin_learners.get_learners),
    Route(_ADMIN + "/deleted-learners", admin_learners.get_deleted_learners),
    Route(_ADMIN + _LEARNER, admin_learners.get_learner),
    Route(_ADMIN + _LEARNER + "/statements", admin_learners.get_learner_statements),
    Route(_ADMIN + _LEARNER + "/records", admin_learners.get_learner_records),
    Route(_ADMIN + _LEARNER + "/documents/{document}", admin_learners.get_learner_document),
    Route(_ADMIN + _LEARNER + "/link", admin_learner_changes.link_identifier, methods=["POST"]),
    Route(_ADMIN + _LEARNER + "/detach", admin_learner_changes.detach_identifier, methods=["POST"]),
    Route(_ADMIN + _LEARNER + "/delete", admin_learner_changes.delete_learner, methods=["POST"]),
    Route(_ADMIN + _LEARNER + "/restore", admin_learner_changes.restore_learner, methods=["POST"]),
    Route(_ADMIN + "/contents", admin_contents.get_contents),
    EncodedPathRoute(_ADMIN + _CONTENT, admin_contents.get_content),
    EncodedPathRoute(_ADMIN + _CONTENT + "/type", admin_contents.set_type, methods=["POST"]),
    EncodedPathRoute(
        _ADMIN + _CONTENT + "/delete", admin_contents.delete_content, methods=["POST"]
    ),
    EncodedPathRoute(
        _ADMIN + _CONTENT + "/restore", admin_contents.restore_content, methods=["POST"]
    ),
    Route(_ADMIN + "/outcomes", admin_outcomes.get_outcomes),
    Route(_ADMIN + "/refusals", admin_refusals.get_refusals),
    Route(_ADMIN + "/refusals/reasons", admin_refusals.get_reasons),
    Route(_ADMIN + "/refusals/{refusal}", admin_refusals.get_refusal),
    Route(_ADMIN + "/refusals/{refusal}", admin_refusals.delete_refusal, methods=["DELETE"]),
    Route(
        _ADMIN + "/refusals/{refusal}/resubmit", admin_refusals.resubmit_refusal, methods=["POST"]
    ),
    Route(_ADMIN + "/attempts", admin_attempts.get_attempts),
    Route("/v1/admin/attempts", admin_attempts.get_attempts),
    Route("/v1/admin/pipes", admin_pipes.get_all_pipes),
    Route(_ADMIN + "/pipes", admin_pipes.get_pipes),
    Route(_ADMIN + "/pipes", admin_pipes.post_pipes, methods=["POST"]),
    Route(_PIPE, admin_pipes.get_pipe),
    Route(_PIPE, admin_pipes.patch_pipe, methods=["PATCH"]),
    Route(_PIPE, admin_pipes.delete_pipe, methods=["DELETE"]),
    Route(_PIPE + "/start", admin_pipes.start_pipe, methods=["POST"]),
    Route(_PIPE + "/pause", admin_pipes.pause_pipe, methods=["POST"]),
    Route(_PIPE + "/run", admin_pipes.run_pipe, methods=["POST"]),
    Route(_PIPE + "/test", admin_pipes.check_pipe, methods=["POST"]),
    Route(_PIPE + "/runs", admin_pipes.get_runs),
    Route(_PIPE + "/letters", admin_letters.get_letters),
    Route(_PIPE + "/letters/retry", admin_letters.retry_letters, methods=["POST"]),
    Route(_PIPE + "/letters/drop", admin_letters.drop_letters, methods=["POST"]),
    Route(_LETTER, admin_letters.get_letter),
    Route(_LETTER, admin_letters.delete_letter, methods=["DELETE"]),
    Route(_LETTER + "/retry", admin_letters.retry_letter, methods=["POST"]),
    Route("/v1/admin/overview", admin_overview.get_overview),
    Route(_ADMIN + "/statements/{statement}", admin_learning.get_statement),
    Route(_ADMIN + "/statements/{statement}/text", admin_learning.get_statement_text),
    Route(
        _ADMIN + "/statements/{statement}/void", admin_submissions.void_statement, methods=["POST"]
    ),
    Route(_ADMIN + "/dry-run", admin_submissions.check_items, methods=["POST"]),
    Route(_ADMIN + "/reports", admin_learning.get_summary),
    Route(_ADMIN + "/reports/{table}", admin_exports.get_table),
    Route("/v1/admin/audit", admin_audit.get_audit),
    Route("/v1/admin/system", admin_system.get_system),
    # OAuth 2.0
    Route("/oauth2/token", oauth.post_token, methods=["POST"]),
    Route("/oauth2-provider/token", oauth.post_token, methods=["POST"]),
    Route("/.well-known/jwks.json", oauth.get_keys),
    Route("/.well-known/oauth-authorization-server", oauth.get_metadata),
    # Operations and documentation
    Route("/healthz", health.get_health),
    Route("/readyz", health.get_ready),
    Route("/metrics", metrics.get_metrics),
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
