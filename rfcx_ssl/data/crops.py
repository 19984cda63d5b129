"""Crops of the corpus as a map-style data set: every choice is a function of (seed, epoch, index)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rfcx_ssl.augment.states import States, union
from rfcx_ssl.data.anchors import Anchor, deal_epoch, default_length, make_decks, usable_shares
from rfcx_ssl.data.corpus import Corpus, FloatArray, Split
from rfcx_ssl.data.partners import Partner, Partners, make_places
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Crop
from rfcx_ssl.species.space import LabelSpace, species_difference

# numpy reads [seed, epoch, index] as [seed, epoch, index, 0]: other draws take another last number
TEACHER_STREAM, DEAL_STREAM, PARTNER_STREAM = 1, 2, 3


class CropLabels(NamedTuple):
    """What is known about one crop; the names are those of :class:`rfcx_ssl.labels.Crop`."""

    target: FloatArray  # (T, K)
    known: FloatArray  # (T, K)
    clip_target: FloatArray  # (K,)
    clip_known: FloatArray  # (K,)


class CropDataset(Dataset[Crop]):
    """Crops of one side of a fold, around present boxes, absent boxes and at random.

    Item ``index`` of an epoch depends on (seed, epoch, index) and on the data alone: not on workers, processes, the
    order of access or the past. Which boxes an epoch uses is dealt from (seed, epoch); where the crop lies around its
    box comes from (seed, epoch, index). So do its teacher and, with ``data.pseudo.mix``, the pseudo-labelled crop that is
    added to it; such an item and its labels are those of both sounds together.

    Args:
        corpus: the labelled data.
        fold: validation fold; None trains on everything.
        grid: frames of the model; its sample rate must be that of the corpus.
        space: outputs of the model; must be the corpus's own.
        settings: how crops are drawn; the corpus's own by default.
        split: the side of the fold.
        length: crops per epoch; None takes ``settings.crops_per_epoch`` or, failing that, as many as it takes for
            each present box to come once.
        seed: seed of every choice; None takes ``settings.seed``.
        recording_ids: draw from these recordings instead of a side of a fold.

    Raises:
        ConfigError: the model's sample rate or outputs are not those of the data, or nothing to mix with.
        AnnotationError: nothing to draw crops around.
    """

    def __init__(
        self,
        corpus: Corpus,
        fold: int | None,
        grid: FrameGrid,
        space: LabelSpace | None = None,
        settings: DataSettings | None = None,
        *,
        split: Split = "train",
        length: int | None = None,
        seed: int | None = None,
        recording_ids: Sequence[str] | None = None,
    ) -> None:
        self.corpus = corpus = corpus.within_budget(fold)
        self.grid = grid
        self.settings = settings or corpus.settings
        self.seed = self.settings.seed if seed is None else seed
        if grid.sample_rate_hz != corpus.settings.sample_rate_hz:
            raise ConfigError(
                f"data.sample_rate_hz={corpus.settings.sample_rate_hz}, the model's is {grid.sample_rate_hz}: "
                "they must be equal"
            )
        if space is not None and (difference := species_difference(space, corpus.space)):
            raise ConfigError(f"the model does not fit the data: {difference}")
        if recording_ids is None:
            recording_ids = [item.recording_id for item in corpus.recordings(fold, split)]
        self._decks = make_decks(corpus.annotations, recording_ids, corpus.space)
        self._shares = usable_shares(self._decks, self.settings.shares)
        self.length = length or self.settings.crops_per_epoch or default_length(self._decks, self._shares)
        self._partners = self._find_partners(recording_ids)
        self._epoch = 0
        self._dealt: dict[int, list[Anchor]] = {}

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the items that follow (in this process: copies in workers keep their own)."""
        self._epoch = epoch

    def anchor(self, index: int) -> Anchor:
        """What item ``index`` of the current epoch is drawn around."""
        if not 0 <= index < self.length:
            raise IndexError(f"index {index} is not in [0, {self.length})")
        if self._epoch not in self._dealt:
            rng = np.random.default_rng([self.seed, self._epoch, 0, DEAL_STREAM])
            balanced = self.settings.class_balanced
            dealt = deal_epoch(self._decks, self._shares, self.length, rng, balanced=balanced)
            previous = {e: d for e, d in self._dealt.items() if abs(e - self._epoch) <= 1}
            self._dealt = {**previous, self._epoch: dealt}
        return self._dealt[self._epoch][index]

    def start_samples(self, index: int) -> int:
        """First sample of item ``index`` of the current epoch in its recording."""
        anchor = self.anchor(index)
        rng = np.random.default_rng([self.seed, self._epoch, index])
        recording = self.corpus.recording_of[anchor.recording_id]
        last = max(0, recording.num_samples - self.settings.crop_samples)
        if anchor.event is None:
            return int(rng.integers(last + 1))
        start_s = draw_start_s(anchor, self.settings, rng.random())
        return min(max(round(start_s * self.settings.sample_rate_hz), 0), last)

    def teacher(self, index: int) -> int | None:
        """Which of the corpus's pseudo-labels item ``index`` of the current epoch takes: any that know its recording.

        None where none do.
        """
        name = self.anchor(index).recording_id
        knowing = [number for number, pseudo in enumerate(self.corpus.pseudo) if name in pseudo.by_recording]
        rng = np.random.default_rng([self.seed, self._epoch, index, TEACHER_STREAM])
        return knowing[int(rng.integers(len(knowing)))] if knowing else None

    def partner(self, index: int) -> Partner | None:
        """What is mixed into item ``index`` of the current epoch; None where nothing is."""
        if self._partners is None:
            return None
        return self._partners.draw(np.random.default_rng([self.seed, self._epoch, index, PARTNER_STREAM]))

    def labels(self, index: int) -> CropLabels:
        """The labels of item ``index`` of the current epoch, of both sounds where it is mixed; no audio is read."""
        own = self._labels(self.anchor(index).recording_id, self.start_samples(index), self.teacher(index))
        partner = self.partner(index)
        return own if partner is None else together(own, self._labels(*partner), self.corpus.space.noise_output)

    def __getitem__(self, index: int) -> Crop:
        name, start, labels = self.anchor(index).recording_id, self.start_samples(index), self.labels(index)
        waveform, partner = self._waveform(name, start), self.partner(index)
        if self._partners is not None and partner is not None:
            waveform = self._partners.add(waveform, self._waveform(partner.recording_id, partner.start_samples))
        return Crop(
            waveform=waveform,
            target=torch.from_numpy(labels.target),
            known=torch.from_numpy(labels.known),
            clip_target=torch.from_numpy(labels.clip_target),
            clip_known=torch.from_numpy(labels.clip_known),
            index=torch.tensor(index),
        )

    def _find_partners(self, recording_ids: Sequence[str]) -> Partners | None:
        """What there is to mix with in these recordings, if anything is to be."""
        pseudo = self.settings.pseudo
        if pseudo is None or pseudo.mix is None:
            return None
        recordings = [self.corpus.recording_of[name] for name in recording_ids]
        places = [make_places(teacher, recordings, self.corpus.space, self.settings) for teacher in self.corpus.pseudo]
        return Partners(places, pseudo.mix)

    def _waveform(self, name: str, start: int) -> Tensor:
        return torch.from_numpy(self.corpus.read(name, start, self.settings.crop_samples))

    def _labels(self, name: str, start: int, teacher: int | None) -> CropLabels:
        """What is known of one crop alone."""
        num_samples = self.settings.crop_samples
        target, known = self.corpus.frame_labels(name, self.grid, start, num_samples, teacher)
        return CropLabels(target, known, *self.corpus.clip_labels(name, start, num_samples, frames=(target, known)))


