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

    partner_statements  statements and track events; `batch_results` has their response
    statement_list      GET of statements, for the partner and the xAPI interface
    xapi/               the xAPI interface
    canvas/             LTI tools, callbacks and page views
    admin/              the interface of operators

`services` holds the services of one worker.
"""
