"""The labelled corpus: annotations, recordings, folds and label space, checked against each other."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations, fail_on_problems, find_conflicts
from rfcx_ssl.annotations.spans import fit_to_recordings
from rfcx_ssl.annotations.tags import without_answered_tags
from rfcx_ssl.audio import read_audio
from rfcx_ssl.data.budget import Budget, choose_labels
from rfcx_ssl.data.cache import AudioCache
from rfcx_ssl.data.folds import corpus_folds
from rfcx_ssl.data.recordings import Recording, RecordingsTable, open_recordings
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.data.sources import Sources, read_sources
from rfcx_ssl.data.truth import recording_truth
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.folds import Folds
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.clips import clip_labels, heard_outputs
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.labels.judged import Judged, judged_boxes, species_labels
from rfcx_ssl.labels.pseudo import PseudoLabels, add_pseudo_labels, fill_clip_labels
from rfcx_ssl.species import LabelSpace, label_space

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]
Split = Literal["train", "valid"]


@dataclass(frozen=True)
class Corpus:
    """Everything labelled: what :class:`CropDataset` draws from and what validation is scored on."""

    settings: DataSettings
    space: LabelSpace
    annotations: Annotations
    recording_of: Mapping[str, Recording]
    folds: Folds
    cache: AudioCache | None = None
    pseudo: tuple[PseudoLabels, ...] = ()
    table: RecordingsTable = field(default_factory=dict)  # recordings.csv
    budget: Budget | None = None  # set by :meth:`within_budget`

    def within_budget(self, fold: int | None) -> "Corpus":
        """The corpus for training on ``fold`` with the labels of the budget alone, as if nobody had made the others.

        Outside the budget a training recording loses its boxes and that it is complete. With pseudo-labels it stays, as
        one that has nothing else; without it leaves. Validation recordings keep everything. A corpus whose settings
        have no budget is returned as it is.

        Raises:
            ValueError: this corpus is already within the budget of another fold.
        """
        if not self.settings.has_label_budget:
            return self
        if self.budget is not None:
            if self.budget.fold != fold:
                raise ValueError(f"the labels left are those of fold={self.budget.fold}, not of fold={fold}")
            return self
        budget = choose_labels(self.annotations, self.folds.train_ids(fold), self.settings, fold)
        labelled = budget.recording_ids.union([] if fold is None else self.folds.valid_ids(fold))
        kept = labelled.union(*(teacher.by_recording for teacher in self.pseudo))
        return dataclasses.replace(
            self,
            annotations=self.annotations.select(labelled),
            recording_of={name: item for name, item in self.recording_of.items() if name in kept},
            folds=self.folds.select(labelled),
            budget=budget,
        )

    def recordings(self, fold: int | None, split: Split) -> list[Recording]:
        """Recordings of one side of a fold; ``fold=None`` trains on everything and validates on nothing.

        Recordings with pseudo-labels only have no fold: they are always trained on, unless their group (``group_by``) is
        held out. The test part is on neither side.
        """
        held_out = [] if fold is None else self.folds.valid_ids(fold)
        if split == "valid":
            return [self.recording_of[name] for name in held_out]
        ids = [*self.folds.train_ids(fold), *self.folds.foldless_train_ids(self.recording_of, fold)]
        return [self.recording_of[name] for name in ids]

    def read(self, recording_id: str, start_samples: int = 0, num_samples: int | None = None) -> FloatArray:
        """Audio (N,) at ``settings.sample_rate_hz``, from the cache if there is one; zeros follow after the end."""
        recording = self.recording_of[recording_id]
        length = recording.num_samples - start_samples if num_samples is None else num_samples
        if self.cache is not None:
            return self.cache.read(recording, start_samples, length)
        rate = self.settings.sample_rate_hz
        return read_audio(recording.path, start_samples=start_samples, num_samples=length, sample_rate_hz=rate)

    def frame_labels(
        self,
        recording_id: str,
        grid: FrameGrid,
        start_samples: int = 0,
        num_samples: int | None = None,
        teacher: int | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """``target`` and ``known`` (T, K) of a stretch of a recording, the whole by default (rules in docs/labels.md).

        Unknown cells take the pseudo-labels of ``pseudo[teacher]``, if given. Frames after the recording's end are
        unknown.
        """
        recording = self.recording_of[recording_id]
        length = recording.num_samples - start_samples if num_samples is None else num_samples
        target, known = frame_labels(
            self.annotations.events(recording_id),
            grid,
            self.space,
            start_s=start_samples / grid.sample_rate_hz,
            num_frames=grid.num_frames(length),
            edge_tolerance_s=self.settings.edge_tolerance_s,
            complete=self.annotations.spans(recording_id),
        )
        if teacher is not None and self.settings.pseudo is not None:
            add_pseudo_labels(
                target,
                known,
                self.pseudo[teacher],
                recording_id,
                grid,
                self.space,
                start_s=start_samples / grid.sample_rate_hz,
                weight=self.settings.pseudo.weight,
                min_probability=self.settings.pseudo.min_probability,
            )
        recorded = grid.num_frames(max(0, recording.num_samples - start_samples))
        target[recorded:], known[recorded:] = 0.0, 0.0
        return target, known

    def clip_labels(
        self, recording_id: str, start_samples: int, num_samples: int, frames: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """``clip_target`` and ``clip_known`` (K,) of a crop, by the coverage rule.

        What that leaves unknown takes the pseudo-labels of its ``frames`` (what :meth:`frame_labels` gave), if any.
        """
        rate, events = self.settings.sample_rate_hz, self.annotations.events(recording_id)
        start_s, end_s = start_samples / rate, (start_samples + num_samples) / rate
        target, known = clip_labels(
            events,
            self.space,
            start_s=start_s,
            end_s=end_s,
            coverage=self.settings.coverage,
            complete=self.annotations.spans(recording_id),
            absent=self.settings.clip_absent,
        )
        if self.pseudo:
            fill_clip_labels(target, known, *frames, heard_outputs(events, self.space, start_s=start_s, end_s=end_s))
        return target, known

    def judged(self, recording_ids: Sequence[str], grid: FrameGrid) -> Judged:
        """What an expert said of these recordings and of the boxes in them; pseudo-labels are nobody's word."""
        truth, known = recording_truth(self.annotations, recording_ids, num_species=self.space.num_species)
        boxes = tuple(
            judged_boxes(
                self.annotations.events(name), *species_labels(*self.frame_labels(name, grid), self.space), grid
            )
            for name in recording_ids
        )
        return Judged(tuple(recording_ids), truth > 0, known, boxes)


