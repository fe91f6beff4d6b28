"""`make bench`: how fast the server is, beside what this machine allows, measured in one run.

__main__.py  options, and what is measured in which order
measures/    one module for each thing that is measured: rows for the table, and verdicts
load.py      the load generator, wrk, which runs wrk.lua
clients.py   clients that wrk cannot play: some only watch, some never finish
servers.py   our server, and those beside it: bare.py, raw.py
samples.py   statements as they come in; copying.py, filling.py: many of them, fast
results.py   what is found; report.py, plots.py, document.py: shown to people
machine.py   where it was found; processes.py: what was used
choices.py   experiments behind decisions about the store
steady.py    a stream for long, with reports and without
profile.py   where the time goes; plans.py: how queries are executed, for traffic.py
"""
