"""What a process that runs for long tells Python's garbage collector."""

import gc


def spare() -> None:
    """Has it look for cycles seldom, and not in what is loaded by now, which stays.

    Requests leave few cycles; looking for them took a fifth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
