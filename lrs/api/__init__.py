"""HTTP: routes, handlers, and responses.

A request passes through the modules in this order:

    application       ASGI application: services, middleware, router
      request_log       request id, log line, metrics, Server-Timing
      cors              CORS
      router            finds the handler in `routes`; renders errors with `problem_details`
        request_parsing   headers, path, query, body
        access            authentication, rate limit, scopes, partner
        responses         JSON responses

Handlers:

    partners          statements and track events; `batch_results` has their response
    statement_list    GET of statements, for the partner and the xAPI interface
    learner_records, content_items, people_import, report_tables
    oauth, openapi, health
    xapi/             the xAPI interface
    canvas/           LTI tools, callbacks and page views

`services` holds the services of one worker.
"""
