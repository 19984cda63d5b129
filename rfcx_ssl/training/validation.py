"""Validation as inference is done: whole recordings through the model's windows, judged on what is known."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.judged import Judged, species_labels
from rfcx_ssl.metrics import partial_auc, partial_lwlrap
from rfcx_ssl.pictures.validation import draw_scores
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.training.judge import over_processes
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.scores import (
    HEADLINES,
    Cells,
    box_cells,
    box_values,
    headlines,
    is_undefined,
    needs,
    recording_values,
)

FloatArray = NDArray[np.float32]
READ_AHEAD = 4  # recordings


class Source(Protocol):
    """Labelled recordings; :class:`rfcx_ssl.data.Corpus` is one."""

    def read(self, recording_id: str) -> FloatArray:
        """Waveform (N,) of a recording at the model's rate."""
        ...

    def frame_labels(self, recording_id: str, grid: FrameGrid) -> tuple[FloatArray, FloatArray]:
        """``target`` and ``known`` (T, K) of a recording on the model's frames."""
        ...


class RecordingScores(NamedTuple):
    """Probabilities of one recording: per frame (T, S) and of the whole (S,)."""

    frame: FloatArray
    clip: FloatArray


class Scores(NamedTuple):
    """What a model says of everything that is judged."""

    recordings: FloatArray  # (R, S)
    boxes: FloatArray  # (n,) of all boxes, recording by recording
    peaks: FloatArray  # (R, S) the best frame