def together(one: CropLabels, other: CropLabels, noise_output: int | None) -> CropLabels:
    """Labels of two sounds heard at once, by :func:`rfcx_ssl.augment.states.union`."""
    first, second = (tuple(map(torch.from_numpy, labels)) for labels in (one, other))
    frame = union(States(*first[:2]), States(*second[:2]), noise_output)
    clip = union(States(*first[2:]), States(*second[2:]), noise_output)
    return CropLabels(*(values.numpy() for values in (*frame, *clip)))


def draw_start_s(anchor: Anchor, settings: DataSettings, uniform: float) -> float:
    """Start of a crop around a box, in seconds, before it is moved into the recording.

    ``jitter`` scales the range in which at least ``coverage`` of the box (of the crop, for a longer box) stays inside;
    ``uniform`` in [0, 1) picks a place in it. Moving the crop into the recording keeps the coverage. Of a tag all of the
    window stays inside; where it is longer than the crop, the crop lies anywhere in it, whatever the ``jitter``.
    """
    event, crop_s = anchor.event, settings.crop_samples / settings.sample_rate_hz
    if event is None:
        raise ValueError("a random anchor has no box")
    coverage = 1.0 if event.is_tag else settings.coverage
    needed_s = coverage * min(event.duration_s, crop_s) + 2 / settings.sample_rate_hz  # against rounding
    earliest_s, latest_s = event.start_s + needed_s - crop_s, event.end_s - needed_s
    middle_s = (earliest_s + latest_s) / 2
    jitter = 1.0 if event.is_tag and event.duration_s > crop_s else settings.jitter
    return middle_s + jitter * (uniform - 0.5) * max(0.0, latest_s - earliest_s)
