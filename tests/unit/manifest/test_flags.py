import numpy as np
import pytest
import soundfile


@pytest.fixture
def odd(tmp_path, make_noise):
    """Recordings of 2 s (one segment each) with something to flag."""
    root = tmp_path / "audio"
    root.mkdir()
    tone = np.sin(np.arange(16_000) * 0.1)
    for name, samples in {
        "clipped": (3 * tone).clip(-1, 1),
        "loud": 0.99 * tone,
        "zeros": np.zeros(16_000),
        "zeros-too": np.zeros(16_000),
        "offset": np.full(16_000, 0.25),
    }.items():
        soundfile.write(root / f"{name}.wav", samples, 8_000)
    make_noise(root / "copy-1.wav", 2, seed=5)
    make_noise(root / "copy-2.flac", 2, seed=5)
    make_noise(root / "short.wav", 0.5, seed=6)
    make_noise(root / "good.wav", 2, seed=7)
    return root


def status_of(rows):
    return {row["recording_id"].removeprefix("audio/").partition(".")[0]: row["status"] for row in rows}


EXPECTED = {
    "clipped": "clipped", "loud": "ok", "zeros": "silent", "zeros-too": "silent", "offset": "silent",
    "copy-1": "ok", "copy-2": "duplicate", "short": "short", "good": "ok",
}  # fmt: skip


def test_every_flag_is_raised(odd, tmp_path, build, segments_of):
    report = build(tmp_path / "out", odd)
    rows = segments_of(tmp_path / "out")
    assert status_of(rows) == EXPECTED
    used = {row["recording_id"] for row in rows if row["split"]}
    assert used == {f"audio/{name}.wav" for name in ("clipped", "loud", "copy-1", "good")}
    assert report.statuses == {"excluded": 0, "short": 1, "silent": 3, "duplicate": 1, "clipped": 1, "ok": 3}


def test_dropping_is_a_setting_and_needs_no_decoding(odd, tmp_path, build, segments_of):
    build(tmp_path / "out", odd)
    report = build(tmp_path / "out", odd, flags={"drop": ["clipped", "duplicate", "silent"]})
    assert report.prepared == 0
    used = {row["recording_id"] for row in segments_of(tmp_path / "out") if row["split"]}
    assert used == {f"audio/{name}.wav" for name in ("loud", "copy-1", "good", "short")}


def test_clipping_is_counted_before_resampling_in_any_channel(tmp_path, build, segments_of):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (48_000 * 4, 2))
    samples[1_000:2_000, 1] = 1.0
    samples[150_000:150_500, 0] = -1.0
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", samples, 48_000, subtype="PCM_24")
    build(tmp_path / "out", tmp_path / "audio")
    shares = [row["clipped_share"] for row in segments_of(tmp_path / "out")]
    assert shares == pytest.approx([1_000 / 96_000, 500 / 96_000])


@pytest.mark.parametrize("subtype", ["PCM_U8", "ALAW", "ULAW", "PCM_16", "PCM_24", "FLOAT"])
def test_full_scale_depends_on_the_encoding(tmp_path, build, segments_of, subtype):
    samples = np.tile([0.0, 1.0, 0.2, -0.3], 4_000)
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", samples, 8_000, subtype=subtype)
    build(tmp_path / "out", tmp_path / "audio")
    assert [row["clipped_share"] for row in segments_of(tmp_path / "out")] == pytest.approx([0.25])
