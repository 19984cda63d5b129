"""Crops that are mixed with pseudo-labelled ones: which, how loud, with which labels."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.partners import make_places
from rfcx_ssl.data.settings import PseudoMixSettings, PseudoSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.pseudo import write_pseudo_labels

GRID = FrameGrid(16_000, 1600)
NAMES = [f"s{k}" for k in range(24)]
FRAME_S = 0.15


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Two teachers with frames of 0.15 s: one of rec00 to rec08, quiet but for some calls, one of rec02 to rec11."""
    folder, paths = tmp_path_factory.mktemp("teachers"), []
    rng = np.random.default_rng(5)
    for number, names in enumerate((range(9), range(2, 12))):
        rows = []
        for i in names:
            scores = (rng.random((27, 24)) ** 8).astype(np.float32)
            scores[:, 20] = 0.9  # of a species that ...
            rows.append((f"rec{i:02d}", scores * (i != 3), 0.25 + 0.25 * (i % 4)))  # rec03: nothing at all
        paths.append(folder / f"teacher{number}.parquet")
        write_pseudo_labels(paths[-1], rows, output_names=[*NAMES[:20], "stranger", *NAMES[21:]], frame_s=FRAME_S)
    return tuple(paths)  # ... the data do not have


@pytest.fixture
def mixed(settings_of, teachers):
    """The corpus of a noisy student."""

    def make(p=1.0, min_probability=0.0, **mix):
        pseudo = PseudoSettings(
            files=teachers, weight=0.5, min_probability=min_probability, mix=PseudoMixSettings(p=p, **mix)
        )
        return load_corpus(settings_of(pseudo=pseudo))

    return make


def slow_confidence(corpus, teacher, name, start):
    """Sum over species of the highest probability that reaches into the crop, times the recording's weight."""
    soft, total = corpus.pseudo[teacher].by_recording[name], 0.0
    for species in [*range(20), *range(21, 24)]:
        best = 0.0
        for frame, score in enumerate(soft.scores[:, species].tolist()):
            reaches_in = frame * FRAME_S < (start + 16_000) / 16_000 and (frame + 1) * FRAME_S > start / 16_000
            if reaches_in and score >= corpus.settings.pseudo.min_probability:
                best = max(best, score)
        total += best
    return total * soft.weight


def test_confidences_match_a_slow_loop(mixed):
    corpus = mixed(min_probability=0.4)
    recordings = corpus.recordings(None, "train")
    places = make_places(corpus.pseudo[0], recordings, corpus.space, corpus.settings)
    starts = [0, 4000, 8000, 12_000, 16_000, 20_000, 24_000, 28_000, 32_000, 36_000, 40_000, 44_000, 48_000]
    expected = [slow_confidence(corpus, 0, f"rec{i:02d}", start) for i in range(9) for start in starts]
    np.testing.assert_allclose(np.diff(places.total, prepend=0.0), expected, rtol=1e-5, atol=1e-9)


def test_partners_come_as_often_as_they_are_confident(mixed):
    corpus = mixed()
    dataset = CropDataset(corpus, None, GRID, length=4000)
    partners = [dataset.partner(index) for index in range(4000)]
    assert 1900 < sum(partner.teacher for partner in partners) < 2100  # either teacher, at random
    drawn = Counter(partner.recording_id for partner in partners if partner.teacher == 0)
    weight = {
        f"rec{i:02d}": sum(slow_confidence(corpus, 0, f"rec{i:02d}", start) for start in range(0, 48_001, 4000))
        for i in range(9)
    }
    assert weight["rec03"] == 0 and "rec03" not in drawn
    for name, own in weight.items():
        expected = own / sum(weight.values()) * sum(drawn.values())
        assert abs(drawn[name] - expected) <= 4 * math.sqrt(expected), name
    assert all(0 <= partner.start_samples <= 48_000 for partner in partners)
    assert len({partner.start_samples for partner in partners}) > 2000  # not on the places themselves


def slow_union(first, second):
    """(target, known) of one cell of two sounds, each (target, known)."""
    proofs = [known for target, known in (first, second) if known > 0 and target >= 0.5]
    known = max([min(first[1], second[1]), *proofs])
    return (1 - (1 - first[0]) * (1 - second[0]), known) if known else (0.0, 0.0)


