"""How far a model is from what was said of each recording: which ones are worth a look."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard


class Statement(NamedTuple):
    """What somebody said of a species in a recording or a box, and the model's score for it."""

    species: int
    present: bool
    score: float
    start_s: float | None = None  # of a box; None for a whole recording
    end_s: float | None = None

    @property
    def error(self) -> float:
        """Distance of the score from what was said, in [0, 1]."""
        return 1 - self.score if self.present else self.score


class Mistake(NamedTuple):
    """A recording and the statement that the model is furthest from."""

    row: int
    worst: Statement
    has_present: bool


def find_mistakes(reference: Reference, heard: Heard) -> list[Mistake]:
    """One for every recording of which something is known, in order of rows."""
    found = []
    for row, statements in enumerate(_statements(reference, heard)):
        if statements:
            worst = max(statements, key=lambda one: one.error)
            found.append(Mistake(row, worst, any(one.present for one in statements)))
    return found


def best_and_worst(mistakes: Sequence[Mistake], most: int) -> tuple[list[Mistake], list[Mistake]]:
    """The recordings with the smallest and the largest error, at most ``most`` of each and none twice.

    The best hold a species: silence is easily right.
    """
    best = sorted((one for one in mistakes if one.has_present), key=lambda one: one.worst.error)
    best = best[: min(most, -(-len(mistakes) // 2))]
    taken = {one.row for one in best}
    worst = sorted((one for one in mistakes if one.row not in taken), key=lambda one: -one.worst.error)
    return best, worst[:most]


def _statements(reference: Reference, heard: Heard) -> Iterator[list[Statement]]:
    scores = iter(heard.box_scores.tolist())
    for row, boxes in enumerate(heard.boxes):
        cells = [
            Statement(species, bool(reference.truth[row, species]), float(heard.clip[row, species]))
            for species in np.flatnonzero(reference.known[row]).tolist()
        ]
        yield cells + [Statement(b.species_id, b.present, next(scores), b.start_s, b.end_s) for b in boxes]
