"""Which recordings are held out, and which crops a student hears."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.errors import AudioError
from rfcx_ssl.selftraining.distillation.recordings import Ears, UnlabelledCrops, collate_heard, divide, find_unlabelled
from rfcx_ssl.selftraining.distillation.settings import UnlabelledSettings

EARS = Ears(2.0, (8_000, 6_000, 12_000))


@pytest.fixture
def recordings(sounds):
    return find_unlabelled(UnlabelledSettings(folders=(sounds,)), 8_000)


def test_crops_are_a_function_of_seed_epoch_and_index_at_every_rate(recordings):
    one, other = (UnlabelledCrops(recordings, EARS, seed=3) for _ in range(2))
    assert len(one) == 8 * 6 // 2
    other.set_epoch(5)
    other[7]  # the past does not count
    for crops in (one, other):
        crops.set_epoch(1)
    heard = collate_heard([one[index] for index in (4, 9)])
    for row, index in enumerate((4, 9)):
        recording, start = other.place(index)
        by_rate = EARS.by_rate(heard)
        assert {rate: crop.shape for rate, crop in by_rate.items()} == {r: (2, 2 * r) for r in EARS.rates_hz}
        for rate, crop in by_rate.items():
            whole = read_audio(recording.path, sample_rate_hz=rate)
            first = round(start * rate / 8_000)
            np.testing.assert_allclose(crop[row], whole[first : first + 2 * rate], atol=1e-6)
    assert not torch.equal(one[4].waveform, UnlabelledCrops(recordings, EARS, seed=4)[4].waveform)


def test_every_start_is_as_likely_as_any_other(recordings):
    """A recording twice as long has more than twice the starts; one that is shorter than a crop has one, and zeros."""
    short = recordings[0]._replace(num_samples=100)
    crops = UnlabelledCrops([short, recordings[1]], Ears(0.5, (8_000,)), seed=0)  # 44001 starts
    places = [crops.place(index) for index in range(3000)]
    starts = np.array([start for recording, start in places if recording is not short])
    assert sum(recording is short for recording, _ in places) < 5
    assert starts.min() < 200 and starts.max() > 43_800 and starts.max() <= 44_000
    assert abs(starts.mean() / 22_000 - 1) < 0.05


def test_new_files_move_no_old_ones(sounds, tmp_path):
    root = shutil.copytree(sounds, tmp_path / "sounds")
    settings = UnlabelledSettings(folders=(root,), valid_share=0.3)
    before = {item.name for item in divide(find_unlabelled(settings, 8_000), settings)[1]}
    for number in range(20):
        soundfile.write(root / f"new{number}.wav", np.zeros(800), 8_000)
    train, valid = divide(find_unlabelled(settings, 8_000), settings)
    old = {item.name for item in valid if not item.name.startswith("new")}
    assert len(train) + len(valid) == 28 and 3 <= len(valid) <= 14
    assert old <= before and len(before - old) <= 1  # the one that was held out because one had to be


def test_a_folder_stays_on_one_side_and_a_link_counts_once(sounds, tmp_path):
    (tmp_path / "again").symlink_to(sounds / "a")
    settings = UnlabelledSettings(folders=(sounds, tmp_path / "again"), group_by="folder", valid_share=0.5)
    sides = divide(find_unlabelled(settings, 8_000), settings)
    assert sorted(len(side) for side in sides) == [4, 4]
    assert [len({item.path.parent for item in side}) for side in sides] == [1, 1]
    assert divide(find_unlabelled(settings, 8_000), UnlabelledSettings(folders=(sounds,), valid_share=0))[1] == []


def test_what_cannot_be_used_is_said(sounds, tmp_path):
    with pytest.raises(AudioError, match=r"data.folders: there is no folder .*nowhere"):
        find_unlabelled(UnlabelledSettings(folders=(tmp_path / "nowhere",)), 8_000)
    with pytest.raises(AudioError, match=r"data.folders: no recordings in"):
        find_unlabelled(UnlabelledSettings(folders=(tmp_path,)), 8_000)
    settings = UnlabelledSettings(folders=(sounds / "a",), group_by="folder")
    with pytest.raises(AudioError, match=r"of a single group .*use data.valid_share=0 or more recordings"):
        divide(find_unlabelled(settings, 8_000), settings)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"broken.wav"):
        find_unlabelled(UnlabelledSettings(folders=(tmp_path,)), 8_000)
