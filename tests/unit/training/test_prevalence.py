import dataclasses

import numpy as np
import pytest

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.losses.settings import LossSettings, UnknownSettings
from rfcx_ssl.training.prevalence import train_prevalence

GRID = FrameGrid(16_000, 1600)
UNKNOWN = LossSettings(unknown=UnknownSettings(weight=0.1, target=0.0))


def by_hand(crops, weight, target):
    """Share of present per species, crop by crop and output by output."""
    shares = []
    space = crops.corpus.space
    for species in range(space.num_species):
        present = total = 0.0
        for i in range(len(crops)):
            item = crops.labels(i)
            cells = []
            for output in np.flatnonzero(np.array(space.output_species) == species):
                known = float(item.clip_known[output])
                w, y = (known, float(item.clip_target[output])) if known > 0 else (weight, target)
                cells.append((w * y, w))
            present += max(cell[0] for cell in cells)
            total += max(cell[1] for cell in cells)
        shares.append(present / total if total and 0 < present < total else None)
    return shares


@pytest.mark.parametrize("changes", [{}, {"split_songtypes": True, "noise_class": True}, {"absent_share": 0.1}])
@pytest.mark.parametrize(
    "loss", [LossSettings(), UNKNOWN, LossSettings(unknown=UnknownSettings(weight=0.3, target=0.2))]
)
def test_equals_a_count_over_the_crops(settings_of, changes, loss):
    crops = CropDataset(load_corpus(settings_of(**changes)), None, GRID)
    weight, target = (loss.unknown.weight, loss.unknown.target) if loss.unknown else (0.0, 0.0)
    expected = by_hand(crops, weight, target)
    assert [value is None for value in expected] == [value is None for value in train_prevalence(crops, loss)]
    np.testing.assert_allclose(
        [value or 0 for value in train_prevalence(crops, loss)], [value or 0 for value in expected], rtol=1e-5
    )


def test_a_species_that_training_says_one_thing_of_has_none(settings_of):
    crops = CropDataset(load_corpus(settings_of()), None, GRID)
    assert train_prevalence(crops, LossSettings()) == [None] * 24  # no species has boxes of both kinds
    found = train_prevalence(crops, UNKNOWN)  # unknown teaches absent, a little
    assert [s for s, value in enumerate(found) if value is not None] == [0, 1, 2]


def test_balanced_dealing_gives_species_much_the_same_whatever_is_common(settings_of):
    corpus = load_corpus(settings_of())
    balanced = train_prevalence(CropDataset(corpus, None, GRID, length=400), UNKNOWN)
    rarer = dataclasses.replace(corpus.settings, present_share=0.1, absent_share=0.9)
    fewer = train_prevalence(CropDataset(corpus, None, GRID, settings=rarer, length=400), UNKNOWN)
    heard = [s for s, value in enumerate(balanced) if value is not None]
    assert all(fewer[s] < balanced[s] for s in heard)


def test_looking_at_the_labels_changes_no_crop(settings_of):
    crops, untouched = (CropDataset(load_corpus(settings_of()), None, GRID) for _ in range(2))
    train_prevalence(crops, UNKNOWN)
    crops.set_epoch(3), untouched.set_epoch(3)
    assert [crops.start_samples(i) for i in range(len(crops))] == [
        untouched.start_samples(i) for i in range(len(crops))
    ]
