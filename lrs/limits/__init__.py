"""Limits of partners and credentials: rates, concurrent requests, quotas, failed authentication.

model              rates and limits, from settings and overrides
gcra               the arithmetic of a rate limit
rate_limiter       rates that all workers of all servers share
request_limiter    admits requests: concurrency and rate
quotas             statements per day and stored bytes
failures           throttles failed authentication
"""
