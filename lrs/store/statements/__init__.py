"""Statements in PostgreSQL.

    insert            inserts statements with index entries and references
      definitions       activity definitions and agent names
      references        index keys inherited through StatementRefs
        reference_chains  which keys a statement inherits from its chain of targets
        reference_backlog what a request leaves, resolved in the background
      attachments       contents of attachments, signatures
    lookup            statements by id
    page_loader       pages of a statement list
      filters           predicates, time window, order and limit
      page_query        example and parameters of the page query
      page_sql          SQL of the page query
    watermark         the time up to which the store is complete

`sequence` is the sort key of statements; `partner_keys` has the salt of index keys.
"""
