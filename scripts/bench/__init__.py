"""`make bench`: how fast the server is, beside what this machine allows, measured in one run.

__main__.py  options, and what is measured in which order
measures/    one module for each thing that is measured: makes rows and verdicts
load.py      the load generator (wrk); clients.py: clients that behave badly, or only watch
servers.py   our server, and the bare ones beside it; processes.py: what they use
samples.py   statements as they come in; copying.py, filling.py: many of them, fast
results.py   rows and verdicts; report.py, plots.py, document.py: shown to people
choices.py   experiments behind decisions; profile.py, plans.py: where the time goes
"""
