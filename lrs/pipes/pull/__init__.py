"""The direction that reads from a source.

direction         a step: reads pages, stores their statements, moves the cursor
walk              the cursor: order of pages, loops, where the next walk begins; pure
page_reader       pages for a walk, one read ahead
source            requests to a source: spellings, versions, pages, single statements
items             items of pulls and imports through the ingest pipeline; their origins
ingest_contexts   authority and limits of the statements of a pipe
import_file       imports of files
refused_items     refused items that are sent again
"""
