"""How far probabilities are from frequencies: cells in equal bins of probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.tuning.tally import IntArray

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Cells by probability, in ``BINS`` equal bins; NaN where a bin is empty."""

    count: IntArray  # (BINS,)
    confidence: FloatArray  # (BINS,) mean probability
    share: FloatArray  # (BINS,) that is present

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al., 2015): mean distance of confidence and share, by cells."""
        filled = self.count > 0
        distance = np.abs(self.confidence - self.share)[filled]
        return float((self.count[filled] * distance).sum() / self.count.sum()) if filled.any() else float("nan")


def reliability(probabilities: NDArray[np.floating], present: BoolArray) -> Reliability:
    """Of cells (n,); those without a probability (NaN) are left out."""
    known = ~np.isnan(probabilities)
    values = np.asarray(probabilities, np.float64)[known]
    place = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    count, *sums = (np.bincount(place, weights, BINS) for weights in (None, values, present[known]))
    means = [np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0) for total in sums]
    return Reliability(count.astype(np.int64), *means)
