"""Memory that a network frees on a CPU is kept for its next layer.

The GNU C library gives blocks of more than 32 MiB back to the kernel as soon as they are freed, and the outputs of a
layer are as large as that: every layer of every batch then waits for fresh pages, zeroed one by one. What keeping it
saves is in docs/benchmarks.md. What is kept is never more than what was needed at once before, but for holes.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of mallopt(3)
_KEPT_BYTES = 1 << 30  # beyond it, what is free goes back to the kernel


def keep_freed_memory() -> bool:
    """Tell this process's allocator; False where it has no such switch (other C libraries)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
