"""Logs, metrics (Prometheus) and the stages of `Server-Timing`."""
