"""`make bench` and `make profile`: throughput, latency and hot spots of the server.

__main__.py  command line
parts.py     the measurements, one function per part; overload.py: the part with hostile clients
results.py   a row of the result; the table, result.json
servers.py   start the server, and bare Starlette as the baseline
load.py      the load generator wrk (wrk.lua), CPU and memory of processes
samples.py   sample statements; filling.py: fill a store, COPY as the baseline of batches
profile.py   stacks sampled by py-spy; plans.py: EXPLAIN of every query that traffic.py causes
"""
