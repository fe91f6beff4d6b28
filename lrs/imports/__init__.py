"""Tables and rows that operators import: CSV files of any system, JSON arrays, NDJSON.

Pure rules, no I/O: `lrs.people` and `lrs.catalog` import what the rows say.
"""