def load_corpus(settings: DataSettings) -> Corpus:
    """Read tables and audio headers, check them against each other, make or read the folds, build the cache.

    Raises:
        AnnotationError: a wrong row (file and line), a box outside its recording, folds that do not fit.
        AudioError: audio files that are missing, unreadable or cut off, or an MP3 in which labels have no exact time.
    """
    sources = read_sources(settings)
    space, annotations = _labels(sources, settings)
    names = sources.recording_ids
    found = open_recordings(
        sources.paths,
        names,
        settings.sample_rate_hz,
        where=", ".join(str(settings.root / folder) for folder in settings.audio_folders),
        sites=sources.sites,
        untimed=set(names) - set(annotations.table["recording_id"]),
        allow_missing=settings.allow_missing_audio,
    )
    recordings = {name: found[name] for name in _random_part(list(found), settings)}
    durations_s = {name: item.duration_s for name, item in recordings.items()}
    annotations = fit_to_recordings(annotations.select(recordings), durations_s)
    fail_on_problems(annotations.outside(durations_s))
    _warn(annotations, settings.sample_rate_hz)
    cache = AudioCache(settings.cache_path, settings.sample_rate_hz) if settings.cache_path else None
    if cache is not None:
        cache.build(recordings.values())
    folds = corpus_folds(settings, sources, annotations, recordings)
    return Corpus(settings, space, annotations, recordings, folds, cache, sources.pseudo, sources.table)


class Tables(NamedTuple):
    """What is known without opening an audio file."""

    annotations: Annotations
    folds: Folds
    space: LabelSpace
    sites: Mapping[str, str]


def load_tables(settings: DataSettings) -> Tables:
    """Annotations and folds of :func:`load_corpus`, as if every labelled recording had its audio file.

    Raises:
        AnnotationError: a wrong row (file and line), or folds that do not fit.
    """
    sources = read_sources(settings)
    space, annotations = _labels(sources, settings)
    names = _random_part(sources.recording_ids, settings)
    annotations = annotations.select(names)
    return Tables(annotations, corpus_folds(settings, sources, annotations, names), space, sources.sites)


def _labels(sources: Sources, settings: DataSettings) -> tuple[LabelSpace, Annotations]:
    """The outputs, and what is said of them."""
    space = label_space(sources.species, split_songtypes=settings.split_songtypes, noise_class=settings.noise_class)
    check_song_types(sources.annotations, space)
    return space, without_answered_tags(sources.annotations, space)


def check_song_types(annotations: Annotations, space: LabelSpace) -> None:
    """Raise :class:`AnnotationError`, with file and line, for a row whose song type has no output."""
    columns = (annotations.table[name].tolist() for name in ("species_id", "songtype_id", "source"))
    for species, song, source in zip(*columns, strict=True):
        try:
            space.output_of(species, song)
        except AnnotationError as error:
            raise AnnotationError(f"{source}: {error}") from None


def _warn(annotations: Annotations, sample_rate_hz: int) -> None:
    for species, low_hz in annotations.inaudible(sample_rate_hz).items():
        logger.warning(
            "species %d lies above %g kHz (its lowest box starts at %g Hz): inaudible at %g kHz",
            species, sample_rate_hz / 2000, low_hz, sample_rate_hz / 1000,
        )  # fmt: skip
    met = find_conflicts(annotations)
    if met.contradicting:
        logger.warning(
            "%d absent boxes contradict a present box of their species: the present one counts", met.contradicting
        )
    if met.ruled_out:
        logger.warning("%d tags are ruled out by absent boxes in all of their window: the boxes count", met.ruled_out)


def _random_part(names: Sequence[str], settings: DataSettings) -> list[str]:
    if settings.max_recordings is None or settings.max_recordings >= len(names):
        return list(names)
    return sorted(np.random.default_rng([settings.seed, 0]).permutation(names)[: settings.max_recordings].tolist())
