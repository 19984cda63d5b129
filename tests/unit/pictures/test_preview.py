import argparse

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment import AugmentSettings
from rfcx_ssl.commands import preview_augment
from rfcx_ssl.data import CropDataset, DataSettings, load_corpus
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import collate
from rfcx_ssl.pictures.pairs import outputs_to_show
from rfcx_ssl.pictures.preview import write_preview

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
GRID = FrameGrid(8_000, 160)
DATA = ("data.sample_rate_hz=8000", "data.crop_s=2", "data.num_folds=2")


@pytest.fixture
def corpus(tmp_path):
    """Two recordings of 4 s; species 3 calls as a tone at 2 to 3 s of the first, species 12 in the second."""
    root = tmp_path / "corpus"
    (root / "train").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(2):
        samples = rng.normal(0, 0.01, 32_000).astype(np.float32)
        samples[16_000:24_000] += 0.3 * np.sin(2 * np.pi * 1_500 * np.arange(8_000) / 8_000)
        write_flac(root / "train" / f"rec{number}.flac", samples, 8_000)
    rows = ["rec0,3,1,2.0,1031,3.0,2812\n", "rec1,12,1,2.0,562,3.0,3281\n"]
    (root / "train_tp.csv").write_text(HEADER + "".join(rows))
    (root / "train_fp.csv").write_text(HEADER + "rec0,0,1,1.0,5906,3.0,8250\n")
    return root


def arguments(*values):
    parser = argparse.ArgumentParser()
    preview_augment.add_arguments(parser)
    return parser.parse_args([str(value) for value in values])


def test_the_command_writes_waves_and_pictures(corpus, tmp_path, capsys) -> None:
    out = tmp_path / "preview"
    options = ["--data", corpus, "--config", "none", "--count", 2, "--hop", 160]
    preview_augment.run(
        arguments(out, "gain.p=0.5", "gain.min_db=6", "gain.max_db=6", "polarity.p=1", *DATA, *options)
    )
    assert "gain, polarity, chain" in capsys.readouterr().out
    assert sorted(path.name for path in out.glob("*.png")) == ["chain.png", "gain.png", "polarity.png"]
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in out.glob("*.png"))
    for clip in ("crop0", "crop1"):
        waves = {path.stem: soundfile.read(path, dtype="float32") for path in (out / clip).iterdir()}
        assert set(waves) == {"before", "gain", "polarity", "chain"} and {rate for _, rate in waves.values()} == {
            8_000
        }
        before = waves["before"][0]
        np.testing.assert_allclose(waves["gain"][0], before * 10**0.3, rtol=1e-5)  # alone, every clip is changed
        np.testing.assert_array_equal(waves["polarity"][0], -before)


def test_labels_are_those_that_training_sees(corpus, tmp_path, monkeypatch) -> None:
    """Present at 2 to 3 s, unknown 0.1 s around both edges, and the settings of the data are in force."""
    pairs = []
    monkeypatch.setattr("rfcx_ssl.pictures.preview.draw_pairs", lambda path, *rest: pairs.append(rest))
    changes = ["data.edge_tolerance_s=0.2", "data.absent_share=0", "data.split_songtypes=true", "gain.p=1"]
    options = ["--data", corpus, "--config", "none", "--count", 4, "--hop", 160, "--seed", 5]
    preview_augment.run(arguments(tmp_path / "preview", *DATA, *changes, *options))
    title, names, before, _, grid, space = pairs[0]
    settings = DataSettings(
        root=corpus,
        sample_rate_hz=8_000,
        crop_s=2.0,
        num_folds=2,
        edge_tolerance_s=0.2,
        absent_share=0,
        split_songtypes=True,
    )
    dataset = CropDataset(load_corpus(settings), None, GRID, length=4, seed=5)
    for drawn, trained in zip(before, collate([dataset[index] for index in range(4)]), strict=True):
        assert torch.equal(drawn, trained)
    assert title == "gain" and grid == GRID and space.num_outputs == 26
    assert all("drawn around a present box" in name for name in names)
    output = 3 if names[0].startswith("rec0") else 12
    present = before.target[0, :, output] > 0
    edges = before.known[0, :, output] == 0
    assert 15 < present.sum() <= 30 and edges.any(), "0.2 s at each end of the 1 s box are unknown"


def test_mistakes_are_named(corpus, tmp_path) -> None:
    settings = DataSettings(root=corpus, sample_rate_hz=8_000, num_folds=2)
    dataset = CropDataset(load_corpus(settings), None, GRID)
    with pytest.raises(ConfigError, match="no transform is on"):
        write_preview(tmp_path / "new", dataset, 1, AugmentSettings(), 0)
    with pytest.raises(ConfigError, match="exists already"):
        write_preview(tmp_path, dataset, 1, AugmentSettings(), 0)
    with pytest.raises(ConfigError, match="--count >= 1"):
        preview_augment.run(arguments(tmp_path / "new", "--data", corpus, "--count", 0))
    with pytest.raises(ConfigError, match="data/rfcx: crop_m: unknown key"):
        preview_augment.run(arguments(tmp_path / "new", "data.crop_m=3", "--data", corpus))
    (corpus / "train_tp.csv").write_text(HEADER)
    (corpus / "train_fp.csv").write_text(HEADER + "rec0,0,1,1.0,5906,3.0,8250\nrec1,0,1,1.0,5906,3.0,8250\n")
    with pytest.raises(AnnotationError, match=r"no crops to draw"):
        preview_augment.run(arguments(tmp_path / "new", *DATA, "data.absent_share=0", "--data", corpus))


def test_pictures_show_present_outputs_first(make_batch) -> None:
    batch = make_batch(outputs=12)
    for field in batch[1:5]:
        field.zero_()
    batch.known[0] = 1.0
    batch.target[0, 3, 11] = 1.0
    assert outputs_to_show(batch, batch, 0) == [0, 1, 2, 3, 4, 5, 6, 11]
    assert outputs_to_show(batch, batch, 1) == [0]
