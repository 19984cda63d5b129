"""The data set of the fairseq plugin: same samples as stock fairseq, crops that depend on (seed, epoch, index) alone."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.errors import AudioError, ManifestError
from rfcx_ssl.manifest.virtual import load_virtual

pytest.importorskip("fairseq")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parents[2]
RATE = 8000


@pytest.fixture(autouse=True)
def plugin_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "pretrain"))


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    lines = [str(tmp_path)]
    for n, samples in enumerate((9000, 500, 12000, 4000)):
        write_flac(tmp_path / f"{n}.flac", 0.1 * rng.standard_normal(samples).astype(np.float32), RATE)
        lines.append(f"{n}.flac\t{samples}")
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "train.tsv"


def crops(manifest, **options):
    from rfcx_ssl.pretraining.plugin.crops import ManifestCropDataset

    defaults = {"seed": 1, "max_sample_size": 4000, "min_sample_size": 1000, "pad": False, "normalize": False}
    return ManifestCropDataset(load_virtual(manifest), **defaults | options)


@pytest.mark.parametrize("normalize", [True, False])
def test_whole_segments_are_what_stock_fairseq_reads(manifest, normalize):
    from fairseq.data.audio.raw_audio_dataset import FileAudioDataset

    stock = FileAudioDataset(str(manifest), RATE, min_sample_size=1000, normalize=normalize)
    ours = crops(manifest, max_sample_size=None, normalize=normalize)
    assert len(ours) == len(stock) == 3
    assert [ours.size(n) for n in range(3)] == [stock.size(n) for n in range(3)]
    for n in range(3):
        assert torch.equal(ours[n]["source"], stock[n]["source"])


def test_a_crop_is_a_piece_of_its_segment_and_changes_with_seed_and_epoch_only(manifest):
    whole = crops(manifest, max_sample_size=None)
    starts = {}
    for seed in (1, 2):
        for epoch in (1, 2):
            data = crops(manifest, seed=seed)
            data.set_epoch(epoch)
            start = data.crop_start(1)
            assert torch.equal(data[1]["source"], whole[1]["source"][start : start + 4000])
            assert crops(manifest, seed=seed, normalize=True).max_sample_size == 4000
            starts[seed, epoch] = start
    assert len(set(starts.values())) == 4
    again = crops(manifest, seed=2)
    again.set_epoch(2)
    assert again.crop_start(1) == starts[2, 2]


def test_loader_workers_that_outlive_an_epoch_see_the_next_one(manifest):
    data = crops(manifest)
    loader = torch.utils.data.DataLoader(
        data, batch_size=3, num_workers=1, collate_fn=data.collater, persistent_workers=True
    )
    for epoch in (1, 2):
        data.set_epoch(epoch)
        (batch,) = loader
        assert torch.equal(
            batch["net_input"]["source"], data.collater([data[n] for n in range(3)])["net_input"]["source"]
        )
    data.set_epoch(1)
    assert not torch.equal(batch["net_input"]["source"][1], data[1]["source"])


def test_a_batch_is_cut_to_its_shortest_crop_without_chance(manifest):
    data = crops(manifest, max_sample_size=10000)
    items = [data[n] for n in range(3)]
    source = data.collater(items)["net_input"]["source"]
    assert source.shape == (3, 4000)
    assert torch.equal(source[1], items[1]["source"][:4000])


def test_an_unreadable_recording_stops_the_run_or_is_left_out(manifest, monkeypatch, caplog):
    monkeypatch.setattr("rfcx_ssl.pretraining.plugin.crops.time.sleep", lambda _: None)
    (manifest.parent / "2.flac").write_bytes(b"broken")
    with pytest.raises(AudioError, match=r"2\.flac"):
        crops(manifest)[1]
    data = crops(manifest, skip_unreadable=True)
    batch = data.collater([data[n] for n in range(3)])
    assert batch["id"].tolist() == [0, 2]
    assert "skipped" in caplog.text


def test_the_task_reads_either_form_and_refuses_another_rate(manifest):
    from rfcx_ssl.pretraining.plugin.task import RainforestAudioPretrainingConfig, RainforestAudioPretrainingTask

    task = RainforestAudioPretrainingTask(
        RainforestAudioPretrainingConfig(data=str(manifest.parent), sample_rate=RATE, min_sample_size=1000, seed=3)
    )
    task.load_dataset("train")
    assert len(task.dataset("train")) == 3
    task.cfg.sample_rate = 16000
    with pytest.raises(ManifestError, match=r"task\.sample_rate=16000"):
        task.load_dataset("train")
    (manifest.parent / "train.parquet").touch()
    with pytest.raises(ManifestError, match=r"train\.parquet: not a Parquet file"):
        task.load_dataset("train")


def test_importing_the_plugin_leaves_the_signals_alone(manifest):
    crops(manifest)
    # a shell that starts the tests in the background has them ignore SIGINT
    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)
