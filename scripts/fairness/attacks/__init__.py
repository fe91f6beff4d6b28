"""The attacks by name: `python -m scripts.fairness.attacks NAME` runs one until it is stopped.

The target is a JSON object on standard input.
"""

from __future__ import annotations

from scripts.fairness.attacks import anonymous, reads, roles, statements, uploads
from scripts.fairness.attacks.client import Attack, Target

__all__ = ["ATTACKS", "Attack", "Target"]

ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        anonymous.declared_length,
        anonymous.anonymous_callbacks,
        anonymous.anonymous_uploads,
        anonymous.slow_token_requests,
        anonymous.half_open,
        anonymous.wrong_credentials,
        anonymous.unauthorized_storm,
        anonymous.login_flood,
        anonymous.invalid_callbacks,
        anonymous.operations_resources,
        uploads.slow_uploads,
        uploads.many_uploads,
        uploads.many_items,
        uploads.deep_items,
        uploads.deep_arrays,
        uploads.compressed_bodies,
        uploads.many_attachments,
        uploads.large_documents,
        uploads.document_flood,
        statements.flood,
        statements.batch_flood,
        statements.token_flood,
        statements.many_activities,
        statements.long_identifiers,
        statements.refusals,
        statements.references,
        statements.voids,
        statements.canonical_pages,
        statements.signatures,
        reads.unread_responses,
        reads.related_pages,
        reads.record_files,
        reads.slow_exports,
        reads.live_streams,
        reads.statement_browser,
        reads.resubmissions,
        roles.role_advisory_locks,
        roles.role_memory,
        roles.role_temporary_files,
    )
}