class Validation:
    """Recordings that are scored whole, and what is known about them.

    Args:
        judged: what an expert said of R recordings and the boxes in them.
        source: where their audio and frame labels come from.
        predict: a model in evaluation mode and a waveform (N,) to the scores that inference would give.
        prior: (S,) what is known of each species without listening: its share of the training recordings.
        space: outputs of the model and the species they stand for.
        grid: frames of the model.
    """

    def __init__(
        self,
        judged: Judged,
        source: Source,
        predict: Callable[[nn.Module, FloatArray], RecordingScores],
        *,
        prior: FloatArray,
        space: LabelSpace,
        grid: FrameGrid,
    ) -> None:
        self.judged = judged
        self.source = source
        self.predict = predict
        self.prior = prior
        self.space = space
        self.grid = grid

    @property
    def num_recordings(self) -> int:
        """How many are judged."""
        return len(self.judged.recording_ids)

    def first(self, count: int | None) -> "Validation":
        """The same with at most ``count`` recordings, spread evenly over all."""
        total = len(self.judged.recording_ids)
        if count is None or count >= total:
            return self
        judged = self.judged.rows(np.linspace(0, total - 1, count).round().astype(np.int64))
        return Validation(judged, self.source, self.predict, prior=self.prior, space=self.space, grid=self.grid)

    def score(self, model: nn.Module, accelerator: Accelerator) -> Scores:
        """Scores of all recordings and boxes by ``model``, the same on every process; all must call this."""
        names = self.judged.recording_ids
        boxes = dict(zip(names, self.judged.boxes, strict=True))

        def score(mine: Sequence[str]) -> Iterator[tuple[str, tuple[list[float], list[float], list[float]]]]:
            for name, waveform in read_ahead(mine, self.source.read):
                scores = self.predict(model, waveform)
                of_boxes = [float(scores.frame[box.frames, box.species_id].max()) for box in boxes[name]]
                yield name, (scores.clip.tolist(), scores.frame.max(axis=0).tolist(), of_boxes)

        by_name = over_processes(model, accelerator, names, score)
        clips, peaks = ([by_name[name][place] for name in names] for place in range(2))
        of_all_boxes = [score for name in names for score in by_name[name][2]]
        return Scores(*(np.array(part, np.float32) for part in (clips, of_all_boxes, peaks)))

    def metrics(self, scores: Scores) -> dict[str, float]:
        """Metrics and floors of recordings and boxes (:mod:`rfcx_ssl.training.scores`); NaN where nothing is judged.

        ``lwlrap/<species>`` and ``box_auc/<species>`` are per class.
        """
        recordings, boxes = self._cells(scores)
        values = recording_values(recordings, self.prior) | box_values(boxes)
        per_class = {"lwlrap": partial_lwlrap(*recordings).per_class, "box_auc": partial_auc(*boxes).per_class}
        for key, of_species in per_class.items():
            values |= {f"{key}/{n}": v for n, v in zip(self.space.species_names, of_species.tolist(), strict=True)}
        return values

    def select_metric(self, wanted: str) -> str | None:
        """The metric that chooses the best weights; None where nothing can be judged.

        ``auto`` is LWLRAP where every recording is complete, and else the first of :data:`HEADLINES` that is defined.

        Raises:
            ConfigError: ``wanted`` is unknown, or not defined on these recordings.
        """
        values = self.metrics(self._silence())
        if wanted == "auto":
            order = ("lwlrap",) if self.judged.known.all() else HEADLINES
            return next((name for name in order if not is_undefined(values[name])), None)
        key = f"evaluation.select_metric={wanted}"
        if wanted not in values:
            known = ", ".join(name for name in values if "/" not in name)
            raise ConfigError(f"{key}: unknown metric; known: {known}, lwlrap/<species>, box_auc/<species>, auto")
        if is_undefined(values[wanted]):
            raise ConfigError(f"{key} is not defined on the validation recordings: it needs {needs(wanted)}")
        return wanted

    def headline(self, metrics: Mapping[str, float | None], selected: str | None) -> str:
        """A metric of boxes and one of recordings, in words."""
        return headlines(metrics, selected)

    def summary(self) -> str:
        """In a line, what is judged here and what is not for want of which labels."""
        recordings, boxes = self._cells(self._silence())
        present, species = int(boxes.truth.sum()), int(np.isfinite(partial_auc(*boxes).per_class).sum())
        of_boxes = f"{present} present and {len(boxes.truth) - present} absent boxes ({species} species have both)"
        whole = f"{int(self.judged.known.all(axis=1).sum())} complete recordings"
        if not species:
            of_boxes = f"no box is judged, which needs {needs('box_auc')}"
        if np.isnan(partial_lwlrap(*recordings).overall):
            whole = f"no whole recording is judged, which needs {needs('lwlrap')}"
        return f"{len(self.judged.recording_ids)} validation recordings: {of_boxes}; {whole}"

    def draw(self, folder: Path, step: int, model: nn.Module, count: int) -> list[Path]:
        """Draw the ``count`` recordings with the most species heard into ``folder/step_N``; returns the files."""
        if count == 0:
            return []
        rows = np.argsort(-self.judged.truth.sum(axis=1), kind="stable")[:count]
        target = folder / f"step_{step:07d}"
        target.mkdir(exist_ok=True)
        was_training = model.training
        model.eval()
        names = [self.judged.recording_ids[row] for row in rows]
        paths = [target / f"{name.replace('/', '_')}.png" for name in names]  # an id may be a path below the root
        for name, path in zip(names, paths, strict=True):
            waveform = self.source.read(name)
            labels = species_labels(*self.source.frame_labels(name, self.grid), self.space)
            scores = self.predict(model, waveform)
            draw_scores(
                path,
                waveform,
                self.grid.sample_rate_hz,
                *labels,
                scores.frame,
                scores.clip,
                self.grid.frame_s,
                self.space.species_names,
            )
        model.train(was_training)
        return paths

    def write(self, folder: Path, scores: Scores, fold: int | None, seed: int) -> None:
        """Write out-of-fold scores: a row per recording (``oof.parquet``), and a row per box (``oof_boxes.parquet``).

        That of recordings holds ``score_S``, ``truth_S``, ``known_S``, ``prior_S`` and ``peak_S`` for every species S.
        """
        import pandas as pd

        judged, run = self.judged, {"fold": fold, "seed": seed}
        columns: dict[str, object] = {"recording_id": judged.recording_ids, **run}
        for species in range(self.space.num_species):
            columns[f"score_{species}"] = scores.recordings[:, species]
            columns[f"truth_{species}"] = judged.truth[:, species]
            columns[f"known_{species}"] = judged.known[:, species]
            columns[f"prior_{species}"] = np.full(len(judged.recording_ids), self.prior[species], np.float32)
        columns |= {f"peak_{species}": scores.peaks[:, species] for species in range(self.space.num_species)}
        with atomic_path(RunFolder(folder).oof) as temporary:
            pd.DataFrame(columns).to_parquet(temporary, index=False)
        said = pd.DataFrame(
            [
                (name, box.box, box.species_id, box.start_s, box.end_s, box.present)
                for name, boxes_of in zip(judged.recording_ids, judged.boxes, strict=True)
                for box in boxes_of
            ],
            columns=["recording_id", "box", "species_id", "start_s", "end_s", "present"],
        ).astype({"box": "int64", "species_id": "int64", "start_s": float, "end_s": float, "present": bool})
        with atomic_path(RunFolder(folder).oof_boxes) as temporary:
            said.assign(score=scores.boxes, **run).to_parquet(temporary, index=False)

    def _cells(self, scores: Scores) -> tuple[Cells, Cells]:
        """Recordings and boxes as cells."""
        boxes = [box for boxes_of in self.judged.boxes for box in boxes_of]
        species = np.array([box.species_id for box in boxes], np.int64)
        present = np.array([box.present for box in boxes], np.bool_)
        return (
            Cells(self.judged.truth, scores.recordings, self.judged.known),
            box_cells(species, present, scores.boxes, self.space.num_species),
        )

    def _silence(self) -> Scores:
        """The same score for everything: which metrics it leaves undefined, every score does."""
        boxes = sum(len(boxes_of) for boxes_of in self.judged.boxes)
        silence = np.zeros(self.judged.truth.shape, np.float32)
        return Scores(silence, np.zeros(boxes, np.float32), silence)


def read_ahead(names: Sequence[str], read: Callable[[str], FloatArray]) -> Iterator[tuple[str, FloatArray]]:
    """Read recordings in a thread while the model works on the one before."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[tuple[str, Future[FloatArray]]] = deque()
        for name in names:
            waiting.append((name, pool.submit(read, name)))
            if len(waiting) > READ_AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
