"""Pipes: statements pulled from other LRSs, and forwarded to them.

model              values: what a step returns, how it fails; the protocol of a direction
options            what operators configure: credentials, filter, options
credential_rules   which credentials a pipe may have
webhook            signatures of webhooks
identity           how LRSs of this kind name each other
engine             leases, steps, backoff, runs; one process of each server
services           an engine or an item store with its own pools
check              what another LRS answers, for `lrs pipe test`
verification       the statements of both sides, compared
client/            the HTTP client of a pipe
pull/              the direction that reads from a source; imports of files
forward/           the direction that sends to a target
"""
