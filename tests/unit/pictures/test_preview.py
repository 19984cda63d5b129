import argparse

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment import AugmentSettings
from rfcx_ssl.commands import preview_augment
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.pictures.pairs import (
    ABSENT_RGB,
    PRESENT_RGB,
    UNKNOWN_RGB,
    label_colours,
    outputs_to_show,
    spectrogram_db,
)
from rfcx_ssl.pictures.preview import labelled_crops, write_preview
from rfcx_ssl.species import rfcx_label_space

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
GRID = FrameGrid(8_000, 160)


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


def test_crops_hold_the_call_and_its_labels(corpus) -> None:
    space = rfcx_label_space()
    examples = labelled_crops(corpus, GRID, space, count=3, crop_s=2.0, seed=0)
    assert {examples[0].recording_id, examples[1].recording_id} == {"rec0", "rec1"}
    for example in examples:
        output = 3 if example.recording_id == "rec0" else 12
        assert example.start_s == 1.5 and example.crop.waveform.shape == (16_000,)
        present = (example.crop.target[:, output] > 0).nonzero().flatten()
        assert present.tolist() == list(range(25, 75)) and example.crop.clip_target[output] == 1
        loud = example.crop.waveform.view(100, 160).square().mean(1).sqrt() > 0.1
        assert torch.equal(loud.nonzero().flatten(), present)


def arguments(*values):
    parser = argparse.ArgumentParser()
    preview_augment.add_arguments(parser)
    return parser.parse_args([str(value) for value in values])


def test_the_command_writes_waves_and_pictures(corpus, tmp_path, capsys) -> None:
    out = tmp_path / "preview"
    options = [
        "--data",
        corpus,
        "--config",
        "none",
        "--count",
        2,
        "--seconds",
        2,
        "--sample-rate",
        8_000,
        "--hop",
        160,
    ]
    preview_augment.run(arguments(out, "gain.p=0.5", "gain.min_db=6", "gain.max_db=6", "polarity.p=1", *options))
    assert "gain, polarity, chain" in capsys.readouterr().out
    assert sorted(path.name for path in out.glob("*.png")) == ["chain.png", "gain.png", "polarity.png"]
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in out.glob("*.png"))
    for clip in ("clip0", "clip1"):
        waves = {path.stem: soundfile.read(path, dtype="float32") for path in (out / clip).iterdir()}
        assert set(waves) == {"before", "gain", "polarity", "chain"} and {rate for _, rate in waves.values()} == {
            8_000
        }
        before = waves["before"][0]
        np.testing.assert_allclose(waves["gain"][0], before * 10**0.3, rtol=1e-5)  # alone, every clip is changed
        np.testing.assert_array_equal(waves["polarity"][0], -before)


def test_mistakes_are_named(corpus, tmp_path) -> None:
    space = rfcx_label_space()
    examples = labelled_crops(corpus, GRID, space, count=1, crop_s=1.0, seed=0)
    with pytest.raises(ConfigError, match="no transform is on"):
        write_preview(tmp_path / "new", examples, AugmentSettings(), GRID, space, 0)
    with pytest.raises(ConfigError, match="exists already"):
        write_preview(tmp_path, examples, AugmentSettings(), GRID, space, 0)
    with pytest.raises(ConfigError, match="--count >= 1"):
        preview_augment.run(arguments(tmp_path / "new", "--data", corpus, "--count", 0))
    (corpus / "train_tp.csv").write_text(HEADER)
    (corpus / "train_fp.csv").unlink()
    with pytest.raises(AnnotationError, match=r"train_tp.csv: holds no call"):
        labelled_crops(corpus, GRID, space, count=1, crop_s=1.0, seed=0)


def test_label_colours_tell_the_three_states_apart() -> None:
    colours = label_colours(torch.tensor([[1.0], [0.0], [0.0]]), torch.tensor([[1.0], [1.0], [0.0]]))
    np.testing.assert_allclose(colours[0], [PRESENT_RGB, ABSENT_RGB, UNKNOWN_RGB])


def test_pictures_show_present_outputs_first(make_batch) -> None:
    batch = make_batch(outputs=12)
    for field in batch[1:5]:
        field.zero_()
    batch.known[0] = 1.0
    batch.target[0, 3, 11] = 1.0
    assert outputs_to_show(batch, batch, 0) == [0, 1, 2, 3, 4, 5, 6, 11]
    assert outputs_to_show(batch, batch, 1) == [0]


def test_spectrogram_finds_a_tone() -> None:
    picture = spectrogram_db(torch.sin(2 * torch.pi * 1_000 * torch.arange(8_000) / 8_000))
    assert picture.shape[0] == 513 and (picture[:, 5:-5].argmax(0) == 128).all()
