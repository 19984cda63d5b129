import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rfcx_ssl.audio import read_audio
from rfcx_ssl.errors import ManifestError
from rfcx_ssl.workers import SerialExecutor, Workers, open_workers


def rows_of(tsv):
    root, *lines = tsv.read_text().splitlines()
    return root, [line.split("\t") for line in lines]


def quarantined(folder):
    with (folder / "quarantine.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


def test_manifests_are_what_fairseq_reads(recordings, tmp_path, build):
    report = build(tmp_path / "out", recordings)
    counted = 0
    for split in ("train", "valid"):
        root, rows = rows_of(tmp_path / "out" / f"{split}.tsv")
        assert root == str(tmp_path / "out/audio")
        for relpath, frames in rows:
            info = soundfile.info(Path(root, relpath))
            assert (info.frames, info.samplerate, info.channels) == (int(frames), 8_000, 1)
            assert info.frames <= 16_000
        counted += len(rows)
    assert counted == report.statuses["ok"] == report.split.train_segments + report.split.valid_segments
    assert report.split.valid_segments >= 8


def test_segments_are_the_recording_cut(recordings, tmp_path, build, segments_of):
    build(tmp_path / "out", recordings)
    by_source = {}
    for row in segments_of(tmp_path / "out"):
        by_source.setdefault(row["source"], []).append(row)
    assert len(by_source) == 12
    for source, rows in by_source.items():
        whole = soundfile.read(source, dtype="int16")[0]
        parts = [soundfile.read(tmp_path / "out/audio" / row["segment"], dtype="int16")[0] for row in rows]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        for row, part in zip(rows, parts, strict=True):
            signal = part.astype(np.float64) / 32768
            np.testing.assert_allclose(row["peak"], np.abs(signal).max(), rtol=1e-5)
            np.testing.assert_allclose(row["rms"], signal.std(), rtol=1e-4)


def test_the_table_knows_site_recorder_and_time(recordings, tmp_path, build, segments_of):
    build(tmp_path / "out", recordings)
    rows = [row for row in segments_of(tmp_path / "out") if row["recording_id"] == "audio/SITE1_20210305_050000.wav"]
    assert [row["start_time"] for row in rows] == [
        "2021-03-05T05:00:00",
        "2021-03-05T05:00:01.750000",
        "2021-03-05T05:00:03.500000",
        "2021-03-05T05:00:05.250000",
    ]
    assert {(row["site"], row["group"]) for row in rows} == {("SITE1", "site SITE1")}


def test_two_runs_and_two_workers_give_the_same_bytes(recordings, tmp_path, build, read_folder):
    out = tmp_path / "out"
    build(out, recordings)
    first = read_folder(out)
    again = build(out, recordings)
    assert (again.scanned, again.prepared) == (0, 0)
    assert read_folder(out) == first
    shutil.rmtree(out)
    with open_workers(2) as workers:
        build(out, recordings, workers=workers)
    assert read_folder(out) == first


def test_only_new_and_changed_recordings_are_done_again(recordings, tmp_path, build, make_noise, segments_of):
    out = tmp_path / "out"
    build(out, recordings)
    before = {row["segment"]: row["audio_hash"] for row in segments_of(out)}
    kept = next(iter((out / "audio").rglob("SITE0_20210301*/00000.flac")))
    modified = kept.stat().st_mtime_ns
    make_noise(recordings / "SITE1_20210302_050000.wav", 2.5, seed=99)
    make_noise(recordings / "SITE9_20210401_050000.wav", 2.5, seed=98)
    (recordings / "SITE2_20210303_050000.wav").unlink()
    report = build(out, recordings)
    assert (report.scanned, report.prepared, report.recordings) == (2, 2, 12)
    assert kept.stat().st_mtime_ns == modified
    after = {row["segment"]: row["audio_hash"] for row in segments_of(out)}
    changed = {name for name in before if "SITE1_20210302" in name or "SITE2_20210303" in name}
    assert changed
    assert {name: after.get(name) for name in before if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }
    on_disk = {str(path.relative_to(out / "audio")) for path in (out / "audio").rglob("*.flac")}
    assert on_disk == set(after)


def test_adding_files_moves_nothing_between_the_sides(recordings, tmp_path, build, make_noise, segments_of):
    out = tmp_path / "out"
    build(out, recordings)
    before = {row["segment"]: row["split"] for row in segments_of(out)}
    assert set(before.values()) == {"train", "valid"}
    for number in range(20):
        make_noise(recordings / f"NEW{number}_20210301_050000.wav", 2.0, seed=500 + number)
    build(out, recordings)
    after = {row["segment"]: row["split"] for row in segments_of(out)}
    assert {name: after[name] for name in before} == before


class Interrupted(Exception):
    pass


class DyingExecutor(SerialExecutor):
    """Runs a few tasks, then dies in the middle of the build."""

    def __init__(self, tasks):
        self.left = tasks

    def submit(self, fn, /, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("tasks", [0, 1, 2, 3])
def test_an_interrupted_build_continues_to_the_same_bytes(
    recordings, tmp_path, build, read_folder, monkeypatch, tasks
):
    monkeypatch.setattr("rfcx_ssl.manifest.build.TASK_FRAMES", 8_000 * 12)
    out = tmp_path / "out"
    build(out, recordings)
    expected = read_folder(out)
    shutil.rmtree(out)
    with pytest.raises(Interrupted):
        build(out, recordings, workers=Workers(DyingExecutor(tasks), 1))
    assert not (out / "train.tsv").exists()
    report = build(out, recordings)
    assert read_folder(out) == expected
    assert report.prepared < 12 or tasks < 2


@pytest.fixture
def hostile(tmp_path, make_noise):
    """Good recordings in every format beside everything that goes wrong in the field."""
    root = tmp_path / "hostile"
    good = {
        "a.flac": {}, "b.wav": {"subtype": "FLOAT"}, "c.wav": {"subtype": "PCM_U8"}, "d.wav": {"subtype": "ALAW"},
        "e.wav": {"format": "WAVEX"}, "f.ogg": {"subtype": "VORBIS"}, "g.mp3": {"subtype": "MPEG_LAYER_III"},
        "räven 鳥 (1).wav": {}, "h.opus": {"format": "OGG", "subtype": "OPUS"},
    }  # fmt: skip
    for seed, (name, options) in enumerate(good.items()):
        make_noise(root / name, 3.0, seed, **options)
    make_noise(root / "wav-named.flac", 3.0, 50, format="WAV")
    make_noise(root / "ultrasound.wav", 3.0, 51, rate_hz=384_000)
    soundfile.write(root / "stereo.wav", np.random.default_rng(52).normal(0, 0.1, (24_000, 2)), 8_000)
    (root / "empty.wav").write_bytes(b"")
    (root / "text.flac").write_text("these are notes\n" * 400)
    whole = (root / "a.flac").read_bytes()
    (root / "truncated.flac").write_bytes(whole[: len(whole) // 2])
    soundfile.write(root / "zero-length.wav", np.zeros(0), 8_000)
    soundfile.write(root / "nan.wav", np.array([0.1, np.nan] * 9_000), 8_000, subtype="FLOAT")
    soundfile.write(root / "infinite.wav", np.array([0.1, np.inf] * 9_000), 8_000, subtype="FLOAT")
    soundfile.write(root / "telephone.wav", np.zeros(4_000) + 0.1, 4_000)
    (root / "loop").symlink_to(root)
    (root / "dangling.wav").symlink_to(root / "nowhere.wav")
    (root / "folder.wav").mkdir()
    (root / "new\nline.wav").write_bytes(whole)
    return root


def test_hostile_files_are_quarantined_with_their_reason(hostile, tmp_path, build):
    report = build(tmp_path / "out", hostile)
    reasons = quarantined(tmp_path / "out")
    expected = {
        "empty.wav": "Format not recognised",
        "text.flac": "cannot be read as audio",
        "truncated.flac": "",
        "zero-length.wav": "holds no audio",
        "nan.wav": "NaN or infinite",
        "infinite.wav": "NaN or infinite",
        "telephone.wav": "sample rate 4000 Hz is outside 8000",
        "dangling.wav": "No such file",
        r"new\nline.wav": "rename it",
    }
    assert set(reasons) == set(expected)
    assert {name: reason for name, reason in reasons.items() if expected[name] not in reason} == {}
    assert report.recordings == 12
    assert (report.quarantined, report.statuses["ok"]) == (9, 24)
    prepared = {path.parent.name.rpartition("-")[0] for path in (tmp_path / "out/audio").rglob("*.flac")}
    assert not prepared & {"nan", "infinite", "truncated"}


def test_a_cut_wav_is_quarantined_and_leaves_no_segments_of_its_better_days(
    recordings, tmp_path, build, segments_of, read_folder
):
    out, cut = tmp_path / "out", recordings / "SITE1_20210302_050000.wav"
    build(out, recordings)
    assert any(row["source"] == str(cut) for row in segments_of(out))
    cut.write_bytes(cut.read_bytes()[:20_044])
    assert build(out, recordings).quarantined == 1
    assert quarantined(out)[cut.name] == "truncated: its header states 64000 bytes of audio, the file holds 20000"
    assert not any(row["source"] == str(cut) for row in segments_of(out))
    assert "SITE1_20210302" not in (out / "train.tsv").read_text() + (out / "valid.tsv").read_text()
    assert not list((out / "audio").rglob("SITE1_20210302*"))
    build(tmp_path / "fresh", recordings)
    assert segments_of(tmp_path / "fresh") == segments_of(out)


def test_unreadable_files_are_quarantined_until_they_are_readable(recordings, tmp_path, build, monkeypatch):
    really_open = Path.open

    def forbidden(path, *args, **options):
        if path.name == "SITE0_20210301_050000.wav":
            raise PermissionError(13, "Permission denied")
        return really_open(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", forbidden)
        assert build(tmp_path / "out", recordings).quarantined == 1
    assert "Permission denied" in quarantined(tmp_path / "out")["SITE0_20210301_050000.wav"]
    assert build(tmp_path / "out", recordings).quarantined == 0


def test_virtual_rows_read_what_was_prepared(hostile, tmp_path, build, segments_of):
    build(tmp_path / "prepared", hostile)
    build(tmp_path / "virtual", hostile, virtual=True)
    assert not (tmp_path / "virtual/audio").exists()
    prepared, virtual = segments_of(tmp_path / "prepared"), segments_of(tmp_path / "virtual")
    assert [row | {"segment": None} for row in prepared] == virtual
    for row in prepared:
        stored = read_audio(tmp_path / "prepared/audio" / row["segment"])
        pointed = read_audio(
            row["source"], start_samples=row["start_samples"], num_samples=row["num_samples"], sample_rate_hz=8_000
        )
        assert np.abs(stored - pointed).max() <= 0.51 / 32768


def test_headers_alone_make_a_virtual_manifest(recordings, tmp_path, build, segments_of):
    build(tmp_path / "decoded", recordings, virtual=True)
    build(tmp_path / "headers", recordings, virtual=True, check="headers")
    unmeasured = {"peak": None, "rms": None, "clipped_share": None, "audio_hash": None}
    assert [row | unmeasured for row in segments_of(tmp_path / "decoded")] == segments_of(tmp_path / "headers")
    with pytest.raises(ManifestError, match="check=headers reads no audio, so it needs --virtual"):
        build(tmp_path / "other", recordings, check="headers")


def test_one_folder_holds_one_kind_of_one_build(recordings, tmp_path, build):
    build(tmp_path / "out", recordings)
    with pytest.raises(ManifestError, match="holds a prepared manifest; choose another --out"):
        build(tmp_path / "out", recordings, virtual=True)
    with pytest.raises(ManifestError, match="no audio files below"):
        build(tmp_path / "new", tmp_path / "out/audio/../../out")


def test_other_settings_make_the_segments_again(recordings, tmp_path, build, segments_of):
    build(tmp_path / "out", recordings)
    assert build(tmp_path / "out", recordings, segment_s=1.0).prepared == 12
    assert max(row["num_samples"] for row in segments_of(tmp_path / "out")) <= 8_000
    on_disk = {str(path.relative_to(tmp_path / "out/audio")) for path in (tmp_path / "out/audio").rglob("*.flac")}
    assert on_disk == {row["segment"] for row in segments_of(tmp_path / "out")}
    report = build(tmp_path / "out", recordings, segment_s=1.0, flags={"short_s": 1.01})
    assert report.prepared == 0
    assert report.statuses["short"] == len(on_disk)


def test_a_full_disk_stops_the_build_and_blames_no_recording(recordings, tmp_path, build, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rfcx_ssl.manifest.prepare.write_flac", full)
        with pytest.raises(ManifestError, match=r"No space left on device; nothing is lost"):
            build(tmp_path / "out", recordings)
    assert build(tmp_path / "out", recordings).quarantined == 0


def test_the_summary_says_what_was_done(recordings, tmp_path, build):
    build(tmp_path / "out", recordings)
    summary = json.loads((tmp_path / "out/manifest.json").read_text())
    assert summary["fairseq_ready"] is True
    assert summary["sample_rate_hz"] == 8_000
    assert summary["settings"]["segment_s"] == 2.0
    assert summary["segments"]["ok"] == summary["train_segments"] + summary["valid_segments"]
