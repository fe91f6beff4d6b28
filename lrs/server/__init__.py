"""The server processes of `lrs serve`.

    serve             start: database, demo partner, workers, projector; stop
      uvicorn_check     the installed uvicorn works with http_protocol
      startup_responder responses until the workers run
      sockets           listening sockets
      worker_processes  starts, restarts and stops the workers
      shutdown          stop signals, and by when every process has ended
      worker            one worker process: the ASGI application behind load shedding
        http_protocol     uvicorn's HTTP protocol with limits
          error_responses   responses that it writes itself
        load_shedding      shares of requests and bytes for each client
        connection_limits  number of connections, timeouts
        worker_limits      the limits of both
        cut_requests       503 for requests that the shutdown timeout cuts off
        proxy_headers     X-Forwarded-*
      child_process     processes beside the workers
      projector_process the process that keeps reports up to date
      pipes_process     the process that runs pipes

`garbage_collection` tunes the garbage collector of all these processes.
"""
