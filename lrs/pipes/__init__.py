"""Pipes: statements pulled from other LRSs, and forwarded to them.

model           values: what a step returns, how it fails
options         what operators configure: credentials, filter, options
address_rules   which addresses a pipe may connect to
http            the client: authentication, pinned origin, limits
engine          leases, steps, backoff, runs; one process of each server
pull            the direction that reads from a source: a step is a page
walk            its cursor: order of pages, loops, where the next walk begins: pure
source          requests to a source: spellings, versions, pages
arrivals        items of pulls and imports into the pipeline; their origins
import_file     imports of files
check           what another LRS answers, for `lrs pipe test`
forward         the direction that sends to a target: position, filter, items, sender
delivery        which statements a request has, and what follows from its answer: pure
"""
