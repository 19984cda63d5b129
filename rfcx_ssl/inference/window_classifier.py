"""Hear with a windowed classifier that somebody else trained (:mod:`rfcx_ssl.inference.classifier_file`)."""

from math import gcd
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.errors import AudioError, CheckpointError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.classifier_file import find_ends, match_classes, read_classes, read_description
from rfcx_ssl.inference.onnx_file import refuse_external_data
from rfcx_ssl.inference.onnx_scorer import open_session, run_session
from rfcx_ssl.inference.scorer import WindowScores
from rfcx_ssl.inference.windows import Windows
from rfcx_ssl.species.table import SpeciesTable

MOST_FRAMES = 64  # of a window: an overlap that needs more was not meant


class WindowClassifier:
    """A :class:`~rfcx_ssl.inference.scorer.Scorer` whose score of a window holds for every frame of it.

    A frame is what windows share: the whole window where they do not overlap, half of it with ``overlap=0.5``. Windows that cover a
    frame are averaged; where a recording ends inside a window, zeros follow.

    Args:
        description: its YAML.
        name: what the user called it.
        species: of this project; those that it has a class for are its species, in this order.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    train_prevalence: NDArray[np.float64] | None = None
    scaled_prevalence: str | None = None  # nothing is known of what it learned from

    def __init__(self, description: Path, name: str, species: SpeciesTable, device: str = "auto") -> None:
        self.about = read_description(description)
        assert self.about.model is not None  # read_description found it
        self.path, self.name = self.about.model, name
        refuse_external_data(self.path)
        self._session, self.device = open_session(self.path, device)
        where = str(description)
        classes = None if self.about.classes is None else read_classes(self.about.classes)
        self._ends = find_ends(self.about, self._session, None if classes is None else len(classes), where)
        class_of = match_classes(species, classes, self.about.species, where) if classes else {}
        self.species = SpeciesTable.of_names(species.names[number] for number in class_of)
        self._columns = list(class_of.values())
        self.embedding_dim = self._ends.embedding_dim
        window = self._ends.window_samples
        step = round(window * (1 - self.about.overlap))
        hop = gcd(window, step)
        if not step or window // hop > MOST_FRAMES:
            raise ConfigError(
                f"{where}: overlap={self.about.overlap} is no simple share of a window of {window} samples; 0.5 is"
            )
        self.grid = FrameGrid(self.about.sample_rate_hz, hop)
        self.windows = Windows(window / self.about.sample_rate_hz, 1 - step / window, "mean")

    @property
    def files(self) -> list[Path]:
        """What its answers depend on, beside its description."""
        return [path for path in (self.path, self.about.classes) if path is not None]

    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N) of one window, or less.

        Raises:
            AudioError: they are longer than a window.
            CheckpointError: the graph cannot run, or answers something else than it says.
        """
        size, length = waveform.shape
        if length > self._ends.window_samples:
            raise AudioError(
                f"{length} samples are more than the window of {self._ends.window_samples} that {self.path} hears"
            )
        samples = np.zeros((size, self._ends.window_samples), np.float32)
        samples[:, :length] = waveform.numpy()
        scores, embedding = self._run(self._prepared(samples))
        probabilities = torch.from_numpy(self._probabilities(scores)[:, self._columns])
        frames = probabilities[:, None].expand(-1, self.grid.num_frames(length), -1).contiguous()
        return WindowScores(frames, probabilities, torch.from_numpy(embedding))

    def _prepared(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.about.remove_mean:
            samples = samples - samples.mean(axis=1, keepdims=True)
        if self.about.peak is not None:
            peak = np.abs(samples).max(axis=1, keepdims=True)
            samples = samples * (self.about.peak / np.where(peak > 0, peak, 1)).astype(np.float32)
        return samples

    def _run(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores (B, C) and embeddings (B, D) of windows; what the graph does not give has no columns."""
        names = [name for name in (self._ends.scores, self._ends.embedding) if name]
        pieces = samples[:, None] if self._ends.fixed_batch else [samples]
        rows = [run_session(self._session, self.path, names, {self._ends.input: piece}) for piece in pieces]
        answers = dict(zip(names, (np.concatenate(parts) for parts in zip(*rows, strict=True)), strict=True))
        nothing = np.zeros((len(samples), 0), np.float32)
        found = tuple(
            answers.get(name, nothing) if name else nothing for name in (self._ends.scores, self._ends.embedding)
        )
        if any(len(answer) != len(samples) for answer in found):
            raise CheckpointError(
                f"{self.path}: answers {[answer.shape for answer in found]} to {len(samples)} windows"
            )
        return found[0], found[1]

    def _probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.about.activation == "none":
            if ((scores < 0) | (scores > 1)).any():
                raise CheckpointError(
                    f"{self.path}: scores are no probabilities: set activation to sigmoid or softmax"
                )
            return scores
        tensor = torch.from_numpy(scores)
        made = tensor.softmax(dim=1) if self.about.activation == "softmax" and scores.shape[1] else tensor.sigmoid()
        return made.numpy()
