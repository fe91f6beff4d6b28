"""Administration: the use cases that commands, `lrs.api.admin` and the console call.

Each takes the operator, checks the role and the partner, and makes the change and its audit entry
in one transaction.
"""
