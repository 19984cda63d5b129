"""Pseudo-labelled crops that labelled ones are mixed with, drawn by how much their labels say is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.augment.mixup import mix_waveforms
from rfcx_ssl.data.recordings import Recording
from rfcx_ssl.data.settings import DataSettings, PseudoMixSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels.pseudo import PseudoLabels
from rfcx_ssl.species.space import LabelSpace

PLACES_PER_CROP = 4  # places are a quarter of a crop apart


class Partner(NamedTuple):
    """A crop of a recording, and the teacher that labels it."""

    recording_id: str
    start_samples: int
    teacher: int


@dataclass(frozen=True)
class Places:
    """Places of crops in the recordings of one teacher; what is made once makes a draw cost no more than a search.

    A place is a crop that begins at a multiple of ``step_samples``, the last one ends with the recording. Its confidence
    is the recording's weight times the sum over species of the highest probability of any of its frames: the weight of
    recordings in the sampler of BirdCLEF 2025's first place, here of crops, so that recordings of any length compare.
    """

    recordings: Sequence[Recording]
    first: NDArray[np.int64]  # (R + 1,) number of each recording's first place
    total: NDArray[np.float64]  # (places,) confidence of each and all before it
    crop_samples: int
    step_samples: int

    def draw(self, rng: np.random.Generator) -> tuple[str, int]:
        """Recording and first sample of a crop: a place by its confidence, moved by up to half a step either way."""
        place = int(np.searchsorted(self.total, rng.random() * self.total[-1], side="right"))
        owner = int(np.searchsorted(self.first, place, side="right")) - 1
        recording = self.recordings[owner]
        last = max(0, recording.num_samples - self.crop_samples)
        start = min((place - int(self.first[owner])) * self.step_samples, last)
        moved = start + round((rng.random() - 0.5) * self.step_samples)
        return recording.recording_id, min(max(moved, 0), last)


def make_places(
    pseudo: PseudoLabels,
    recordings: Sequence[Recording],
    space: LabelSpace,
    data: DataSettings,
) -> Places:
    """Places of ``data``'s crops in those ``recordings`` that ``pseudo`` labels, in their order; one pass over the scores.

    Probabilities below ``data.pseudo.min_probability`` count as 0, and so does the noise output.
    """
    min_probability = 0.0 if data.pseudo is None else data.pseudo.min_probability
    crop_samples = data.crop_samples
    columns = [column for column, output in pseudo.columns(space) if output != space.noise_output]
    step = max(1, crop_samples // PLACES_PER_CROP)
    found, counts, confidences = [], [0], [np.empty(0)]
    for recording in recordings:
        if (soft := pseudo.by_recording.get(recording.recording_id)) is None:
            continue
        last = max(0, recording.num_samples - crop_samples)
        starts = np.minimum(np.arange(-(-last // step) + 1) * step, last)
        edges_s = np.stack([starts, starts + crop_samples], axis=1) / data.sample_rate_hz
        scores = np.where(soft.scores >= min_probability, soft.scores, 0.0)[:, columns]
        found.append(recording)
        counts.append(len(starts))
        confidences.append(soft.weight * _highest(scores, edges_s, pseudo.frame_s).sum(axis=1))
    return Places(found, np.cumsum(counts), np.cumsum(np.concatenate(confidences)), crop_samples, step)


def _highest(scores: NDArray[np.float32], edges_s: NDArray[np.float64], frame_s: float) -> NDArray[np.float32]:
    """(places, P) highest of the ``scores`` (T, P) whose frames reach into each place; 0 after the last frame."""
    padded = np.pad(scores, ((0, 1), (0, 0)))  # a silent frame: what begins after the end hears this one
    first = np.floor(edges_s[:, 0] / frame_s + 1e-6).astype(np.int64).clip(max=len(scores))
    stop = np.ceil(edges_s[:, 1] / frame_s - 1e-6).astype(np.int64).clip(max=len(scores))
    stretches = np.stack([first, np.maximum(stop, first)], axis=1).ravel()  # reduceat: from each index to the next
    highest: NDArray[np.float32] = np.maximum.reduceat(padded, stretches, axis=0)[::2]
    return highest


class Partners:
    """Draws the partners of crops, a teacher first and then one of its places, and adds them.

    Args:
        places: of each teacher.
        settings: how often, and how loud.

    Raises:
        ConfigError: no teacher says of any place that something is there.
    """

    def __init__(self, places: Sequence[Places], settings: PseudoMixSettings) -> None:
        self.settings = settings
        self.places = places
        self._teachers = [number for number, own in enumerate(places) if len(own.total) and own.total[-1] > 0]
        if not self._teachers:
            raise ConfigError(
                "data.pseudo.mix: no training recording of this fold has pseudo-labels above 0 and from "
                "data.pseudo.min_probability on; label some, or set data.pseudo.mix=null"
            )

    def draw(self, rng: np.random.Generator) -> Partner | None:
        """A partner by draws from ``rng`` alone, or None for a crop that gets none."""
        if rng.random() >= self.settings.p:
            return None
        teacher = self._teachers[int(rng.integers(len(self._teachers)))]
        return Partner(*self.places[teacher].draw(rng), teacher)

    def add(self, own: Tensor, other: Tensor) -> Tensor:
        """Both (N,) in one, written into ``own``."""
        share = torch.tensor([self.settings.share])
        return mix_waveforms(own[None], other[None], share, match_level=self.settings.match_level)[0]
