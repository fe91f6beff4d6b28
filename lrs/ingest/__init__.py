"""Ingest: the way of statements from the bytes of a request into the store.

A POST passes through the modules in this order:

    pipeline          submit(): the entry point for every interface
      parse             bytes -> ParsedItem; a parser for statements, one for track events
      prepare           ParsedItem -> PreparedItem: id, authority, version, digest, index keys
      further_events    several track events of one day
      quota_check       reserves the statements and bytes of quotas
      group_commit      queues; one transaction for several requests
        write             what one transaction writes, and in which order
          callback_rows     which callbacks of it count, and under which id

`model` and `submission` have the values that these modules pass on. `canvas_report` is the use case
of a Canvas callback: it submits its report to the pipeline.
"""
