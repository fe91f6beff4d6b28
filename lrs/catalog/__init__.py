"""The catalog: content items as their provider describes them, also those nobody has started.

Pure rules: `rows`, `plan`. PostgreSQL: `importer`.
"""
