import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rfcx_ssl.data import CropDataset, collate, load_corpus
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.species import label_space, rfcx_species

GRID = FrameGrid(16_000, 320)


@pytest.fixture
def corpus(settings_of):
    return load_corpus(settings_of())


def all_items(dataset, num_workers, epochs):
    items = []
    for epoch in epochs:
        dataset.set_epoch(epoch)
        loader = DataLoader(dataset, batch_size=4, num_workers=num_workers, collate_fn=collate, shuffle=False)
        items += list(loader)
    return items


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_crops_are_identical_for_0_1_and_4_workers_and_in_any_order(corpus):
    dataset = CropDataset(corpus, 0, GRID, seed=7, length=12)
    alone = all_items(dataset, 0, [0, 1])
    for num_workers in (1, 4):
        for one, other in zip(alone, all_items(dataset, num_workers, [0, 1]), strict=True):
            for field, same in zip(one, other, strict=True):
                torch.testing.assert_close(field, same, rtol=0, atol=0)
    fresh = CropDataset(corpus, 0, GRID, seed=7, length=12)
    fresh.set_epoch(1)
    later = fresh[11]
    torch.testing.assert_close(later.waveform, alone[5].waveform[3], rtol=0, atol=0)


def test_epochs_and_seeds_differ(corpus):
    def starts(seed, epoch):
        dataset = CropDataset(corpus, 0, GRID, seed=seed, length=12)
        dataset.set_epoch(epoch)
        return [(dataset.anchor(i).recording_id, dataset.start_samples(i)) for i in range(12)]

    assert starts(0, 0) == starts(0, 0)
    assert len({tuple(starts(s, e)) for s in (0, 1) for e in (0, 1)}) == 4


def test_an_item_is_its_crop_of_audio_with_its_labels(corpus):
    dataset = CropDataset(corpus, 0, GRID)
    for index in range(len(dataset)):
        name, start, item = dataset.anchor(index).recording_id, dataset.start_samples(index), dataset[index]
        events, start_s = corpus.annotations.events(name), start / 16_000
        target, known = frame_labels(events, GRID, corpus.space, start_s=start_s, num_frames=50, edge_tolerance_s=0.1)
        np.testing.assert_array_equal(item.target, target)
        np.testing.assert_array_equal(item.known, known)
        clip = clip_labels(events, corpus.space, start_s=start_s, end_s=start_s + 1, absent="box")
        np.testing.assert_array_equal(torch.stack([item.clip_target, item.clip_known]), np.stack(clip))
        np.testing.assert_array_equal(item.waveform, corpus.read(name, start, 16_000))
        assert item.waveform.dtype == torch.float32 and item.index == index


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_the_anchor_keeps_its_coverage_and_decides_the_clip_label(settings_of, jitter):
    corpus = load_corpus(settings_of(jitter=jitter))
    dataset = CropDataset(corpus, None, GRID, length=60)
    for index in range(60):
        anchor, item = dataset.anchor(index), dataset[index]
        output = corpus.space.output_of(anchor.event.species_id)
        assert item.clip_target[output] == float(anchor.event.present)
        assert item.clip_known[output] == 1
        assert item.known[:, output].any()


def test_without_jitter_the_box_is_in_the_middle(settings_of):
    dataset = CropDataset(load_corpus(settings_of(jitter=0.0)), None, GRID)
    for index in range(len(dataset)):
        event, start = dataset.anchor(index).event, dataset.start_samples(index)
        middle = (event.start_s + event.end_s) / 2 * 16_000
        if 0 < start < 48_000:
            assert abs(start + 8000 - middle) <= 1


def test_jitter_spreads_the_crop_over_the_allowed_range(corpus):
    dataset = CropDataset(corpus, None, GRID, length=400)
    offsets = []
    for index in range(400):
        anchor = dataset.anchor(index)
        if anchor.recording_id == "rec04" and anchor.event.present:  # 1.4 to 1.9 s: never at the recording's edge
            offsets.append(dataset.start_samples(index) / 16_000)
    assert 0.65 - 1e-3 <= min(offsets) < 0.9 and 1.4 < max(offsets) <= 1.65 + 1e-3


def test_random_crops_lie_anywhere(settings_of):
    wild = settings_of(present_share=0.0, absent_share=0.0, random_share=1.0)
    dataset = CropDataset(load_corpus(wild), None, GRID, length=200)
    starts = [dataset.start_samples(i) for i in range(200)]
    assert min(starts) < 8000 and max(starts) > 40_000 and max(starts) <= 48_000


def test_a_recording_shorter_than_the_crop_is_padded_with_unknown_silence(settings_of):
    corpus = load_corpus(settings_of(crop_s=5.0))
    item = CropDataset(corpus, None, GRID)[0]
    assert item.waveform.shape == (80_000,) and item.target.shape == (250, 24)
    assert item.waveform[64_000:].abs().max() == 0 and item.waveform[:64_000].abs().max() > 0
    assert item.known[200:].max() == 0


def test_training_never_reads_the_validation_recordings(corpus):
    for fold in range(3):
        held_out = {item.recording_id for item in corpus.recordings(fold, "valid")}
        train = CropDataset(corpus, fold, GRID, length=100)
        assert held_out and held_out.isdisjoint(train.anchor(i).recording_id for i in range(100))
        valid = CropDataset(corpus, fold, GRID, split="valid", length=30)
        assert {valid.anchor(i).recording_id for i in range(30)} <= held_out


def test_chosen_recordings_replace_the_fold(corpus):
    dataset = CropDataset(corpus, None, GRID, recording_ids=["rec01"], length=5)
    assert {dataset.anchor(i).recording_id for i in range(5)} == {"rec01"}


def test_a_model_that_does_not_fit_the_data_is_refused(corpus):
    with pytest.raises(ConfigError, match=r"data\.sample_rate_hz=16000, the model's is 32000"):
        CropDataset(corpus, 0, FrameGrid(32_000, 640))
    with pytest.raises(ConfigError, match="the model has 26 outputs, the data 24"):
        CropDataset(corpus, 0, GRID, label_space(rfcx_species(), split_songtypes=True))
    with pytest.raises(AnnotationError, match="fold=3 does not exist"):
        CropDataset(corpus, 3, GRID, split="valid")
    with pytest.raises(IndexError):
        CropDataset(corpus, 0, GRID, length=3)[3]


def test_the_same_box_lies_elsewhere_in_another_epoch(settings_of):
    dataset = CropDataset(load_corpus(settings_of(absent_share=0.0)), None, GRID, recording_ids=["rec04"], length=3)
    starts = set()
    for epoch in range(4):
        dataset.set_epoch(epoch)
        starts |= {dataset.start_samples(index) for index in range(3)}
    assert len(starts) == 12
