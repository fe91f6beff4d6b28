"""The intake ledger: what arrived, with which outcome, and what was refused or denied.

    counters   items by hour, source, credential, organization, outcome and reason
    refusals   refused items, with their errors
    attempts   failed authentications, 403 and 404
    alarms     silence and refusal rate of partners
    worker     the ledger of one worker: collects in memory, writes every few seconds

A request only adds to memory. What a worker has not written is lost with a crash; the counts of
stored items are not, because they are counted from the statements.
"""
