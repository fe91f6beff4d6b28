"""Fairness: the latency of one partner's requests while others attack the server.

`victim` sends requests at a fixed rate. `attacks` are programs that run in their own process, as
another partner, another client address or a reporting role. `measure` runs them against a server
and compares the victim with its quiet time.
"""
