"""How many cores a program may use."""

import os


def usable_cores() -> int:
    """Cores that this process may run on: the affinity that the system, a container or a scheduler gave it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
