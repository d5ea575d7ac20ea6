"""How many threads work may use here."""

from __future__ import annotations

import os


def count() -> int:
    """The processors that this process may run on, which in a container or under taskset are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
