"""How many windows to score at once: 8 on a CPU, and on a GPU what is measured to be enough."""

import time
from collections.abc import Callable

import torch

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.inference.scorer import Scorer

ON_CPU = 8  # more gain nothing there, and cost memory
LARGEST = 512
GAIN = 1.05  # a doubling that is not so much faster is the last one
REPEATS = 3


def choose_batch_size(scorer: Scorer, clock: Callable[[], float] = time.perf_counter) -> int:
    """Windows per batch for ``scorer``: on a GPU doubled from 8 as long as a window gets cheaper and memory lasts.

    The best time of three counts; scores come back to the CPU, so that the clock sees the work done. At most 512; fewer
    than 8 where not even those fit.

    Raises:
        CheckpointError: not even one window fits into memory.
    """
    if scorer.device.type == "cpu":
        return ON_CPU
    num_samples, _ = scorer.windows.on_grid(scorer.grid)
    size = ON_CPU
    while (best := _windows_per_s(scorer, size, num_samples, clock)) is None:
        size //= 2
        if not size:
            raise CheckpointError(f"model {scorer.name}: not even one window fits into the memory of {scorer.device}")
    while size < LARGEST:
        found = _windows_per_s(scorer, 2 * size, num_samples, clock)
        if found is None or found < GAIN * best:
            break
        size, best = 2 * size, found
    return size


def _windows_per_s(scorer: Scorer, size: int, num_samples: int, clock: Callable[[], float]) -> float | None:
    """None where memory does not last."""
    windows = torch.zeros(size, num_samples)
    seconds = []
    try:
        scorer(windows)  # allocates, and chooses algorithms
        for _ in range(REPEATS):
            started = clock()
            scorer(windows)
            seconds.append(clock() - started)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None
    return size / min(seconds)
