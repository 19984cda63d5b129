"""Several channels as one: their average, unless that cancels."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: Power of the average below this share of the loudest channel's: channels of opposite sign. Channels that have
#: nothing in common keep 1/C of it, one alone among C silent ones 1/C^2.
_CANCELLED = 1e-3


def to_mono(samples: FloatArray, channel: int | None) -> FloatArray:
    """One channel of (N, C) samples, or the average of all of them, as (N,)."""
    if channel is not None:
        return np.ascontiguousarray(samples[:, channel])
    if samples.shape[1] == 1:
        return samples[:, 0]
    average: FloatArray = samples.mean(axis=1, dtype=np.float32)
    return average


def loudest_if_cancelled(samples: FloatArray) -> int | None:
    """The loudest channel of (N, C) samples whose average is next to nothing beside it; None where the average will do."""
    power = samples.var(axis=0, dtype=np.float64)
    loudest = int(power.argmax())
    cancelled = to_mono(samples, None).var(dtype=np.float64) < _CANCELLED * power[loudest]
    return loudest if cancelled else None
