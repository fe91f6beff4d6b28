"""Report tables, their exports and roles; learner records and content items.

Pure rules: `tables`, `encoders`, `compression`, `record_query`, `identifiers`. PostgreSQL: all
others.
"""
