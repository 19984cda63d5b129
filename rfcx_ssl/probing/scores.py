"""Scores of judged frames per output, averaged over seeds, and how sure a difference between two systems is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.metrics import columns_with_both, partial_auc, partial_precision, random_average_precision
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, mean_or_nan
from rfcx_ssl.metrics.bootstrap import Interval

RESAMPLES = 1000
MOST_CELLS = 4_000_000  # of draws times cells at once


class Held(NamedTuple):
    """What is known of N held-out frames and K outputs."""

    truth: BoolArray  # (N, K)
    known: BoolArray  # (N, K)
    recording: NDArray[np.int64]  # (N,)

    @property
    def judged(self) -> list[int]:
        """Outputs with a present and an absent frame: all others tell nothing."""
        return np.flatnonzero(columns_with_both(self.truth, self.known).any(axis=0)).tolist()


class Score(NamedTuple):
    """Means over seeds; NaN for an output that cannot be judged."""

    ap: float  # macro average precision
    auc: float  # macro AUROC
    ap_per_output: FloatArray  # (K,)
    auc_per_output: FloatArray  # (K,)
    ap_per_seed: FloatArray  # (seeds,)


def score(held: Held, logits: NDArray[np.floating]) -> Score:
    """Scores of ``logits`` (seeds, N, K) on the known cells."""
    ap = [partial_precision(held.truth, one, held.known) for one in logits]
    auc = [partial_auc(held.truth, one, held.known) for one in logits]
    return Score(
        float(np.mean([value.macro for value in ap])),
        float(np.mean([value.macro for value in auc])),
        np.mean([value.per_class for value in ap], axis=0),
        np.mean([value.per_class for value in auc], axis=0),
        np.array([value.macro for value in ap]),
    )


class Floors(NamedTuple):
    """Average precision without listening; the AUROC of both is 0.5."""

    chance: float  # expected of random scores
    prior: float  # of a constant per output: the share of present cells


def floors(held: Held) -> Floors:
    """Floors of the judged outputs."""
    constant = partial_precision(held.truth, np.zeros(held.truth.shape), held.known)
    both = columns_with_both(held.truth, held.known)
    return Floors(random_average_precision(held.truth, both), constant.macro)


def difference(
    held: Held,
    ours: NDArray[np.floating],
    theirs: NDArray[np.floating],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Macro AP of ``ours`` less that of ``theirs``, both (seeds, N, K) and averaged over their seeds.

    The 95 % interval is over recordings: they are drawn with replacement, the same ones for both. An output counts in
    a draw that holds a present and an absent frame of it.
    """
    names, recording = np.unique(held.recording, return_inverse=True)
    number = len(names)
    weights = np.stack([np.bincount(rng.integers(number, size=number), minlength=number) for _ in range(resamples)])
    weights = np.concatenate([np.ones((1, number), np.int64), weights])  # the first row is what was measured
    per_output = []
    for output in held.judged:
        rows = np.flatnonzero(held.known[:, output])
        truth, weight = held.truth[rows, output], weights[:, recording[rows]]
        both = [[weighted_precision(truth, one[rows, output], weight) for one in it] for it in (ours, theirs)]
        per_output.append(np.mean(both[0], axis=0) - np.mean(both[1], axis=0))
    if not per_output:
        return Interval(float("nan"), float("nan"), float("nan"))
    draws = np.array([mean_or_nan(values) for values in np.array(per_output).T])
    value, draws = float(draws[0]), draws[1:][~np.isnan(draws[1:])]
    low, high = np.quantile(draws, [0.025, 0.975]) if draws.size else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


def weighted_precision(truth: BoolArray, scores: NDArray[np.floating], weight: NDArray[np.integer]) -> FloatArray:
    """Average precision of one output in R draws at once; ``weight`` (R, n) says how often a draw holds each cell.

    As :func:`rfcx_ssl.metrics.average_precision` on cells written out so often; NaN without a present or absent cell.
    """
    if weight.size > MOST_CELLS and len(weight) > 1:  # of memory
        halves = np.array_split(weight, 2)
        return np.concatenate([weighted_precision(truth, scores, half) for half in halves])
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[:-1] != ranked[1:]), ranked.size - 1)  # equal scores enter together
    weight = weight[:, order]
    seen = np.cumsum(weight, axis=1)[:, ends]
    hits = np.cumsum(weight * truth[order], axis=1)[:, ends]
    gain = np.diff(hits, axis=1, prepend=0)
    positives, total = hits[:, -1], seen[:, -1]
    area = (gain * hits / np.maximum(seen, 1)).sum(axis=1) / np.maximum(positives, 1)
    return np.where((positives > 0) & (positives < total), area, np.nan)


def verdict(random: Interval, mel: Interval, draws: FloatArray) -> str:
    """In one sentence, what an encoder is worth: over random weights first, then over log-mel frames.

    ``draws`` are the scores of the random weights, one per draw: the interval takes them as they are, so the sentence
    says how far they lie apart.
    """
    spread = f"{len(draws)} draws: {_plain(draws.min())} to {_plain(draws.max())}"
    return f"{_clause(random, 'random weights')} ({spread}); {_clause(mel, 'log-mel frames')}"


def _clause(gap: Interval, over: str) -> str:
    bounds = f"[{_signed(gap.low)}, {_signed(gap.high)}]"
    if gap.low > 0:
        return f"worth {_signed(gap.value)} AP {bounds} over {over}"
    if gap.high < 0:
        return f"worse than {over}: {_signed(gap.value)} AP {bounds}"
    return f"no difference to {over} that these recordings can show ({_signed(gap.value)} AP {bounds})"


def _plain(value: float) -> str:
    """``.08``."""
    return f"{value:.2f}".replace("0.", ".", 1)


def _signed(value: float) -> str:
    """``+.08``."""
    return f"{value:+.2f}".replace("0.", ".")
