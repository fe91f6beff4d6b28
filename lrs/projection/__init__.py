"""Derived tables for reports: learning events, facts and learner records; see docs/reporting.md.

Every transaction that writes derived rows of a partner holds that partner's lock (`partner_lock`).

Pure rules: `events`, `event_batch`, `content_attributes`, `vocabulary`. PostgreSQL: all others.
"""
