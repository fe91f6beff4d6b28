"""PostgreSQL: connections, and one module per subject with the queries of its tables.

    postgres      pools, retries of transactions, translation of database errors
    migrations    versions of the schema
    batching      BatchLoader and SingleFlight, which deduplicate concurrent reads
    registry      partners, credentials
    signing_keys  keys that sign access tokens
    tools         LTI tools and their secrets
    documents     documents of the State and Profile resources
    callback_tokens  launches of LTI tools that have a callback URL
    nonces        nonces of signed tool requests, keys of reports
    page_views    page views of courses
    statements/   statements: insert, lookup, filters and page query, watermark, references,
                  attachments, definitions of activities and names of agents

How to call the store:

- An operation is a module-level async function. Call it through its module:
  `documents.get(database, partner_id, key)`.
- The first argument says where it runs. `database: Database`: the function takes a connection from
  the right pool, commits, and translates errors of PostgreSQL to `lrs.errors`. `connection:
  Connection`: the function runs inside the caller's transaction and raises the errors of asyncpg,
  which the caller retries (`postgres.retry_transaction`) and translates
  (`postgres.translate_errors`).
- The second argument is `partner_id`, except in `registry`, where partners are looked up, and in
  jobs that cover every partner.
- A class exists only where state outlives a call: `StatementLoader`, `PageLoader` and
  `WatermarkReader` share queries between requests and are created once per worker, in `lrs.app`.
- Values come back as frozen dataclasses or structs, never as database rows. A missing row is
  `None`, or `NotFound` where the function says so.
- No function applies a business rule or a client's protocol. A decision that must be atomic is
  passed in as a function (`documents.compare_and_swap`).
"""
