"""What features look like, whatever they are good for: do frames differ, in how many directions, by how many codes."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.probing.features import Features, Rows
from rfcx_ssl.probing.listeners import EncoderListener

MOST_FRAMES = 2000


class LayerHealth(NamedTuple):
    """Of one layer."""

    cosine: float  # mean of random pairs of frames; near 1: all frames look alike
    effective_rank: float  # directions that the frames fill, 1 to the width


class CodebookUse(NamedTuple):
    """Codes that audio calls up; one entry per codebook."""

    num_codes: int  # of a codebook
    share_used: list[float]
    perplexity: list[float]  # 1: always the same code; ``num_codes``: all alike


def layer_health(features: Features, rows: Rows, rng: np.random.Generator) -> list[LayerHealth]:
    """Health of the convolutions' output, where there is one, and of every state, on at most ``MOST_FRAMES`` frames."""
    chosen = rows if len(rows) <= MOST_FRAMES else np.sort(rng.choice(rows, MOST_FRAMES, replace=False))
    layers = [*features.states(chosen).unbind(dim=1)]
    if features.extractor_dim:
        layers = [features.extractor(chosen), *layers]
    first = torch.from_numpy(rng.integers(len(chosen), size=MOST_FRAMES))
    shift = torch.from_numpy(rng.integers(1, max(2, len(chosen)), size=MOST_FRAMES))
    second = (first + shift) % len(chosen)  # another frame
    return [LayerHealth(_mean_cosine(layer[first], layer[second]), effective_rank(layer)) for layer in layers]


def effective_rank(frames: Tensor) -> float:
    """exp of the entropy of the singular values of the centered (n, D), as shares of their sum.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007. Frames that are all the
    same have none: 0.
    """
    centered = frames.double() - frames.double().mean(dim=0)
    values = torch.linalg.svdvals(centered)
    shares = values[values > 1e-12 * max(1.0, float(frames.abs().max()))]
    if not len(shares):
        return 0.0
    shares = shares / shares.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def codebook_use(listener: EncoderListener, waveforms: Iterable[NDArray[np.float32]]) -> CodebookUse | None:
    """Which codes the encoder's quantizer gives to ``waveforms`` (N,), or None where it has no quantizer."""
    if listener.quantizer is None:
        return None
    num_groups = listener.quantizer.num_groups
    num_codes = listener.quantizer.project.out_features // num_groups
    counts = torch.zeros(num_groups, num_codes, dtype=torch.int64)
    device = next(listener.parameters()).device
    with torch.inference_mode():
        for waveform in waveforms:
            codes = listener.codes(torch.from_numpy(waveform).to(device)).cpu()
            for group in range(num_groups):
                counts[group] += torch.bincount(codes[:, group], minlength=num_codes)
    return code_counts_use(counts)


def code_counts_use(counts: Tensor) -> CodebookUse:
    """Share of codes used and perplexity of (G, V) counts."""
    shares = counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)
    entropy = -(shares * shares.clamp(min=1e-300).log()).sum(dim=1)
    used = (counts > 0).double().mean(dim=1)
    return CodebookUse(counts.shape[1], used.tolist(), [math.exp(value) for value in entropy.tolist()])


def _mean_cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one, other, dim=1).mean())
