import filecmp
import re
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from rfcx_ssl.errors import RunError
from rfcx_ssl.synth import SynthSettings, generate
from rfcx_ssl.synth.forest import recording_id
from rfcx_ssl.synth.repertoire import SONG_TYPES

LABELS = ["recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max"]
REAL = Path(__file__).parents[4] / "shared/data/rfcx"
FEW = SynthSettings(seed=9, train_recordings=3, test_recordings=2, duration_s=10.0)


def test_the_layout_is_rfcxs(forest, small_settings):
    tp, fp = pd.read_csv(forest / "train_tp.csv"), pd.read_csv(forest / "train_fp.csv")
    assert list(tp.columns) == list(fp.columns) == LABELS
    submission = pd.read_csv(forest / "sample_submission.csv")
    assert list(submission.columns) == ["recording_id", *(f"s{k}" for k in range(24))]
    assert (submission.iloc[:, 1:] == 0.5).all(axis=None)
    for split, count in (("train", small_settings.train_recordings), ("test", small_settings.test_recordings)):
        files = sorted((forest / split).iterdir())
        assert len(files) == count
        for path in files:
            assert re.fullmatch(r"[0-9a-f]{9}\.flac", path.name)
            info = soundfile.info(path)
            assert (info.samplerate, info.channels, info.subtype, info.frames) == (48_000, 1, "PCM_16", 480_000)
    assert sorted(submission["recording_id"]) == sorted(path.stem for path in (forest / "test").iterdir())
    assert set(tp["recording_id"]) <= {path.stem for path in (forest / "train").iterdir()}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real label tables are not here")
def test_the_tables_read_like_the_real_ones(forest):
    for name in ("train_tp.csv", "train_fp.csv", "sample_submission.csv"):
        real, made = pd.read_csv(REAL / name), pd.read_csv(forest / name)
        assert list(made.columns) == list(real.columns)
        assert [dtype.kind for dtype in made.dtypes] == [dtype.kind for dtype in real.dtypes]


def test_truth_and_recordings_have_the_promised_columns(forest):
    truth, recordings = pd.read_csv(forest / "truth.csv"), pd.read_csv(forest / "recordings.csv")
    assert list(truth.columns) == ["recording_id", "split", *LABELS[1:], "snr_db"]
    assert list(recordings.columns) == ["recording_id", "split", "site", "duration_s"]
    assert set(truth["recording_id"]) <= set(recordings["recording_id"])
    train, test = (set(recordings.loc[recordings["split"] == split, "site"]) for split in ("train", "test"))
    assert len(train) == 3 and len(test) == 2 and not train & test
    assert ((truth["t_min"] >= 0) & (truth["t_min"] < truth["t_max"]) & (truth["t_max"] <= 10.0)).all()


def test_every_confirmed_box_lies_on_a_true_call(forest):
    tp, truth = pd.read_csv(forest / "train_tp.csv"), pd.read_csv(forest / "truth.csv")
    assert len(tp) >= 28
    for box in tp.itertuples():
        same = truth[(truth["recording_id"] == box.recording_id) & (truth["species_id"] == box.species_id)]
        same = same[same["songtype_id"] == box.songtype_id]
        center = 0.5 * (box.t_min + box.t_max)
        assert ((same["t_min"] <= center) & (center <= same["t_max"])).any()


def test_no_rejected_box_touches_a_true_call_of_its_species(forest):
    fp, truth = pd.read_csv(forest / "train_fp.csv"), pd.read_csv(forest / "truth.csv")
    pairs = fp.merge(truth, on=["recording_id", "species_id"], suffixes=("", "_true"))
    assert len(fp) >= 3 * 28 * 0.9
    assert len(pairs) > 0  # some rejected species do call elsewhere in their recording
    assert not ((pairs["t_min"] < pairs["t_max_true"]) & (pairs["t_max"] > pairs["t_min_true"])).any()


def test_boxes_are_the_detectors_templates(forest):
    size = {(c.row.species_id, c.row.songtype_id): (*c.row.band_hz, c.duration_s) for c in SONG_TYPES}
    for name in ("train_tp.csv", "train_fp.csv"):
        for box in pd.read_csv(forest / name).itertuples():
            low, high, length_s = size[box.species_id, box.songtype_id]
            assert (box.f_min, box.f_max) == (low, high)
            assert box.t_max - box.t_min == pytest.approx(length_s, abs=2e-4)
            assert box.t_min >= 0.0 and box.t_max <= 10.0


def test_most_calls_are_not_labelled(forest):
    truth = pd.read_csv(forest / "truth.csv")
    assert len(pd.read_csv(forest / "train_tp.csv")) < 0.3 * (truth["split"] == "train").sum()


def same_files(one, other):
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    _, different, missing = filecmp.cmpfiles(one, other, [str(name) for name in names], shallow=False)
    return not different and not missing


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    generate(tmp_path / "one", FEW, workers=1, progress=False)
    generate(tmp_path / "two", FEW, workers=2, progress=False)
    assert same_files(tmp_path / "one", tmp_path / "two")


def test_another_seed_gives_other_bytes(tmp_path):
    for seed in (1, 2):
        tiny = SynthSettings(seed=seed, train_recordings=1, test_recordings=1, duration_s=10.0)
        generate(tmp_path / str(seed), tiny, workers=1, progress=False)
    assert not {p.name for p in (tmp_path / "1/train").iterdir()} & {p.name for p in (tmp_path / "2/train").iterdir()}


def test_a_folder_that_is_not_empty_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(RunError, match="not an empty folder"):
        generate(tmp_path, FEW, workers=1, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_broken_run_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    def fail(*_args):
        raise OSError("disk full")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("rfcx_ssl.synth.forest.make_recording", fail)
        with pytest.raises(OSError, match="disk full"):
            generate(out, FEW, workers=1, progress=False)
    assert not out.exists()
    out.mkdir()  # an empty folder, and what the broken run left, are no obstacle
    generate(out, SynthSettings(train_recordings=1, test_recordings=1, duration_s=10.0), workers=1, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_workers_below_one_are_refused(tmp_path):
    with pytest.raises(RunError, match="workers=0"):
        generate(tmp_path / "out", FEW, workers=0)


def test_recording_ids_are_unique():
    ids = {recording_id(3, split, index) for split in (0, 1) for index in range(5000)}
    assert len(ids) == 10_000
    assert all(re.fullmatch("[0-9a-f]{9}", name) for name in ids)
