"""What pseudo-labels add for each species, and how well they agree with what people said."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.labels.pseudo import SoftScores
from rfcx_ssl.metrics import average_precision
from rfcx_ssl.selftraining.settings import PseudoLabelSettings


class SpeciesAccount(NamedTuple):
    """One species. NaN is what nothing can judge."""

    species: str
    recordings: int  # with a frame at or above ``positive``
    hours: float  # of such frames
    expected_hours: float  # sum of all probabilities
    positive_share: float  # of all frames
    present_boxes: int  # judged boxes of recordings that no teacher learned from
    absent_boxes: int
    chance: float  # average precision of scores that know nothing: the share of the boxes that are present
    average_precision: float  # of the boxes, each scored as its best frame
    warning: str = ""  # why the species should not be trained on without a look

    @property
    def misleads(self) -> bool:
        """Its labels claim calls that are doubtful; those of a species that nobody claims to hear only say that it is rare."""
        return bool(self.warning) and self.recordings > 0


class Account:
    """Counts while labels are written.

    Args:
        species: names (S,).
        frame_s: seconds per frame.
        settings: what counts as a call, and in how many frames at most.
    """

    def __init__(self, species: Sequence[str], frame_s: float, settings: PseudoLabelSettings) -> None:
        self._species, self._frame_s, self._settings = species, frame_s, settings
        self.recordings = 0
        self.frames = 0
        size = len(species)
        self._clips, self._positive = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._expected = np.zeros(size)
        self._judged: list[list[tuple[bool, float]]] = [[] for _ in species]

    @property
    def hours(self) -> float:
        """Of all recordings."""
        return self.frames * self._frame_s / 3600

    def add(self, soft: SoftScores, boxes: Iterable[JudgedBox] = ()) -> None:
        """Count a recording, and the judged boxes of it; scores are (T, S)."""
        calls = soft.scores >= self._settings.positive
        self.recordings += 1
        self.frames += len(calls)
        self._clips += calls.any(axis=0)
        self._positive += calls.sum(axis=0)
        self._expected += soft.scores.sum(axis=0, dtype=np.float64)
        for box in boxes:
            heard = box.frames[box.frames < len(calls)]
            if heard.size:
                score = float(soft.scores[heard, box.species_id].max())
                self._judged[box.species_id].append((box.present, score))

    def rows(self) -> list[SpeciesAccount]:
        """One row per species, in their order."""
        return [self._row(column) for column in range(len(self._species))]

    def _row(self, column: int) -> SpeciesAccount:
        pairs = self._judged[column]
        present: NDArray[np.bool_] = np.array([said for said, _ in pairs], np.bool_)
        share = float(self._positive[column] / max(1, self.frames))
        precision = chance = float("nan")
        if present.any() and not present.all():
            scores = np.array([score for _, score in pairs])
            precision, chance = average_precision(present[:, None], scores[:, None]).macro, float(present.mean())
        return SpeciesAccount(
            self._species[column],
            int(self._clips[column]),
            float(self._positive[column]) * self._frame_s / 3600,
            float(self._expected[column]) * self._frame_s / 3600,
            share,
            int(present.sum()),
            int((~present).sum()),
            chance,
            precision,
            self._warning(column, share, precision, chance),
        )

    def _warning(self, column: int, share: float, precision: float, chance: float) -> str:
        limit, positive = self._settings.max_positive_share, self._settings.positive
        if share > limit:
            return f"calls in {share:.0%} of all frames, more than max_positive_share={limit:g}"
        if not self._clips[column]:
            return f"nothing reaches positive={positive:g}"
        if precision < chance:  # NaN compares as False
            return "agrees less with the labels than chance"
        return ""
