"""From calibrated frame probabilities to soft labels."""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.labels.pseudo import SoftScores
from rfcx_ssl.selftraining.settings import PseudoLabelSettings


def soften(frames: NDArray[np.floating], settings: PseudoLabelSettings) -> SoftScores | None:
    """Soft labels of one recording from its probabilities (T, S); None where it would count nothing.

    In this order: the power transform (Babych, BirdCLEF 2025, first place), probabilities below the smallest become 0,
    and frames whose species sum to more than the cap are scaled down to it.
    """
    scores = np.asarray(frames, np.float32) ** np.float32(settings.power)
    scores[scores < settings.min_probability] = 0.0
    if settings.sum_cap is not None:
        total = scores.sum(axis=1, keepdims=True)
        scores *= np.minimum(1.0, settings.sum_cap / np.maximum(total, settings.sum_cap)).astype(np.float32)
    weight = float(scores.max(initial=0.0)) if settings.confidence == "peak" else 1.0
    return SoftScores(scores, weight) if weight > 0 and len(scores) else None
