"""What a process that runs for long tells Python's garbage collector."""

import gc


def spare() -> None:
    """Looking for cycles took a fifth of the time: what is loaded stays, and work makes few."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
