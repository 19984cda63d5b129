"""Evidence that is made up: scores whose best thresholds are known."""

import numpy as np
import pytest

from rfcx_ssl.tuning.evidence import Cells, Evidence
from rfcx_ssl.tuning.groups import make_groups

NAMES = ("low frog", "high frog", "rare bird")
EDGES = (0.2, 0.9, 0.5)  # present boxes score above, absent ones below


@pytest.fixture
def boxes_of():
    """``boxes_of(count, rare)``: two species with ``count`` boxes of each state, and one with ``rare``."""

    def make(count=40, rare=2, seed=0):
        rng, parts = np.random.default_rng(seed), []
        for species, (edge, size) in enumerate(zip(EDGES, (count, count, rare), strict=True)):
            present = np.repeat([True, False], size)
            scores = np.where(
                present, edge + (1 - edge) * rng.uniform(0.3, 1, 2 * size), edge * rng.uniform(0, 0.8, 2 * size)
            )
            parts.append((np.full(2 * size, species), rng.integers(0, 30, 2 * size), scores, present))
        boxes = Cells(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        nothing = Cells(*(part[:0] for part in boxes))
        return Evidence(NAMES, make_groups([f"r{n}" for n in range(30)], [None] * 30), boxes, nothing, None)

    return make
