"""What is derived from statements for reports: events, facts and records; see docs/reporting.md.

Whoever changes any of it holds the lock of the partner's projection until the transaction ends.
"""
