"""Ingest: the way of statements from the bytes of a request into the store.

pipeline          submit(): the entry point for every interface
  parse             bytes -> ParsedItem; a parser for statements, one for track events
  prepare           ParsedItem -> PreparedItem: id, authority, version, digest, index keys
  group_commit      queues; one transaction for several requests
    write             what one transaction writes, and in which order
canvas_report     use case: store the report of a Canvas callback, through the pipeline
model             the values that these modules pass on
"""
