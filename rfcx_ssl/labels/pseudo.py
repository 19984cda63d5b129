"""Pseudo-labels: a model's frame probabilities as soft labels for cells that nobody listened to.

One Parquet file per model, or a folder of several that belong together: a row per recording with ``recording_id``
(string), ``weight`` (float64) and ``scores`` (float32 list of T * P values, frame by frame), and in a file's metadata the P
output names, the frame length and the prevalences that the scores were scaled to, if they were.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rfcx_ssl.batching import batched
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.species.space import LabelSpace

FloatArray = NDArray[np.float32]
METADATA_KEY = b"rfcx_ssl_pseudo_labels"
ROWS_PER_GROUP = 64
MAX_FRAME_S = 60.0


class SoftScores(NamedTuple):
    """Probabilities of one recording: (T, P) in [0, 1], and how much they count in (0, 1]."""

    scores: FloatArray
    weight: float


@dataclass(frozen=True)
class PseudoLabels:
    """Soft frame labels of many recordings by one model."""

    output_names: tuple[str, ...]
    frame_s: float
    by_recording: Mapping[str, SoftScores]

    @classmethod
    def load(cls, path: Path) -> "PseudoLabels":
        """Read what :func:`write_pseudo_labels` wrote: a file, or all Parquet files of a folder.

        Raises:
            AnnotationError: not such a file, scores that are no probabilities or do not fill whole frames, or files that
                do not belong together.
        """
        first, *others = [cls._load_file(file) for file in _files(path)]
        found = dict(first.by_recording)
        for other in others:
            if (other.output_names, other.frame_s) != (first.output_names, first.frame_s):
                raise AnnotationError(f"{path}: its files differ in their outputs or frames")
            if twice := found.keys() & other.by_recording.keys():
                raise AnnotationError(f"{path}: {min(twice)} is in two of its files")
            found |= other.by_recording
        return cls(first.output_names, first.frame_s, found)

    @classmethod
    def _load_file(cls, path: Path) -> "PseudoLabels":
        try:
            file = pq.ParquetFile(path)
            note = json.loads((file.schema_arrow.metadata or {})[METADATA_KEY])
            names, frame_s = tuple(note["output_names"]), float(note["frame_s"])
            if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"output_names={names!r:.80} are not different names")
            if not 0 < frame_s < MAX_FRAME_S:
                raise ValueError(f"frame_s={frame_s} must be above 0 and below {MAX_FRAME_S:g} s")
            found: dict[str, SoftScores] = {}
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=["recording_id", "weight", "scores"]):
                for row in range(batch.num_rows):
                    values = batch["scores"][row].values.to_numpy(zero_copy_only=False).astype(np.float32)
                    name = batch["recording_id"][row].as_py()
                    if name in found:
                        raise AnnotationError(f"{path}: recording {name} is listed twice")
                    found[name] = _checked(path, name, values, batch["weight"][row].as_py(), len(names))
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, RecursionError) as error:
            raise AnnotationError(f"{path}: not a pseudo-label file ({type(error).__name__}: {error})") from None
        return cls(names, frame_s, found)

    def columns(self, space: LabelSpace) -> list[tuple[int, int]]:
        """(column of the scores, output) for every output of ``space`` that these labels name."""
        return [(self.output_names.index(n), k) for k, n in enumerate(space.output_names) if n in self.output_names]

    def frame_scores(self, recording_id: str, grid: FrameGrid, start_s: float, num_frames: int) -> FloatArray | None:
        """Scores (num_frames, P) on another grid from ``start_s`` on, NaN after the end; None for unknown recordings.

        A frame takes the highest of the scores whose frames have their middle in it; where it is shorter than theirs,
        the score of the frame that holds its own middle.
        """
        soft = self.by_recording.get(recording_id)
        if soft is None:
            return None
        edges_s = start_s + np.arange(num_frames + 1) * grid.frame_s
        first = np.ceil(edges_s[:-1] / self.frame_s - 0.5 - 1e-6).astype(np.int64)
        last = np.ceil(edges_s[1:] / self.frame_s - 0.5 - 1e-6).astype(np.int64)
        middle = np.floor((edges_s[:-1] + edges_s[1:]) / 2 / self.frame_s + 1e-6).astype(np.int64)
        first = np.where(last > first, first, middle)
        last = np.maximum(last, first + 1)
        longest = int((last - first).max(initial=1))
        taken = np.minimum(
            first[:, None] + np.arange(longest), last[:, None] - 1
        )  # (T, longest), repeats are harmless
        inside = (taken >= 0) & (taken < len(soft.scores))
        values = soft.scores[np.clip(taken, 0, max(0, len(soft.scores) - 1))]
        best: FloatArray = np.where(inside[..., None], values, -1.0).max(axis=1).astype(np.float32)
        best[best < 0] = np.nan
        return best


def scaled_to(path: Path) -> str | None:
    """The prevalences that a file's (or folder's) scores were scaled to, as they were called; None where they were not.

    What learns from scaled scores has the prior in it: scaling it again would count the prior twice.

    Raises:
        AnnotationError: not a pseudo-label file.
    """
    for file in _files(path):
        try:
            prevalence = json.loads((pq.read_schema(file).metadata or {})[METADATA_KEY]).get("prevalence")
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise AnnotationError(f"{file}: not a pseudo-label file ({type(error).__name__}: {error})") from None
        if prevalence:
            return str(prevalence)
    return None


def add_pseudo_labels(
    target: FloatArray,
    known: FloatArray,
    pseudo: PseudoLabels,
    recording_id: str,
    grid: FrameGrid,
    space: LabelSpace,
    *,
    start_s: float,
    weight: float = 1.0,
    min_probability: float = 0.0,
) -> None:
    """Fill the unknown cells of ``target`` and ``known`` (T, K), in place; what people said is never touched.

    A filled cell gets the probability as its target and ``weight`` times the recording's own weight as ``known``.
    Cells below ``min_probability`` stay unknown.
    """
    scores = pseudo.frame_scores(recording_id, grid, start_s, len(target))
    if scores is None:
        return
    weight *= pseudo.by_recording[recording_id].weight
    for column, output in pseudo.columns(space):
        values = scores[:, column]
        free = (known[:, output] == 0) & (values >= min_probability)  # NaN compares as False
        target[free, output] = values[free]
        known[free, output] = weight


def fill_clip_labels(
    clip_target: FloatArray, clip_known: FloatArray, target: FloatArray, known: FloatArray, heard: NDArray[np.bool_]
) -> None:
    """Fill unknown clip labels, in place, with the highest target of their frames where all frames are known.

    Outputs in ``heard`` (K,) stay as they are: a person marked a call that reaches into the crop, and where its clip
    label is unknown, that is because too little of the call is inside.
    """
    free = (clip_known == 0) & ~heard & (known.min(axis=0, initial=1.0) > 0)
    clip_target[free] = target.max(axis=0, initial=0.0)[free]
    clip_known[free] = known.min(axis=0, initial=1.0)[free]


def write_pseudo_labels(
    path: Path,
    rows: Iterable[tuple[str, FloatArray, float]],
    *,
    output_names: Iterable[str],
    frame_s: float,
    prevalence: str | None = None,
) -> int:
    """Write (recording id, scores (T, P), weight) rows as they come, atomically; returns how many there were.

    ``prevalence`` says what the scores were scaled to, if they were (:func:`scaled_to`).
    """
    names = list(output_names)
    note = json.dumps({"output_names": names, "frame_s": frame_s, "prevalence": prevalence})
    fields = [("recording_id", pa.string()), ("weight", pa.float64()), ("scores", pa.list_(pa.float32()))]
    schema = pa.schema(fields, metadata={METADATA_KEY: note.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in batched(rows, ROWS_PER_GROUP):
            count += len(group)
            for name, scores, weight in group:
                _checked(path, name, scores.reshape(-1), weight, len(names))
            columns = [[r[0] for r in group], [r[2] for r in group], [r[1].reshape(-1) for r in group]]
            writer.write_table(pa.table(columns, schema=schema))
    return count


def _files(path: Path) -> list[Path]:
    """The files of a set of pseudo-labels."""
    if not path.is_dir():
        return [path]
    if not (found := sorted(path.glob("*.parquet"))):
        raise AnnotationError(f"{path}: a folder without pseudo-label files (*.parquet)")
    return found


def _checked(path: Path, name: str, values: FloatArray, weight: float, num_outputs: int) -> SoftScores:
    if len(values) % num_outputs:
        raise AnnotationError(f"{path}: {name} has {len(values)} scores, not a multiple of {num_outputs} outputs")
    if not (np.all(values >= 0) and np.all(values <= 1)):
        raise AnnotationError(f"{path}: {name} has scores outside [0, 1]")
    if not 0 < weight <= 1:
        raise AnnotationError(f"{path}: {name} has weight={weight}, must be above 0 and at most 1")
    return SoftScores(values.reshape(-1, num_outputs), float(weight))
