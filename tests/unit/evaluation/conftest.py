"""A reference and what two models say of it, made up without audio."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.annotations import Event
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space

NAMES = ("Rana ß", "Hyla | verde", "Turdus", "Never heard")
SECONDS, FRAMES = 4.0, 40


@pytest.fixture
def space() -> LabelSpace:
    return label_space(SpeciesTable.of_names(NAMES))


@pytest.fixture
def make_reference(space):
    """``make_reference(known_rate, timed_rate)``: 60 recordings at 6 sites and 3 hours, calls of 1 s, some boxes."""

    def make(known_rate=1.0, timed_rate=1.0, seed=0):
        rng = np.random.default_rng(seed)
        truth = rng.random((60, 4)) < (0.5, 0.3, 0.2, 0.0)
        known = (rng.random(truth.shape) < known_rate) | (rng.random((60, 1)) < known_rate / 2)
        truth &= known
        calls = tuple(
            tuple(Event(int(s), 1, 0.5 + s, 1.5 + s, 0.0, 1e9, True, 1.0) for s in np.flatnonzero(row))
            for row in truth
        )
        boxes = [[JudgedBox(0, row % 3, 1.0, 2.0, bool(rng.random() < 0.5), np.arange(10, 20))] for row in range(60)]
        return Reference(
            root=Path("nowhere"),
            what="made-up recordings",
            recording_ids=tuple(f"r{row:02d}" for row in range(60)),
            paths=tuple(Path(f"r{row:02d}.flac") for row in range(60)),
            space=space,
            truth=truth,
            known=known,
            calls=calls,
            timed=rng.random(60) < timed_rate,
            boxes=lambda _: tuple(map(tuple, boxes)),
            sites=tuple(f"site {row % 6}" for row in range(60)),
            moments=tuple(None if row == 0 else datetime(2024, 1, 1, row % 3 + 4) for row in range(60)),
        )

    return make


@pytest.fixture
def make_heard():
    """``make_heard(reference, strength, seed)``: scores that know the truth more or less."""

    def make(reference, strength, seed=1):
        rng = np.random.default_rng(seed)
        shape = reference.truth.shape
        clip = 1 / (1 + np.exp(-(rng.normal(size=shape) + strength * reference.truth - strength / 2)))
        frames = {}
        for row in np.flatnonzero(reference.timed).tolist():
            frames[row] = rng.integers(0, 7, (FRAMES, shape[1])).astype(np.float32) / 20
            for call in reference.calls[row]:
                frames[row][round(call.start_s * 10) : round(call.end_s * 10), call.species_id] += 0.2 * strength
        grid = FrameGrid(10, 1)
        boxes = reference.boxes(grid)
        box_scores = [rng.random() + strength / 2 * box.present for of_one in boxes for box in of_one]
        facts = RunFacts(Path(), 7, None, 1.5, [])
        scores = np.array(box_scores, np.float32) / (1 + strength)
        return Heard(facts, clip, clip, frames, boxes, scores, [SECONDS] * shape[0], grid, 10, 2.0)

    return make
