"""Logs and metrics."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import ADDRESS_PATTERN, expected, subject


@subject
class MonitoringSettings:
    """Logs and metrics."""

    log_level: Annotated[
        str,
        Meta(
            pattern="^(debug|info|warning|error)$",
            extra_json_schema=expected("debug, info, warning or error"),
            description=(
                "Lowest level that is logged: `debug`, `info` (includes every request), `warning` "
                "or `error`."
            ),
        ),
    ] = "info"
    server_timing: Annotated[
        bool,
        Meta(description="Add a `Server-Timing` header to each response."),
    ] = False
    metrics_token: Annotated[
        str,
        Meta(
            description=(
                "Bearer token that `/metrics` requires, at least 16 characters. Empty: only direct "
                "clients on the same host read metrics."
            )
        ),
    ] = ""
    metrics_address: Annotated[
        str,
        Meta(
            pattern=ADDRESS_PATTERN,
            extra_json_schema=expected("a host and a port such as 127.0.0.1:9100"),
            description=(
                "Host and port of a listener for `/metrics` alone, such as `127.0.0.1:9100`. "
                "Empty: on the port of the server."
            ),
        ),
    ] = ""

    @property
    def metrics_listener(self) -> tuple[str, int] | None:
        """Host and port of the listener for metrics; None without one."""
        if not self.metrics_address:
            return None
        host, _, port = self.metrics_address.rpartition(":")
        return host.strip("[]"), int(port)
