"""xAPI: pure rules for statements, documents and callbacks, without a database.

    strict_json             JSON parsing
    validation              violations of statements, agents and track events
      validation_limits       limits the number of invalid items
      validation_messages     violations from errors of the JSON Schema validator
    multipart               attachments in multipart/mixed bodies
    signatures              signed statements
    equality                digest, differences and derived ids of statements
    index_keys              keys of the statement index
    definitions             activity definitions and agent names
    formats                 the formats `ids` and `canonical`
    query_params            parsers of query parameters
      statement_query         parameters of GET /statements
    documents               State and Profile resources; `preconditions` has If-Match
    track_events            track events -> statements
    canvas_callbacks        Canvas callbacks -> statements and page views
      canvas_launches         callback tokens and launch parameters

`statement`, `timestamps` and `durations` have shared helpers.
"""
