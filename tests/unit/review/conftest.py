"""A pool of made-up scores, and a plan over it."""

import numpy as np
import pytest

from rfcx_ssl.annotations import default_label_map
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.review.hear import Pool, Scored
from rfcx_ssl.review.places import Places
from rfcx_ssl.review.plan import Item
from rfcx_ssl.species import Call, SpeciesTable

STRETCH = 4  # frames of half a second


@pytest.fixture(scope="session")
def make_pool():
    """``make_pool(recordings, stretches, species, seed)``: stretches of 2 s, peaks their middle half."""

    def make(recordings=6, stretches=5, species=3, seed=0):
        rng = np.random.default_rng(seed)
        count = recordings * stretches
        start = np.tile(np.arange(stretches) * STRETCH, recordings).astype(np.int32)
        peak = np.broadcast_to(start[:, None] + 1, (count, species))
        scored = Scored(start, start + STRETCH, rng.random((count, species)).astype(np.float32), peak, peak + 2)
        names = tuple(Recording(f"rec{number}", f"rec{number}.wav") for number in range(recordings))
        owner = np.repeat(np.arange(recordings), stretches).astype(np.int32)
        heard_s = (stretches * STRETCH / 2,) * recordings
        return Pool(names, heard_s, FrameGrid(1000, 500), owner, scored)

    return make


@pytest.fixture(scope="session")
def make_places():
    """Two sites and an hour apart, or nothing known."""

    def make(recordings, known=True):
        if not known:
            return Places((None,) * recordings, (None,) * recordings)
        sites = tuple(f"site{number % 2}" for number in range(recordings))
        return Places(sites, tuple(f"2024-05-01T0{number % 6}:00:00" for number in range(recordings)))

    return make


@pytest.fixture(scope="session")
def species():
    """Three made-up ones, one of them without a band, one with two song types."""
    return SpeciesTable(
        (
            Call(0, 1, "Great Tit", f_min_hz=2000.0, f_max_hz=6000.0),
            Call(1, 1, "Sånglärka"),
            Call(2, 3, "Tree frog, small", "tfrog", f_min_hz=300.0, f_max_hz=900.0),
            Call(2, 4, "Tree frog, small", "tfrog", f_min_hz=400.0, f_max_hz=1000.0),
        )
    )


@pytest.fixture(scope="session")
def names(species):
    return default_label_map(species)


@pytest.fixture
def items():
    """Three questions: clips of 4 s in a row, boxes of 1 s in their middle; the last one was chosen blindly."""

    def item(number, recording, clip_start_s, species, band, why):
        box = (clip_start_s + 1.5, clip_start_s + 2.5)
        clip = f"{number:04d}_{recording}.wav"
        return Item(
            number, clip, 4.0 * (number - 1), 4.0, recording, f"/x/{recording}.wav", clip_start_s, *box, *band, species,
            0.7, why,
        )  # fmt: skip

    return [
        item(1, "a", 10.0, "Great Tit", (2000.0, 6000.0), "top"),
        item(2, "b", 0.0, "Great Tit", (2000.0, 6000.0), "threshold"),
        item(3, "b", 20.0, "Tree frog, small", (300.0, 1000.0), "random"),
    ]


@pytest.fixture
def tiny_model(tiny):
    """An untrained model of 250 ms windows at 32 kHz."""
    return tiny("panns")