@pytest.mark.parametrize("match_level", [True, False])
def test_an_item_is_both_crops_with_the_labels_of_both(mixed, match_level):
    corpus = mixed(share=0.4, match_level=match_level)
    dataset = CropDataset(corpus, 0, GRID, length=12)
    overruled = 0
    for index in range(12):
        item, partner, anchor = dataset[index], dataset.partner(index), dataset.anchor(index)
        crops = [(anchor.recording_id, dataset.start_samples(index), dataset.teacher(index)), tuple(partner)]
        own, other = (corpus.read(name, start, 16_000).astype(np.float64) for name, start, _ in crops)
        gain = math.sqrt((own**2).mean() / (other**2).mean()) if match_level else 1.0
        np.testing.assert_allclose(item.waveform, 0.4 * own + 0.6 * gain * other, atol=1e-6)
        labels = []
        for name, start, teacher in crops:
            frames = corpus.frame_labels(name, GRID, start, 16_000, teacher)
            heard, _ = corpus.frame_labels(name, GRID, start, 16_000)
            labels.append((*frames, *corpus.clip_labels(name, start, 16_000, frames), heard))
        for cell in np.ndindex(10, 24):
            first, second = ((target[cell], known[cell]) for target, known, *_ in labels)
            assert (item.target[cell].item(), item.known[cell].item()) == pytest.approx(slow_union(first, second))
        for k in range(24):
            first, second = ((target[k], known[k]) for _, _, target, known, _ in labels)
            assert (item.clip_target[k].item(), item.clip_known[k].item()) == pytest.approx(slow_union(first, second))
        for *_, heard in labels:  # what a person called present stays so, whatever a teacher says of either crop
            overruled += int((heard > 0).sum())
            assert (item.target.numpy()[heard > 0] == 1).all() and (item.known.numpy()[heard > 0] == 1).all()
    assert overruled > 20


def test_a_partner_is_a_function_of_seed_epoch_and_index(mixed):
    corpus = mixed(p=0.6)
    dataset, other = CropDataset(corpus, 0, GRID, length=50, seed=1), CropDataset(corpus, 0, GRID, length=50, seed=1)
    drawn = []
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        drawn.append([dataset.partner(index) for index in range(50)])
        assert 20 <= sum(partner is not None for partner in drawn[-1]) <= 40
    assert drawn[0] != drawn[1]
    other.set_epoch(1)
    assert [other.partner(index) for index in reversed(range(50))] == drawn[1][::-1]
    torch.testing.assert_close(dataset[7], other[7], rtol=0, atol=0)
    held_out = {recording.recording_id for recording in corpus.recordings(0, "valid")}
    assert not held_out & {partner.recording_id for epoch in drawn for partner in epoch if partner}


def test_a_crop_without_a_partner_is_what_it_was(mixed):
    corpus = mixed(p=0.5)
    dataset = CropDataset(corpus, 0, GRID, length=20)
    alone = CropDataset(load_corpus(corpus.settings), 0, GRID, length=20)
    alone._partners = None
    equal = [torch.equal(dataset[i].waveform, alone[i].waveform) for i in range(20)]
    assert equal == [dataset.partner(i) is None for i in range(20)] and 0 < sum(equal) < 20


def test_a_teacher_is_drawn_among_those_that_know_the_recording(mixed):
    dataset = CropDataset(mixed(), None, GRID, length=300)
    drawn = {}
    for index in range(300):
        drawn.setdefault(dataset.anchor(index).recording_id, set()).add(dataset.teacher(index))
    knowing = {f"rec{i:02d}": {teacher for teacher in (0, 1) if (i < 9, i >= 2)[teacher]} for i in range(12)}
    assert drawn == knowing


def test_nothing_to_mix_with_is_said(mixed):
    with pytest.raises(ConfigError, match=r"data\.pseudo\.mix: no training recording of this fold has pseudo-labels"):
        CropDataset(mixed(), 0, GRID, recording_ids=["rec03"])


@pytest.mark.parametrize("values", [{"p": 0.0}, {"p": 1.1}, {"share": 1.0}, {"share": 0.0}])
def test_wrong_settings_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        PseudoMixSettings(**{"p": 1.0, **values})
