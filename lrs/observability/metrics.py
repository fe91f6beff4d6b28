"""Prometheus metrics."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the text

MAX_LABELED_PARTNERS = 1000
OTHER_PARTNERS = "_other"
"""The label of all further partners; no valid name of a partner."""

_labeled_partners: set[str] = set()


def partner_label(partner: str) -> str:
    """The value of the label `partner`: the names of the first partners, then `_other`.

    Each value is a time series for the life of the process.
    """
    if len(_labeled_partners) < MAX_LABELED_PARTNERS:
        _labeled_partners.add(partner)
    return partner if partner in _labeled_partners else OTHER_PARTNERS


REQUESTS = Counter("lrs_requests_total", "Completed requests.", ["method", "route", "status"])
REQUEST_DURATION = Histogram(
    "lrs_request_duration_seconds",
    "Time from the start of the application to the last byte of the response.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SHED_REQUESTS = Counter(
    "lrs_shed_requests_total",
    "Requests rejected by load shedding, by the resource that lacks.",
    ["resource"],
)
LIMITED_REQUESTS = Counter(
    "lrs_limited_requests_total",
    "Requests rejected by a limit of their partner, credential or client address.",
    ["limit"],
)
OUTCOMES = Counter("lrs_outcomes_total", "Submitted items by outcome.", ["partner", "outcome"])
COMMIT_STATEMENTS = Histogram(
    "lrs_commit_statements",
    "Statements written by one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
COMMIT_DURATION = Histogram(
    "lrs_commit_duration_seconds",
    "Duration of a transaction.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
QUEUED_STATEMENTS = Gauge(
    "lrs_queued_statements",
    "Statements that wait for a transaction.",
    multiprocess_mode="livesum",
)
ABANDONED_REFERENCES = Counter(
    "lrs_abandoned_references_total",
    "Statements whose waiting references are given up after repeated failures.",
)
SILENCE = Gauge(
    "lrs_silence_seconds",
    "Time since a statement of the partner was last stored.",
    ["partner"],
    multiprocess_mode="livemostrecent",
)
ALARM_FIRING = Gauge(
    "lrs_alarm_firing",
    "Whether an alarm of the partner fires: silence, refusals, pipes.",
    ["partner", "alarm"],
    multiprocess_mode="livemostrecent",
)
ALARM_NOTIFICATIONS = Counter(
    "lrs_alarm_notifications_total", "Notifications of alarms by result: sent, failed.", ["result"]
)
PIPE_STATEMENTS = Gauge(
    "lrs_pipe_statements",
    "Statements of a pipe since it was added, by outcome.",
    ["partner", "pipe", "outcome"],
    multiprocess_mode="livemostrecent",
)
PIPE_REQUESTS = Gauge(
    "lrs_pipe_requests",
    "Requests of a pipe since it was added, by status; `error` without a response.",
    ["partner", "pipe", "status"],
    multiprocess_mode="livemostrecent",
)
PIPE_LAG = Gauge(
    "lrs_pipe_lag_seconds",
    "Age of the time of `stored` up to which a pipe has moved its statements.",
    ["partner", "pipe"],
    multiprocess_mode="livemostrecent",
)
PIPE_FAILING = Gauge(
    "lrs_pipe_failing",
    "Whether the last step of a pipe failed.",
    ["partner", "pipe"],
    multiprocess_mode="livemostrecent",
)
PIPE_DEAD_LETTERS = Gauge(
    "lrs_pipe_dead_letters",
    "Statements that the target of a pipe refuses.",
    ["partner", "pipe"],
    multiprocess_mode="livemostrecent",
)
PROJECTION_LAG = Gauge(
    "lrs_projection_lag_seconds",
    "Age of the oldest statement that reports do not include; 0 if they include all.",
    multiprocess_mode="livemostrecent",
)
CLOCK_BEHIND = Gauge(
    "lrs_database_clock_behind_seconds",
    "How far `stored` runs ahead of the database's clock, after it was set back; usually 0.",
    multiprocess_mode="livemax",
)
DATABASE_CONNECTIONS = Gauge(
    "lrs_database_connections",
    "Database connections by pool and state (idle, busy); waiting: requests without one.",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
DATABASE_WAIT = Histogram(
    "lrs_database_wait_seconds",
    "Time of waiting for a database connection when none of the pool was idle.",
    ["pool"],
    buckets=(0.001, 0.01, 0.1, 1, 10),
)
