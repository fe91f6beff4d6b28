"""What is counted, for Prometheus, under names that follow its conventions."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("lrs_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "lrs_request_seconds",
    "Time from the first byte read to the last byte sent.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REFUSED = Counter("lrs_refused_total", "Requests refused at the door, as too many were there.")
OUTCOMES = Counter(
    "lrs_outcomes_total", "What became of the items that were submitted.", ["partner", "outcome"]
)
COMMIT_STATEMENTS = Histogram(
    "lrs_commit_statements",
    "Statements in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_SECONDS = Histogram(
    "lrs_commit_seconds",
    "Time that one transaction took.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
QUEUE_STATEMENTS = Gauge(
    "lrs_queue_statements",
    "Statements waiting for a transaction.",
    multiprocess_mode="livesum",
)
PROJECTION_LAG = Gauge(
    "lrs_projection_lag_seconds",
    "How old the oldest statement is that reports do not hold yet; 0 if they hold all.",
    multiprocess_mode="livemostrecent",
)
POOL_CONNECTIONS = Gauge(
    "lrs_pool_connections",
    "Connections to the database, by pool and by whether they are at work.",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
