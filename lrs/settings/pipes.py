"""Exchange of statements with other LRSs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lrs.settings.fields import subject


@subject
class PipeSettings:
    """Exchange of statements with other LRSs."""

    pipes_enabled: Annotated[
        bool,
        Meta(description="Run the pipes that pull statements from other LRSs and forward them."),
    ] = True
    pipe_networks: Annotated[
        str,
        Meta(
            description=(
                "Addresses and networks to which pipes may connect, comma-separated. Empty: all "
                "but link-local ones, which are always refused."
            ),
        ),
    ] = ""
