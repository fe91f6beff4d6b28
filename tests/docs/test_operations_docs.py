"""docs/operations.md lists every metric, with its help text."""

from __future__ import annotations

import re

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from lrs.observability import metrics
from tests.support.files import DOCS

DOCUMENT = (DOCS / "operations.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(lrs_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", DOCUMENT, re.MULTILINE)


def described(wrapper: MetricWrapperBase) -> Metric:
    (metric,) = wrapper.describe()
    return metric


def documented_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def test_every_metric_is_documented_with_its_labels_and_help() -> None:
    wrappers = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert [
        (
            documented_name(metric := described(wrapper)),
            metric.type,
            ", ".join(f"`{label}`" for label in wrapper._labelnames),
            metric.documentation,
        )
        for wrapper in wrappers
    ] == ROWS
